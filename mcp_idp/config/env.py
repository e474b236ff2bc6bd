"""Parses environment variables into typed values; each error is one line that says what to change.

This module does not know what the settings mean; `setting.py` shows where they are declared.
"""

from __future__ import annotations

import re
from ipaddress import ip_network
from pathlib import Path
from typing import TYPE_CHECKING

from mcp_idp.util.urls import validate_http_url

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

_DURATION = re.compile(r"^(\d{1,9})(s|m|h|d)?$")
_SIZE = re.compile(r"^([0-9]{1,15})(?:([KMGkmg])(?:i?B)?)?$")
_UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30}
_HOST = re.compile(r"([A-Za-z0-9.-]+|\[[0-9a-fA-F:]+\])(:[0-9]{1,5})?", re.ASCII)
_ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://([a-z0-9.-]+|\[[0-9a-f:]+\])(:[0-9]{1,5})?", re.ASCII)
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_MIN_TYPO_CHECK_LENGTH = 8  # short names are not checked for typos: HOST is two edits from HOME


class SettingsError(ValueError):
    """A setting cannot work. The message is one line: the name, what is wrong with the value, what to write instead."""


class EnvReader:
    """Reads typed values from environment variables.

    Values are stripped of surrounding white space. An empty value counts as unset, because compose passes an unset
    `${NAME:-}` as an empty string.

    Every method raises `SettingsError` if the value of the variable is not of the type that the method reads.

    Args:
        variables: the environment variables, such as `os.environ`.
    """

    def __init__(self, variables: Mapping[str, str]) -> None:
        self._variables = {name: value.strip() for name, value in variables.items() if value.strip()}

    def get_str(self, name: str) -> str | None:
        """Returns the value unparsed; None if unset."""
        return self._variables.get(name)

    def get_bool(self, name: str) -> bool:
        """Returns a boolean; False if unset."""
        value = (self.get_str(name) or "false").lower()
        if value in {"true", "1", "yes", "on"}:
            return True
        if value in {"false", "0", "no", "off"}:
            return False
        raise SettingsError(f"{name}={value}: write true or false")

    def get_choice(self, name: str, choices: Iterable[str]) -> str | None:
        """Returns one of `choices`; None if unset."""
        value = self.get_str(name)
        if value is not None and value not in choices:
            raise SettingsError(f"{name}={value}: write one of {', '.join(choices)}")
        return value

    def get_int(self, name: str, *, minimum: int, maximum: int) -> int | None:
        """Returns an integer from `minimum` to `maximum`, both included; None if unset."""
        value = self.get_str(name)
        if value is None:
            return None
        if not value.isascii() or not value.isdigit() or not minimum <= int(value) <= maximum:
            raise SettingsError(f"{name}={value}: write a whole number from {minimum} to {maximum}")
        return int(value)

    def get_duration(self, name: str) -> int | None:
        """Returns a duration in seconds, parsed from `90`, `90s`, `10m`, `24h` or `7d`; None if unset."""
        value = self.get_str(name)
        if value is None:
            return None
        match = _DURATION.match(value)
        if match is None:
            raise SettingsError(f"{name}={value}: write a duration such as 90s, 10m, 24h")
        return int(match[1]) * _SECONDS[match[2] or "s"]

    def get_bytes(self, name: str, *, minimum: int) -> int | None:
        """Returns a size in bytes, parsed from `268435456`, `256M` or `2G` (powers of 1024); None if unset."""
        value = self.get_str(name)
        if value is None:
            return None
        match = _SIZE.match(value)
        size = int(match[1]) * _UNITS[(match[2] or "").upper()] if match is not None else 0
        if size < minimum:
            raise SettingsError(f"{name}={value}: write a size such as 512M or 2G, at least {minimum >> 20}M")
        return size

    def get_list(self, name: str) -> tuple[str, ...]:
        """Returns the entries of a list separated by commas or white space; an empty tuple if unset."""
        return tuple(re.split(r"[\s,]+", value)) if (value := self.get_str(name)) else ()

    def get_origins(self, name: str) -> tuple[str, ...]:
        """Returns a list of web origins as browsers serialize them: scheme, host, and any port but the default one."""
        for word in (words := self.get_list(name)):
            if _ORIGIN.fullmatch(word) is None:
                raise SettingsError(f"{name}={word}: write origins such as https://app.example.com, in lower case")
        return words

    def get_hosts(self, name: str) -> tuple[str, ...]:
        """Returns a list of host names, each with the port that clients send, if any."""
        for word in (words := self.get_list(name)):
            if _HOST.fullmatch(word) is None:
                raise SettingsError(f"{name}={word}: write hosts such as mcp.example.com or mcp.internal:3000")
        return words

    def get_networks(self, name: str) -> tuple[str, ...]:
        """Returns a list of IP addresses and networks.

        A network of prefix length 0 is rejected: it holds every address, so any client would count as a trusted proxy.
        """
        for word in (words := self.get_list(name)):
            if not _is_part_of_the_network(word):
                raise SettingsError(f"{name}={word}: write addresses such as 10.0.0.7 or 10.0.0.0/24")
        return words

    def get_url(self, name: str) -> str | None:
        """Returns an absolute http(s) URL without user, query or fragment; None if unset.

        The URL is not normalized, because issuers are compared as strings.
        """
        value = self.get_str(name)
        if value is not None:
            try:
                validate_http_url(name, value)
            except ValueError as error:
                raise SettingsError(str(error)) from error
        return value

    def get_secret(self, name: str, *, required: bool) -> str | None:
        """Returns the secret in the variable `name`, or in the file that the variable `name` + `_FILE` names.

        Args:
            name: the variable.
            required: whether an unreadable file is an error.

        Returns:
            The secret without surrounding white space; None if it is unset or empty, or if its file cannot be read
            and is not `required`.

        Raises:
            SettingsError: both variables are set, or the file is `required` and cannot be read.
        """
        path = self.get_str(f"{name}_FILE")
        if path is not None and self.get_str(name) is not None:
            raise SettingsError(f"{name} and {name}_FILE are both set: keep one")
        if path is None:
            return self.get_str(name)
        try:
            return Path(path).read_text(encoding="utf-8").strip() or None
        except (OSError, UnicodeDecodeError) as error:
            if not required:
                return None
            raise SettingsError(f"{name}_FILE={path}: cannot be read ({type(error).__name__})") from error

    def find_typos(self, known: Iterable[str], other_known: Iterable[str] = ()) -> Iterator[str]:
        """Yields a message for each variable whose name is within two edits of a known name; values are ignored.

        Args:
            known: the names of the settings. Names shorter than eight characters are not compared.
            other_known: names that other programs use; they are not reported.
        """
        names = set(known)
        guarded = [name for name in sorted(names) if len(name) >= _MIN_TYPO_CHECK_LENGTH]
        for variable in sorted(self._variables.keys() - names - set(other_known)):
            for name in guarded:
                if abs(len(name) - len(variable)) <= 2 and _levenshtein(variable, name) <= 2:  # noqa: PLR2004 - the two edits
                    yield f"{variable} is not a setting: did you mean {name}?"
                    break

    def reject_typos(self, known: Iterable[str], other_known: Iterable[str] = ()) -> None:
        """Rejects the first typo that `find_typos` finds, so that a misspelled setting is not silently ignored.

        Raises:
            SettingsError: a variable looks like a misspelled setting.
        """
        for line in self.find_typos(known, other_known):
            raise SettingsError(line)


def _is_part_of_the_network(word: str) -> bool:
    try:
        return ip_network(word, strict=False).prefixlen > 0
    except ValueError:
        return False


def _levenshtein(one: str, other: str) -> int:
    """Returns the Levenshtein distance."""
    row = list(range(len(other) + 1))
    for i, a in enumerate(one, 1):
        previous, row = row, [i]
        for j, b in enumerate(other, 1):
            row.append(min(previous[j] + 1, row[-1] + 1, previous[j - 1] + (a != b)))
    return row[-1]
