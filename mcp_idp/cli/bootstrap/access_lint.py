"""Lint warnings of `plan` and `check`: settings in the access file that are valid but probably not intended."""

from __future__ import annotations

from collections import Counter
from difflib import get_close_matches
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mcp_idp.access.policy import AccessPolicy

_SIMILARITY = 0.85  # ratio of difflib: mcp-raeder resembles mcp-reader, mcp-writer does not


def lint(access: AccessPolicy) -> Iterator[str]:
    """Yields a warning for each role or group that looks like a mistake."""
    yield from _roles(access)
    yield from _groups(access)


def _roles(access: AccessPolicy) -> Iterator[str]:
    """Warns about a role that occurs only once and resembles a role that occurs more often."""
    uses = Counter(role for scope in access.scopes.values() for role in scope.roles)
    uses.update(role for user in access.demo_users.values() for role in user.roles)
    uses.update(role for roles in access.groups.values() for role in roles)
    for name, scope in access.scopes.items():
        for role in scope.roles:
            known = [other for other, count in uses.items() if count > 1 and other != role]
            if uses[role] == 1 and (close := get_close_matches(role, known, 1, _SIMILARITY)):
                yield f"scopes.{name}.roles: '{role}' is used nowhere else: did you mean '{close[0]}'?"


def _groups(access: AccessPolicy) -> Iterator[str]:
    """Warns about groups that grant no role, and about groups whose names differ in case only."""
    seen: dict[str, str] = {}
    for name, roles in access.groups.items():
        if not roles:
            yield f"groups.{name}: has no roles, so its members get nothing"
        if (other := seen.setdefault(name.casefold(), name)) != name:
            yield f"groups.{name}: differs from '{other}' only in upper and lower case"
