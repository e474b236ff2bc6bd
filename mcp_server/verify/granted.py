"""What verified claims grant: the scopes, and the roles behind them.

Two kinds of provider. Most bind scopes to people: what stands in the token was granted, and the roles, if the token
lists them, only tell what a further login could bring. The others give a scope to whichever client asks, or know none:
there the person's roles decide, and a scope in the token can take away but never add.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mcp_server.errors import InvalidToken, Reason

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mcp_server.access import Access
    from mcp_server.providers import ProviderProfile


def scopes_in(claims: Mapping[str, Any], profile: ProviderProfile, prefix: str) -> frozenset[str]:
    """RFC 9068 section 2.2.3: `scope`, separated by spaces; some providers write lists, or another claim.

    Some put a prefix before the names, and leave it out in tokens (Entra ID) or do not (Cognito): both are the scope.

    Raises:
        InvalidToken: a claim of scopes is neither a text nor a list of texts.
    """
    granted: set[str] = set()
    for name in profile.scope_claims:
        value = claims.get(name)
        if isinstance(value, str):
            granted.update(value.split(" "))
        elif value is not None:
            granted.update(_texts(value, name))
    return frozenset(name.removeprefix(prefix) for name in granted - {""})


def roles_in(claims: Mapping[str, Any], name: str, profile: ProviderProfile, access: Access) -> frozenset[str] | None:
    """The person's roles for this resource, groups read as the roles that they stand for; None where nothing tells.

    Raises:
        InvalidToken: the claim is no list of texts (or no object, where the provider writes one).
    """
    value = claims.get(name)
    if value is None:
        return frozenset() if profile.scopes_from_roles else None
    named = list(value) if profile.roles_are_members and isinstance(value, dict) else _texts(value, name)
    # Where roles bring scopes, they are groups of people; elsewhere the provider was given these very roles.
    return access.roles_of(named) if profile.scopes_from_roles else access.roles_of(named) | frozenset(named)


def scopes_by_roles(asked: frozenset[str], roles: frozenset[str], access: Access, *, for_us: bool) -> frozenset[str]:
    """The scopes that `roles` bring; of these only what was `asked` for, if that names any scope of ours.

    `for_us` is whether the token names its audience. Where it does not (Cognito), its scopes are all that tells what it
    is for: one that names scopes of others only was asked for elsewhere, and brings nothing.
    """
    brought = access.expand(access.scopes_of(roles))
    narrower = access.expand(asked)
    return brought & narrower if narrower or (asked and not for_us) else brought


def _texts(value: object, name: str) -> list[str]:
    if not isinstance(value, list) or not all(isinstance(entry, str) for entry in value):
        raise InvalidToken(Reason.CLAIMS_MALFORMED, expected=f"{name}, a list of texts", got=value)
    return value
