"""The claims that tools may read: those that the access file names, of a person, and no more than fits."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from mcp_server.principal import ClaimValue

_MOST_CHARACTERS = 2048  # of all claims of one principal together, as JSON


def select(claims: Mapping[str, Any], names: Iterable[str]) -> tuple[tuple[str, ClaimValue], ...]:
    """The claims called `names`, in that order, as far as they are texts, numbers, booleans or lists of texts.

    What is of another kind, or would not fit any more, is left out: no token is refused for it.
    """
    chosen: list[tuple[str, ClaimValue]] = []
    room = _MOST_CHARACTERS
    for name in names:
        value = _plain(claims.get(name))
        size = len(json.dumps(value))
        if value is not None and size <= room:
            chosen.append((name, value))
            room -= size
    return tuple(chosen)


def _plain(value: object) -> ClaimValue | None:
    """`value` in a form that cannot change; None for an object, a mixed list or nothing."""
    if isinstance(value, str | int | float):  # a boolean is an int
        return value
    if isinstance(value, list) and all(isinstance(entry, str) for entry in value):
        return tuple(value)
    return None
