"""Typed values out of environment strings, each refused with one line that says what to change.

Nothing here knows what a setting is for: that is `settings.py`.

What the compose files read and the server does not; one letter away from a name of ours it is no typing error.
"""

from __future__ import annotations

import re
from ipaddress import ip_network
from pathlib import Path
from typing import TYPE_CHECKING

from mcp_idp.util.urls import validate_http_url

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

COMPOSE_ONLY_VARIABLES = (
    "MCP_PORT",
    "KEYCLOAK_PORT",
    "KEYCLOAK_ADMIN_CLIENT_ID",
    "KC_FEATURES",
    "ACME_CA",
    "ACME_CA_ROOT_FILE",
    "DEX_PORT",
    "DEX_CONFIG",
    "DEX_POSTGRES_PASSWORD",
    "DEX_POSTGRES_HOST",
    "DEX_POSTGRES_SSL",
    "MCP_USER",
    "MCP_PASSWORD",
    "MCP_HOST",
    "LOGIN_HOST",
    "CADDY_TLS",
    "TLS_CERTIFICATE_FILE",
    "TLS_KEY_FILE",
    "HTTPS_PORT",
    "HTTP_PORT",
    "DATABASE_PASSWORD_FILE",
    "KEYCLOAK_DB_URL",
    "KEYCLOAK_HEAP",
    "FRONT_PORT",
)


_DURATION = re.compile(r"^(\d{1,9})(s|m|h|d)?$")
_HOST = re.compile(r"([A-Za-z0-9.-]+|\[[0-9a-fA-F:]+\])(:[0-9]{1,5})?", re.ASCII)
_ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://([a-z0-9.-]+|\[[0-9a-f:]+\])(:[0-9]{1,5})?", re.ASCII)
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_MAX_PORT = 65535
_MIN_TYPO_CHECK_LENGTH = 8  # HOST is two edits from HOME: short names are not guarded against typing errors


class SettingsError(ValueError):
    """A setting that cannot work. The text is one line: the name, the value's fault, what to write instead."""


class EnvReader:
    """The variables of one process. An empty value counts as unset: compose passes `${NAME:-}` that way."""

    def __init__(self, variables: Mapping[str, str]) -> None:
        self._variables = {name: value.strip() for name, value in variables.items() if value.strip()}

    def get_str(self, name: str) -> str | None:
        """The value as it is."""
        return self._variables.get(name)

    def get_bool(self, name: str) -> bool:
        """True or false; unset is false."""
        value = (self.get_str(name) or "false").lower()
        if value in {"true", "1", "yes", "on"}:
            return True
        if value in {"false", "0", "no", "off"}:
            return False
        raise SettingsError(f"{name}={value}: write true or false")

    def get_choice(self, name: str, choices: Iterable[str], default: str) -> str:
        """One of `choices`."""
        value = self.get_str(name) or default
        if value not in choices:
            raise SettingsError(f"{name}={value}: write one of {', '.join(choices)}")
        return value

    def get_int(self, name: str, default: int, *, minimum: int, maximum: int) -> int:
        """A whole number between `minimum` and `maximum`."""
        value = self.get_str(name)
        if value is None:
            return default
        if not value.isascii() or not value.isdigit() or not minimum <= int(value) <= maximum:
            raise SettingsError(f"{name}={value}: write a whole number from {minimum} to {maximum}")
        return int(value)

    def port(self, name: str, default: int) -> int:
        """A TCP port; 0 lets the system choose."""
        return self.get_int(name, default, minimum=0, maximum=_MAX_PORT)

    def get_duration(self, name: str, default: int) -> int:
        """A duration in seconds, written `90`, `90s`, `10m`, `24h` or `7d`."""
        value = self.get_str(name)
        if value is None:
            return default
        match = _DURATION.match(value)
        if match is None:
            raise SettingsError(f"{name}={value}: write a duration such as 90s, 10m, 24h")
        return int(match[1]) * _SECONDS[match[2] or "s"]

    def get_list(self, name: str) -> tuple[str, ...]:
        """A list, separated by commas or blanks."""
        return tuple(re.split(r"[\s,]+", value)) if (value := self.get_str(name)) else ()

    def get_origins(self, name: str) -> tuple[str, ...]:
        """A list of web origins, as a browser writes them: scheme and host, and the port if it is not the usual one."""
        for word in (words := self.get_list(name)):
            if _ORIGIN.fullmatch(word) is None:
                raise SettingsError(f"{name}={word}: write origins such as https://app.example.com, in lower case")
        return words

    def get_hosts(self, name: str) -> tuple[str, ...]:
        """A list of host names, each with its port if clients send one."""
        for word in (words := self.get_list(name)):
            if _HOST.fullmatch(word) is None:
                raise SettingsError(f"{name}={word}: write hosts such as mcp.example.com or mcp.internal:3000")
        return words

    def get_networks(self, name: str) -> tuple[str, ...]:
        """A list of addresses or networks. All addresses are none: anybody could then write what is believed."""
        for word in (words := self.get_list(name)):
            if not _is_part_of_the_network(word):
                raise SettingsError(f"{name}={word}: write addresses such as 10.0.0.7 or 10.0.0.0/24")
        return words

    def get_url(self, name: str) -> str | None:
        """An absolute http(s) URL without user, query or fragment. Nothing is normalised: issuers compare as text."""
        value = self.get_str(name)
        if value is not None:
            try:
                validate_http_url(name, value)
            except ValueError as error:
                raise SettingsError(str(error)) from error
        return value

    def get_secret(self, name: str, *, required: bool) -> str | None:
        """The secret in NAME, or in the file that NAME_FILE names (without its last line break).

        A file that is missing is an error only where the secret is `required`.
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
        """A line for each variable whose name is within two edits of a known one. Its value is not looked at.

        Args:
            known: the names that count.
            other_known: names that mean something to somebody else, so that they are no typing errors.
        """
        names = set(known)
        guarded = [name for name in sorted(names) if len(name) >= _MIN_TYPO_CHECK_LENGTH]
        for variable in sorted(self._variables.keys() - names - set(other_known)):
            for name in guarded:
                if abs(len(name) - len(variable)) <= 2 and _levenshtein(variable, name) <= 2:  # noqa: PLR2004 - the two edits
                    yield f"{variable} is not a setting: did you mean {name}?"
                    break

    def reject_typos(self, known: Iterable[str], other_known: Iterable[str] = ()) -> None:
        """Refuse the first of these: a typing error must not pass in silence."""
        for line in self.find_typos(known, other_known):
            raise SettingsError(line)


def _is_part_of_the_network(word: str) -> bool:
    try:
        return ip_network(word, strict=False).prefixlen > 0
    except ValueError:
        return False


def _levenshtein(one: str, other: str) -> int:
    """Levenshtein distance."""
    row = list(range(len(other) + 1))
    for i, a in enumerate(one, 1):
        previous, row = row, [i]
        for j, b in enumerate(other, 1):
            row.append(min(previous[j] + 1, row[-1] + 1, previous[j - 1] + (a != b)))
    return row[-1]
