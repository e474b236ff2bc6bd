"""What a person holds at the provider, as its tokens show it: roles, or groups where it has no scopes of one's own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from mcp_server.access import Access


def words(value: object) -> list[str]:
    """A claim that is one string, a space-separated string or a list, as a list of strings."""
    if isinstance(value, str):
        return value.split()
    return [part for part in value if isinstance(part, str)] if isinstance(value, list) else []


def roles(claims: Mapping[str, Any], roles_claim: str = "roles") -> list[str]:
    """The person's roles, wherever the provider writes them."""
    realm = claims.get("realm_access")
    found = words(claims.get(roles_claim)) or words(claims.get("roles"))
    return found or (words(realm.get("roles")) if isinstance(realm, dict) else [])


def names_scopes(claims: Mapping[str, Any]) -> bool:
    """Whether the provider writes scopes into its tokens. Dex does not: groups bring them."""
    return "scope" in claims or "scp" in claims


def held(claims: Mapping[str, Any], roles_claim: str = "roles") -> tuple[str, list[str]]:
    """What the person holds: "role", "group", or "role or group" where the token shows neither; and which."""
    found = roles(claims, roles_claim)
    if found or names_scopes(claims):
        return "role", found
    groups = words(claims.get("groups"))
    return ("group" if groups else "role or group"), groups


def bringing(access: Access, scope: str, kind: str) -> str:
    """What of this `kind` brings the scope: `the role a or b`, `the group c`."""
    needed = access.scopes[scope].roles
    by_group = access.groups_with(needed) if "group" in kind else ()
    return f"the {kind} {one_of(by_group or needed)}"


def one_of(names: Iterable[str]) -> str:
    """`a`, `a or b`, `a, b or c`."""
    *most, last = names
    return f"{', '.join(most)} or {last}" if most else last
