"""Which of the scopes that were asked for a token does not bring, and which role would bring each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mcp_idp.cli.common.token_summary import join_or, scopes, string_list

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from mcp_idp.access.policy import AccessPolicy
    from mcp_idp.cli.common.token_summary import Claims


def missing_scopes(
    requested: Iterable[str], token_response: Mapping[str, Any], claims: Claims | None, access: AccessPolicy | None
) -> list[str]:
    """The scopes that were `requested` for and that nothing granted contains or implies.

    Args:
        requested: what the login asked for.
        token_response: the token endpoint's answer.
        claims: those of the token, or None if it cannot be read.
        access: what implies what, where the access file is at hand.
    """
    # An answer without scope granted what was asked (RFC 6749 section 5.1), unless the token itself says otherwise.
    is_stated = "scope" in token_response or any(name in (claims or {}) for name in ("scope", "scp"))
    if not is_stated:
        return []
    granted = set(string_list(token_response["scope"]) if "scope" in token_response else scopes(claims or {}))
    if token_response.get("refresh_token"):
        granted.add("offline_access")  # it asks for that token, and some providers do not name it again
    if access is not None:
        granted |= access.effective_scopes(granted)
    return [name for name in dict.fromkeys(requested) if name not in granted]


def describe_missing(missing: Iterable[str], access: AccessPolicy | None) -> str:
    """`not granted: a (needs the role x or y), b`: a scope that the access file does not know stands alone."""
    named = []
    for name in missing:
        scope = access.scopes.get(name) if access is not None else None
        named.append(f"{name} (needs the role {join_or(scope.roles)})" if scope is not None else name)
    return f"not granted: {', '.join(named)}"
