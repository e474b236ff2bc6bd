"""`WWW-Authenticate`, read: RFC 9110 section 11.6.1, RFC 6750 section 3."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

_BEARER = re.compile(r"(?:^|,)\s*bearer(?=\s|,|$)", re.IGNORECASE)
_PARAMETER = re.compile(r'\s*,?\s*([A-Za-z0-9_-]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]+))')


@dataclass(frozen=True, slots=True)
class Challenge:
    """The parameters of a Bearer challenge, by name in lower case."""

    parameters: dict[str, str] = field(default_factory=dict)

    @property
    def scopes(self) -> tuple[str, ...]:
        """What it says a login should ask for."""
        return tuple(self.parameters.get("scope", "").split())


def read_challenge(header: str) -> Challenge | None:
    """The Bearer challenge in `header`, or None if it has none. The first value of a repeated parameter counts."""
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
