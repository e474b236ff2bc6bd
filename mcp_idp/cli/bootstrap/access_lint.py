"""What an access file says that fits together and was hardly meant: said as warnings by `plan` and `check`."""

from __future__ import annotations

from collections import Counter
from difflib import get_close_matches
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mcp_idp.access.policy import AccessPolicy

_SIMILARITY = 0.85  # of the letters, in their order: mcp-raeder is like mcp-reader, mcp-writer is not


def lint(access: AccessPolicy) -> Iterator[str]:
    """A line for each role or group that looks like a typing error."""
    yield from _roles(access)
    yield from _groups(access)


def _roles(access: AccessPolicy) -> Iterator[str]:
    """A role that stands in one place only and is written almost like one that is used more: it brings little."""
    uses = Counter(role for scope in access.scopes.values() for role in scope.roles)
    uses.update(role for user in access.demo_users.values() for role in user.roles)
    uses.update(role for roles in access.groups.values() for role in roles)
    for name, scope in access.scopes.items():
        for role in scope.roles:
            known = [other for other, count in uses.items() if count > 1 and other != role]
            if uses[role] == 1 and (close := get_close_matches(role, known, 1, _SIMILARITY)):
                yield f"scopes.{name}.roles: '{role}' is used nowhere else: did you mean '{close[0]}'?"


def _groups(access: AccessPolicy) -> Iterator[str]:
    """A group that brings nothing, or is written like another one but for capitals: people land in the wrong one."""
    seen: dict[str, str] = {}
    for name, roles in access.groups.items():
        if not roles:
            yield f"groups.{name}: has no roles, so its members get nothing"
        if (other := seen.setdefault(name.casefold(), name)) != name:
            yield f"groups.{name}: differs from '{other}' only in upper and lower case"
