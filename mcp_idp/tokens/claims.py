"""What the claims of an access token must say: RFC 7519 section 4.1, RFC 8725 section 3, RFC 9068 sections 2.2 and 4.

`validate_claims` gets claims whose signature is verified. It decides only whether they are those of an access
token, of this issuer, for this resource, now.

What verified claims grant: the scopes, and the roles behind them.

Two kinds of provider. Most bind scopes to people: what stands in the token was granted, and the roles, if the token
lists them, only tell what a further login could bring. The others give a scope to whichever client asks, or know none:
there the person's roles decide, and a scope in the token can take away but never add.

The claims that tools may read: those that the access file names, of a person, and no more than fits.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mcp_idp.errors import InvalidToken, TokenErrorReason
from mcp_idp.principal import Principal

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from mcp_idp.access.policy import AccessPolicy
    from mcp_idp.principal import ClaimValue
    from mcp_idp.providers import ProviderProfile


def scopes_from_claims(claims: Mapping[str, Any], profile: ProviderProfile, prefix: str) -> frozenset[str]:
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
            granted.update(_string_list(value, name))
    return frozenset(name.removeprefix(prefix) for name in granted - {""})


def roles_from_claims(
    claims: Mapping[str, Any], name: str, profile: ProviderProfile, access: AccessPolicy
) -> frozenset[str] | None:
    """The person's roles for this resource, groups read as the roles that they stand for; None where nothing tells.

    Raises:
        InvalidToken: the claim is no list of texts (or no object, where the provider writes one).
    """
    value = claims.get(name)
    if value is None:
        return frozenset() if profile.scopes_from_roles else None
    named = list(value) if profile.roles_are_object_keys and isinstance(value, dict) else _string_list(value, name)
    # Where roles bring scopes, they are groups of people; elsewhere the provider was given these very roles.
    return (
        access.roles_for_groups(named)
        if profile.scopes_from_roles
        else access.roles_for_groups(named) | frozenset(named)
    )


def scopes_from_roles(
    requested: frozenset[str], roles: frozenset[str], access: AccessPolicy, *, has_audience: bool
) -> frozenset[str]:
    """Returns the scopes that `roles` grant, reduced to those in `requested` if it names any scope of this server.

    `has_audience` says whether the token names its audience. Where it does not (Cognito), only its scopes tell what it
    is for: a token that names other servers' scopes only grants nothing.
    """
    granted = access.effective_scopes(access.scopes_granted_by(roles))
    narrower = access.effective_scopes(requested)
    return granted & narrower if narrower or (requested and not has_audience) else granted


def _string_list(value: object, name: str) -> list[str]:
    if not isinstance(value, list) or not all(isinstance(entry, str) for entry in value):
        raise InvalidToken(TokenErrorReason.CLAIMS_MALFORMED, expected=f"{name}, a list of texts", got=value)
    return value


_MAX_CHARACTERS = 2048  # of all claims of one principal together, as JSON


def select_exposed_claims(claims: Mapping[str, Any], names: Iterable[str]) -> tuple[tuple[str, ClaimValue], ...]:
    """The claims called `names`, in that order, as far as they are texts, numbers, booleans or lists of texts.

    What is of another kind, or would not fit any more, is left out: no token is refused for it.
    """
    chosen: list[tuple[str, ClaimValue]] = []
    remaining = _MAX_CHARACTERS
    for name in names:
        value = _immutable_value(claims.get(name))
        size = len(json.dumps(value))
        if value is not None and size <= remaining:
            chosen.append((name, value))
            remaining -= size
    return tuple(chosen)


def _immutable_value(value: object) -> ClaimValue | None:
    """`value` in a form that cannot change; None for an object, a mixed list or nothing."""
    if isinstance(value, str | int | float):  # a boolean is an int
        return value
    if isinstance(value, list) and all(isinstance(entry, str) for entry in value):
        return tuple(value)
    return None


_MAX_TEXT = 2048  # characters of an identifier we keep
_MAX_NUMERIC_DATE = 2**53  # seconds: beyond it a float is no longer exact


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimsPolicy:
    """What is expected of every token. Durations in seconds.

    Attributes:
        issuer: whose tokens these are; `aliases` are other values of `iss` that mean the same.
        audience: ours. Tokens without any audience count only if they are of one of `clients`.
        profile: how the provider writes its tokens.
        access: which roles bring which scopes, and which groups stand for roles.
        roles_claim: the claim that lists the person's roles for this resource.
        service_clients: whose tokens need no person.
        leeway: how far two clocks may disagree.
        max_lifetime: from `iat` to `exp`.
    """

    issuer: str
    aliases: frozenset[str] = frozenset()
    audience: str
    clients: frozenset[str] = frozenset()
    service_clients: frozenset[str] = frozenset()
    profile: ProviderProfile
    access: AccessPolicy
    roles_claim: str
    leeway: float
    max_lifetime: float


def validate_claims(claims: Mapping[str, Any], rules: ClaimsPolicy, now: float) -> Principal:
    """The principal that the claims stand for, at `now` (seconds since the epoch).

    Raises:
        InvalidToken: with the reason, what was expected and what was there.
    """
    issuer = claims.get("iss")
    if issuer != rules.issuer and not (isinstance(issuer, str) and issuer in rules.aliases):
        raise InvalidToken(TokenErrorReason.ISSUER, expected=rules.issuer, got=issuer)
    client = next((c for name in rules.profile.client_claims if (c := _string_claim(claims, name)) is not None), None)
    _check_audience(claims, rules, client)
    expires_at = _check_times(claims, rules, now)
    _check_type(claims, rules)
    subject = _string_claim(claims, "sub")
    has_end_user = _has_end_user(claims, rules.profile, client, subject)
    if not has_end_user and client not in rules.service_clients:
        raise InvalidToken(
            TokenErrorReason.NO_END_USER, expected="a token of a logged-in person, or of a machine client", got=client
        )
    scopes = scopes_from_claims(claims, rules.profile, rules.access.scope_prefix)
    roles = roles_from_claims(claims, rules.roles_claim, rules.profile, rules.access)
    if rules.profile.scopes_from_roles and roles is not None:
        # A machine's own scopes were given to it by name: nobody logs in who might lack a role.
        own = frozenset() if has_end_user else scopes
        scopes = own | scopes_from_roles(scopes, roles, rules.access, has_audience="aud" in claims)
    return Principal(
        issuer=rules.issuer,
        subject=subject,
        client=client,
        scopes=scopes,
        expires_at=expires_at,
        roles=roles,
        claims=select_exposed_claims(claims, rules.access.claims),
    )


def _check_audience(claims: Mapping[str, Any], rules: ClaimsPolicy, client: str | None) -> None:
    """One of the audiences is ours, as text: no prefix, no other spelling of the URL (RFC 7519 section 4.1.3)."""
    if rules.clients and "aud" not in claims:
        if client not in rules.clients:
            raise InvalidToken(
                TokenErrorReason.AUDIENCE, expected=f"an audience, or a client of {sorted(rules.clients)}", got=client
            )
        return
    audience = claims.get("aud")
    listed = audience if isinstance(audience, list) else [audience]
    if not all(isinstance(entry, str) for entry in listed) or rules.audience not in listed:
        raise InvalidToken(TokenErrorReason.AUDIENCE, expected=rules.audience, got=audience)


def _check_times(claims: Mapping[str, Any], rules: ClaimsPolicy, now: float) -> float:
    """`exp` must be there; `nbf` and `iat` count where they are. The end it is good until, without leeway."""
    expires_at = _numeric_date(claims, "exp")
    if expires_at is None:
        raise InvalidToken(TokenErrorReason.CLAIMS_MALFORMED, expected="exp", got=None)
    if expires_at + rules.leeway <= now:
        raise InvalidToken(TokenErrorReason.EXPIRED, expected=now, got=expires_at)
    not_before = _numeric_date(claims, "nbf")
    if not_before is not None and not_before - rules.leeway > now:
        raise InvalidToken(TokenErrorReason.NOT_YET_VALID, expected=now, got=not_before)
    issued_at = _numeric_date(claims, "iat")
    if issued_at is not None and issued_at - rules.leeway > now:
        raise InvalidToken(TokenErrorReason.IAT_IN_FUTURE, expected=now, got=issued_at)
    # A provider that can be talked into a ten-year token is not believed. Without iat, what is left counts.
    lifetime = expires_at - (issued_at if issued_at is not None else now)
    if lifetime > rules.max_lifetime:
        raise InvalidToken(TokenErrorReason.LIFETIME, expected=rules.max_lifetime, got=lifetime)
    return expires_at


def _numeric_date(claims: Mapping[str, Any], name: str) -> float | None:
    """A NumericDate (RFC 7519 section 2): a JSON number, fractions allowed. A string or a boolean is none."""
    value = claims.get(name)
    if value is None and name not in claims:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InvalidToken(TokenErrorReason.CLAIMS_MALFORMED, expected=f"{name}, a number", got=value)
    if not 0 <= value <= _MAX_NUMERIC_DATE:
        raise InvalidToken(TokenErrorReason.CLAIMS_MALFORMED, expected=f"{name}, seconds since the epoch", got=value)
    return float(value)


def _check_type(claims: Mapping[str, Any], rules: ClaimsPolicy) -> None:
    """An access token, not an ID, refresh or logout token of the same issuer; and a bearer token."""
    if "cnf" in claims:
        raise InvalidToken(
            TokenErrorReason.SENDER_BOUND, expected="a bearer token", got="a token bound to its sender (cnf)"
        )
    if "events" in claims:  # OpenID Connect Back-Channel Logout 1.0 section 2.4, RFC 8417
        raise InvalidToken(TokenErrorReason.TOKEN_TYPE, expected="no events", got="a logout or security event token")
    for name, accepted in rules.profile.token_type_claims:
        value = claims.get(name)
        kind = value.lower() if isinstance(value, str) else value
        if not isinstance(kind, str | None) or kind not in accepted:
            raise InvalidToken(TokenErrorReason.TOKEN_TYPE, expected=f"{name} of an access token", got=value)
    claim_names = rules.profile.access_token_only_claims
    if claim_names and all(_string_claim(claims, claim_name) is None for claim_name in claim_names):
        raise InvalidToken(
            TokenErrorReason.TOKEN_TYPE, expected=f"{' or '.join(claim_names)}, as in an access token", got=None
        )


def _has_end_user(claims: Mapping[str, Any], profile: ProviderProfile, client: str | None, subject: str | None) -> bool:
    """Whether somebody logged in for this token, as far as the provider lets us tell."""
    if profile.user_claim is not None:
        return _string_claim(claims, profile.user_claim) is not None
    return profile.service_subject_pattern is None or subject != profile.service_subject_pattern.format(client)


def _string_claim(claims: Mapping[str, Any], name: str) -> str | None:
    value = claims.get(name)
    if value is None:
        return None
    if not isinstance(value, str) or not 0 < len(value) <= _MAX_TEXT:
        raise InvalidToken(TokenErrorReason.CLAIMS_MALFORMED, expected=f"{name}, a text", got=value)
    return value
