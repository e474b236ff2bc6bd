"""Describes tokens in plain words.

Claims are decoded without verification, to explain what the server does. A client must not rely on the content of an
access token (RFC 9068 section 6); validation is the server's task.

A user's permissions appear as roles, or as groups for providers whose tokens have no custom scopes (Dex).
"""

from __future__ import annotations

import base64
import binascii
import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from mcp_idp.access.policy import AccessPolicy


def string_list(value: object) -> list[str]:
    """Returns a claim as a list of strings; the claim may be a list or a space-separated string."""
    if isinstance(value, str):
        return value.split()
    return [part for part in value if isinstance(part, str)] if isinstance(value, list) else []


def roles(claims: Mapping[str, Any], roles_claim: str = "roles") -> list[str]:
    """Returns the user's roles.

    Args:
        claims: The claims of the token.
        roles_claim: The claim that the access file names. Fallbacks are `roles` and Keycloak's `realm_access.roles`.
    """
    realm = claims.get("realm_access")
    found = string_list(claims.get(roles_claim)) or string_list(claims.get("roles"))
    return found or (string_list(realm.get("roles")) if isinstance(realm, dict) else [])


def names_scopes(claims: Mapping[str, Any]) -> bool:
    """Returns whether the token has a scope claim. Dex's tokens have none: there, groups grant scopes."""
    return "scope" in claims or "scp" in claims


def roles_or_groups(claims: Mapping[str, Any], roles_claim: str = "roles") -> tuple[str, list[str]]:
    """Returns the user's roles, or the groups if the token has neither roles nor scopes.

    Args:
        claims: The claims of the token.
        roles_claim: See `roles`.

    Returns:
        A noun for messages ("role", "group", or "role or group" if the token has neither), and the names.
    """
    found = roles(claims, roles_claim)
    if found or names_scopes(claims):
        return "role", found
    groups = string_list(claims.get("groups"))
    return ("group" if groups else "role or group"), groups


def roles_granting(access: AccessPolicy, scope: str, kind: str) -> str:
    """Returns the roles or groups that grant `scope`, as text: `the role a or b`, `the group c`.

    Args:
        access: The access policy.
        scope: A scope of the access policy.
        kind: The noun from `roles_or_groups`.
    """
    granting = access.scopes[scope].roles
    by_group = access.groups_granting(granting) if "group" in kind else ()
    return f"the {kind} {join_or(by_group or granting)}"


def join_or(names: Iterable[str]) -> str:
    """Returns `a`, `a or b`, or `a, b or c`. `names` must not be empty."""
    *leading, last = names
    return f"{', '.join(leading)} or {last}" if leading else last


Claims = dict[str, Any]
_JWT_PARTS = 3


def decode_unverified_claims(token: str) -> Claims | None:
    """Returns the unverified claims of a JWT (RFC 7519 section 3), or None if the token is not a JWT."""
    return decode_segment(token, 1) if token.count(".") == _JWT_PARTS - 1 else None


def decode_segment(token: str, index: int) -> dict[str, Any] | None:
    """Decodes one segment of a token in compact serialization as a JSON object, without verification.

    Args:
        token: The token.
        index: 0 for the header, 1 for the claims.

    Returns:
        The JSON object, or None if the segment is missing or not a JSON object.
    """
    parts = token.split(".")
    if index >= len(parts):
        return None
    try:
        value = json.loads(base64.urlsafe_b64decode(parts[index] + "=" * (-len(parts[index]) % 4)))
    except (binascii.Error, ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def audiences(claims: Mapping[str, Any]) -> list[str]:
    """Returns `aud`, which is a string or a list (RFC 7519 section 4.1.3), as a list."""
    aud = claims.get("aud")
    return [aud] if isinstance(aud, str) else string_list(aud)


def scopes(claims: Mapping[str, Any]) -> list[str]:
    """Returns the granted scopes from `scope` and `scp`."""
    return string_list(claims.get("scope")) + string_list(claims.get("scp"))


def describe_claims(claims: Claims, now: float, roles_claim: str = "roles") -> list[str]:
    """Describes a token: issuer, user, audience, client, scopes, roles or groups, and remaining lifetime.

    Args:
        claims: The claims of the token.
        now: The current time, in seconds since the epoch.
        roles_claim: See `roles`.

    Returns:
        Lines of text.
    """
    subject = claims.get("sub", "missing")
    user = claims.get("preferred_username") or claims.get("username") or subject
    lines = [
        f"issued by   {claims.get('iss', 'unknown')}  (iss)",
        f"subject     {user}" + (f"  (sub {subject})" if subject != user else ""),
        f"audience    {', '.join(audiences(claims)) or 'none'}  (aud: the servers that may accept it)",
        f"client      {claims.get('azp') or claims.get('client_id') or 'unknown'}",
    ]
    kind, names = roles_or_groups(claims, roles_claim)
    if names_scopes(claims) or not names:
        lines.append(f"scopes      {' '.join(scopes(claims)) or 'none'}  (scope)")
    else:
        lines.append(f"scopes      those of its {kind}s: this provider writes no scopes into its tokens")
    if names:
        lines.append(f"{kind + 's':11} {' '.join(names)}")
    if isinstance(expiry := claims.get("exp"), int | float):
        lines.append(f"expires     {_time_left(expiry, now)}  (exp)")
    return lines


def _time_left(expiry: float, now: float) -> str:
    try:
        return f"in {max(0, round((expiry - now) / 60))} min"
    except (OverflowError, ValueError):  # a number too large, an infinite one, or none (NaN): JSON of a provider
        return "at no time that can be computed"
