"""The realm roles that bring scopes. They are in no default: a role is what somebody decided to give."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scripts.bootstrap.plan import Change

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mcp_server.access import Access
    from scripts.bootstrap.keycloak.actual import Actual


def role_changes(access: Access, actual: Actual) -> Iterator[Change]:
    """The roles that are missing. Roles that are there stay as they are."""
    for role in access.roles:
        if role not in actual.roles:
            scopes = ", ".join(name for name, scope in access.scopes.items() if role in scope.roles)
            yield Change(f"role {role}: create", "POST", ("roles",), {"name": role, "description": f"Brings {scopes}"})
