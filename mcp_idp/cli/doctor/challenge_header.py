"""Parses the `WWW-Authenticate` header (RFC 9110 section 11.6.1, RFC 6750 section 3)."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

_BEARER = re.compile(r"(?:^|,)\s*bearer(?=\s|,|$)", re.IGNORECASE)
# Possessive, so that no white space is tried twice: the time is linear in the header's length.
_PARAMETER = re.compile(r'\s*+,?\s*+([A-Za-z0-9_-]++)\s*+=\s*+(?:"((?:[^"\\]|\\.)*+)"|([^\s,"]++))')


@dataclass(frozen=True, slots=True)
class Challenge:
    """A Bearer challenge.

    Attributes:
        parameters: The challenge's parameters, with names in lower case.
    """

    parameters: dict[str, str] = field(default_factory=dict)

    @property
    def scopes(self) -> tuple[str, ...]:
        """The scopes that a login should request."""
        return tuple(self.parameters.get("scope", "").split())


def read_challenge(header: str) -> Challenge | None:
    """Parses the Bearer challenge in `header`. If a parameter is repeated, the first value is used.

    Returns:
        The challenge, or None if there is no Bearer challenge.
    """
    start = _BEARER.search(header)
    if start is None:
        return None
    parameters: dict[str, str] = {}
    position = start.end()
    while (found := _PARAMETER.match(header, position)) is not None:
        name, quoted, plain = found.groups()
        parameters.setdefault(name.lower(), re.sub(r"\\(.)", r"\1", quoted) if plain is None else plain)
        position = found.end()
    return Challenge(parameters)
