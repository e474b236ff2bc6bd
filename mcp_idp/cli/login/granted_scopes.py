"""Finds the requested scopes that a token does not contain, and the roles that would grant them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mcp_idp.cli.common.launcher import BOOTSTRAP_CHECK
from mcp_idp.cli.common.token_summary import join_or, roles, scopes, string_list

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from mcp_idp.access.policy import AccessPolicy
    from mcp_idp.cli.common.token_summary import Claims


def missing_scopes(
    requested: Iterable[str], token_response: Mapping[str, Any], claims: Claims | None, access: AccessPolicy | None
) -> list[str]:
    """Returns the requested scopes that no granted scope equals or implies.

    Args:
        requested: The scopes of the authorization request.
        token_response: The token endpoint's response.
        claims: The claims of the access token, or None if it cannot be decoded.
        access: Defines which scope implies which, if the access file is available.
    """
    # Without `scope` in the response, the requested scopes were granted (RFC 6749 section 5.1), unless the token
    # itself names scopes.
    is_stated = "scope" in token_response or any(name in (claims or {}) for name in ("scope", "scp"))
    if not is_stated:
        return []
    granted = set(string_list(token_response["scope"]) if "scope" in token_response else scopes(claims or {}))
    if token_response.get("refresh_token"):
        granted.add("offline_access")  # the refresh token implies it, and some providers do not list it
    if access is not None:
        granted |= access.effective_scopes(granted)
    return [name for name in dict.fromkeys(requested) if name not in granted]


def describe_missing(missing: Iterable[str], claims: Claims | None, access: AccessPolicy | None) -> str:
    """Returns `not granted: a (needs the role x or y), b`; roles are known only for scopes of the access file.

    Args:
        missing: The scopes that were requested and not granted.
        claims: The claims of the access token. If it has a role of the scope, the user does not lack it.
        access: Defines which roles grant which scope, if the access file is available.
    """
    held = set(roles(claims, access.roles_claim)) if claims and access is not None else set()
    return f"not granted: {', '.join(_describe(name, held, access) for name in missing)}"


def _describe(name: str, held: set[str], access: AccessPolicy | None) -> str:
    scope = access.scopes.get(name) if access is not None else None
    if scope is None:
        return name
    if own := [role for role in scope.roles if role in held]:
        return f"{name} (the user has its role {own[0]}, so the scope has lost it at the provider: {BOOTSTRAP_CHECK})"
    return f"{name} (needs the role {join_or(scope.roles)})"
