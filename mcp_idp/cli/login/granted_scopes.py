"""Which of the scopes that were asked for a token does not bring, and which role would bring each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mcp_idp.cli.common.token_summary import one_of, scopes, words

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from mcp_idp.access.policy import Access
    from mcp_idp.cli.common.token_summary import Claims


def missing_scopes(
    asked: Iterable[str], answer: Mapping[str, Any], claims: Claims | None, access: Access | None
) -> list[str]:
    """The scopes that were `asked` for and that nothing granted contains or implies.

    Args:
        asked: what the login asked for.
        answer: the token endpoint's answer.
        claims: those of the token, or None if it cannot be read.
        access: what implies what, where the access file is at hand.
    """
    # An answer without scope granted what was asked (RFC 6749 section 5.1), unless the token itself says otherwise.
    said = "scope" in answer or any(name in (claims or {}) for name in ("scope", "scp"))
    if not said:
        return []
    granted = set(words(answer["scope"]) if "scope" in answer else scopes(claims or {}))
    if answer.get("refresh_token"):
        granted.add("offline_access")  # it asks for that token, and some providers do not name it again
    if access is not None:
        granted |= access.expand(granted)
    return [name for name in dict.fromkeys(asked) if name not in granted]


def describe_missing(missing: Iterable[str], access: Access | None) -> str:
    """`not granted: a (needs the role x or y), b`: a scope that the access file does not know stands alone."""
    named = []
    for name in missing:
        scope = access.scopes.get(name) if access is not None else None
        named.append(f"{name} (needs the role {one_of(scope.roles)})" if scope is not None else name)
    return f"not granted: {', '.join(named)}"
