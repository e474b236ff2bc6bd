"""What the claims of an access token must say: RFC 7519 section 4.1, RFC 8725 section 3, RFC 9068 sections 2.2 and 4.

`judge` sees claims whose signature has been verified. It decides nothing else than whether they are those of an access
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

from mcp_idp.errors import InvalidToken, Reason
from mcp_idp.principal import Principal

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from mcp_idp.access.policy import Access
    from mcp_idp.principal import ClaimValue
    from mcp_idp.providers import ProviderProfile


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


_MOST_CHARACTERS = 2048  # of all claims of one principal together, as JSON


def select(claims: Mapping[str, Any], names: Iterable[str]) -> tuple[tuple[str, ClaimValue], ...]:
    """The claims called `names`, in that order, as far as they are texts, numbers, booleans or lists of texts.

    What is of another kind, or would not fit any more, is left out: no token is refused for it.
    """
    chosen: list[tuple[str, ClaimValue]] = []
    room = _MOST_CHARACTERS
    for name in names:
        value = _plain(claims.get(name))
        size = len(json.dumps(value))
        if value is not None and size <= room:
            chosen.append((name, value))
            room -= size
    return tuple(chosen)


def _plain(value: object) -> ClaimValue | None:
    """`value` in a form that cannot change; None for an object, a mixed list or nothing."""
    if isinstance(value, str | int | float):  # a boolean is an int
        return value
    if isinstance(value, list) and all(isinstance(entry, str) for entry in value):
        return tuple(value)
    return None


_MAX_TEXT = 2048  # characters of an identifier we keep
_LAST_MOMENT = 2**53  # seconds: beyond it a float is no longer exact


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimRules:
    """What is expected of every token. Durations in seconds.

    Attributes:
        issuer: whose tokens these are; `aliases` are other values of `iss` that mean the same.
        audience: ours. Tokens without any audience count only if they are of one of `clients`.
        profile: how the provider writes its tokens.
        access: which roles bring which scopes, and which groups stand for roles.
        roles_claim: the claim that lists the person's roles for this resource.
        machine_clients: whose tokens need no person.
        leeway: how far two clocks may disagree.
        max_lifetime: from `iat` to `exp`.
    """

    issuer: str
    aliases: frozenset[str] = frozenset()
    audience: str
    clients: frozenset[str] = frozenset()
    machine_clients: frozenset[str] = frozenset()
    profile: ProviderProfile
    access: Access
    roles_claim: str
    leeway: float
    max_lifetime: float


def judge(claims: Mapping[str, Any], rules: ClaimRules, now: float) -> Principal:
    """The principal that the claims stand for, at `now` (seconds since the epoch).

    Raises:
        InvalidToken: with the reason, what was expected and what was there.
    """
    issuer = claims.get("iss")
    if issuer != rules.issuer and not (isinstance(issuer, str) and issuer in rules.aliases):
        raise InvalidToken(Reason.ISSUER, expected=rules.issuer, got=issuer)
    client = next((c for name in rules.profile.client_claims if (c := _text(claims, name)) is not None), None)
    _check_audience(claims, rules, client)
    expires_at = _check_times(claims, rules, now)
    _check_type(claims, rules)
    subject = _text(claims, "sub")
    a_person_s = _names_a_person(claims, rules.profile, client, subject)
    if not a_person_s and client not in rules.machine_clients:
        raise InvalidToken(Reason.NO_USER, expected="a token of a logged-in person, or of a machine client", got=client)
    scopes = scopes_in(claims, rules.profile, rules.access.scope_prefix)
    roles = roles_in(claims, rules.roles_claim, rules.profile, rules.access)
    if rules.profile.scopes_from_roles and roles is not None:
        # A machine's own scopes were given to it by name: nobody logs in who might lack a role.
        own = frozenset() if a_person_s else scopes
        scopes = own | scopes_by_roles(scopes, roles, rules.access, for_us="aud" in claims)
    return Principal(
        issuer=rules.issuer,
        subject=subject,
        client=client,
        scopes=scopes,
        expires_at=expires_at,
        roles=roles,
        claims=select(claims, rules.access.claims),
    )


def _check_audience(claims: Mapping[str, Any], rules: ClaimRules, client: str | None) -> None:
    """One of the audiences is ours, as text: no prefix, no other spelling of the URL (RFC 7519 section 4.1.3)."""
    if rules.clients and "aud" not in claims:
        if client not in rules.clients:
            raise InvalidToken(
                Reason.AUDIENCE, expected=f"an audience, or a client of {sorted(rules.clients)}", got=client
            )
        return
    audience = claims.get("aud")
    listed = audience if isinstance(audience, list) else [audience]
    if not all(isinstance(entry, str) for entry in listed) or rules.audience not in listed:
        raise InvalidToken(Reason.AUDIENCE, expected=rules.audience, got=audience)


def _check_times(claims: Mapping[str, Any], rules: ClaimRules, now: float) -> float:
    """`exp` must be there; `nbf` and `iat` count where they are. The end it is good until, without leeway."""
    expires_at = _moment(claims, "exp")
    if expires_at is None:
        raise InvalidToken(Reason.CLAIMS_MALFORMED, expected="exp", got=None)
    if expires_at + rules.leeway <= now:
        raise InvalidToken(Reason.EXPIRED, expected=now, got=expires_at)
    not_before = _moment(claims, "nbf")
    if not_before is not None and not_before - rules.leeway > now:
        raise InvalidToken(Reason.NOT_YET_VALID, expected=now, got=not_before)
    issued_at = _moment(claims, "iat")
    if issued_at is not None and issued_at - rules.leeway > now:
        raise InvalidToken(Reason.ISSUED_IN_FUTURE, expected=now, got=issued_at)
    # A provider that can be talked into a ten-year token is not believed. Without iat, what is left counts.
    lifetime = expires_at - (issued_at if issued_at is not None else now)
    if lifetime > rules.max_lifetime:
        raise InvalidToken(Reason.LIFETIME, expected=rules.max_lifetime, got=lifetime)
    return expires_at


def _moment(claims: Mapping[str, Any], name: str) -> float | None:
    """A NumericDate (RFC 7519 section 2): a JSON number, fractions allowed. A string or a boolean is none."""
    value = claims.get(name)
    if value is None and name not in claims:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InvalidToken(Reason.CLAIMS_MALFORMED, expected=f"{name}, a number", got=value)
    if not 0 <= value <= _LAST_MOMENT:
        raise InvalidToken(Reason.CLAIMS_MALFORMED, expected=f"{name}, seconds since the epoch", got=value)
    return float(value)


def _check_type(claims: Mapping[str, Any], rules: ClaimRules) -> None:
    """An access token, not an ID, refresh or logout token of the same issuer; and a bearer token."""
    if "cnf" in claims:
        raise InvalidToken(Reason.SENDER_BOUND, expected="a bearer token", got="a token bound to its sender (cnf)")
    if "events" in claims:  # OpenID Connect Back-Channel Logout 1.0 section 2.4, RFC 8417
        raise InvalidToken(Reason.TOKEN_TYPE, expected="no events", got="a logout or security event token")
    for name, accepted in rules.profile.claim_types:
        value = claims.get(name)
        kind = value.lower() if isinstance(value, str) else value
        if not isinstance(kind, str | None) or kind not in accepted:
            raise InvalidToken(Reason.TOKEN_TYPE, expected=f"{name} of an access token", got=value)
    marks = rules.profile.access_marks
    if marks and all(_text(claims, mark) is None for mark in marks):
        raise InvalidToken(Reason.TOKEN_TYPE, expected=f"{' or '.join(marks)}, as in an access token", got=None)


def _names_a_person(
    claims: Mapping[str, Any], profile: ProviderProfile, client: str | None, subject: str | None
) -> bool:
    """Whether somebody logged in for this token, as far as the provider lets us tell."""
    if profile.user_claim is not None:
        return _text(claims, profile.user_claim) is not None
    return profile.machine_subject is None or subject != profile.machine_subject.format(client)


def _text(claims: Mapping[str, Any], name: str) -> str | None:
    value = claims.get(name)
    if value is None:
        return None
    if not isinstance(value, str) or not 0 < len(value) <= _MAX_TEXT:
        raise InvalidToken(Reason.CLAIMS_MALFORMED, expected=f"{name}, a text", got=value)
    return value
