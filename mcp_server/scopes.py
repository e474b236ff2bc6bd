"""Whether a principal may: RFC 6750 section 3.1, MCP authorization 2026-07-28 "Step-Up Authorization Flow"."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mcp_server.errors import InsufficientScope, ScopeNotObtainable

if TYPE_CHECKING:
    from mcp_server.access import Access
    from mcp_server.principal import Principal


def require(principal: Principal, needed: tuple[str, ...], access: Access) -> None:
    """Let a principal pass whose token is good for all of `needed`; a broader scope is good for what it implies.

    Raises:
        InsufficientScope: a login could bring what is missing; names all of `needed`, not the missing part.
        ScopeNotObtainable: the token lists the person's roles, and none of them brings it.
    """
    missing = set(needed) - access.expand(principal.scopes)
    if not missing:
        return
    if principal.roles is not None:
        for scope in sorted(missing):
            roles = access.scopes[scope].roles
            if principal.roles.isdisjoint(roles):
                raise ScopeNotObtainable(needed, (*roles, *access.groups_with(roles)))
    raise InsufficientScope(needed)
