"""Validates the claims of an access token and builds the principal from them.

`validate_claims` expects claims whose signature has been verified, or the members of an introspection response. It
checks that they belong to an access token of the configured issuer, for this resource, that is valid now (RFC 7519
section 4.1, RFC 8725 section 3, RFC 9068 sections 2.2 and 4).

Scopes depend on the kind of provider (`ProviderProfile.scopes_from_roles`):

- Most providers grant a scope only to users who are entitled to it. The scopes in the token are then the granted
  scopes, and the roles, if the token lists them, only show which further scopes a new login could grant.
- Other providers put any requested scope into the token, or have no custom scopes. The user's roles then decide, and a
  scope in the token can narrow what the roles grant but never add to it.

Tools can read the claims that `claims` in the access file names, up to a limit on their total size.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mcp_idp.errors import InvalidToken, NoAudience, TokenErrorReason
from mcp_idp.principal import Actor, Principal
from mcp_idp.util.urls import is_http_url

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from mcp_idp.access.policy import AccessPolicy
    from mcp_idp.principal import ClaimValue
    from mcp_idp.providers import ProviderProfile


def scopes_from_claims(claims: Mapping[str, Any], profile: ProviderProfile, prefix: str) -> frozenset[str]:
    """Returns the scopes that the token lists.

    RFC 9068 section 2.2.3 defines `scope`, a space-separated string; some providers write a list or use another claim.
    Some providers prefix scope names and either omit the prefix in tokens (Entra ID) or keep it (Cognito): both forms
    are accepted.

    Args:
        claims: the verified claims.
        profile: names the claims that hold scopes; all of them count.
        prefix: what the provider puts before scope names, removed from the result; "" if nothing.

    Raises:
        InvalidToken: a scope claim is neither a string nor a list of strings.
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
    """Returns the user's roles for this resource, with groups mapped to roles by the access file.

    Args:
        claims: the verified claims.
        name: the claim that holds the roles or groups.
        profile: how the provider writes that claim.
        access: maps groups to roles.

    Returns:
        The roles. If the claim is absent: no roles where roles decide the scopes (`scopes_from_roles`), otherwise None,
        meaning unknown.

    Raises:
        InvalidToken: the claim is not a list of strings (or an object, where the provider writes one).
    """
    value = claims.get(name)
    if value is None:
        return frozenset() if profile.scopes_from_roles else None
    named = list(value) if profile.roles_are_object_keys and isinstance(value, dict) else _string_list(value, name)
    # With scopes_from_roles the claim holds the provider's own groups, so only mapped roles count. Elsewhere the
    # provider has been configured with the roles of the access file, so their own names count too.
    return (
        access.roles_for_groups(named)
        if profile.scopes_from_roles
        else access.roles_for_groups(named) | frozenset(named)
    )


def scopes_from_roles(
    requested: frozenset[str], roles: frozenset[str], access: AccessPolicy, *, has_audience: bool
) -> frozenset[str]:
    """Returns the scopes that `roles` grant, reduced to those in `requested` if it names any scope of this server.

    Args:
        requested: the scopes in the token.
        roles: the user's roles.
        access: which roles grant which scopes, and which scopes imply others.
        has_audience: whether the token has an `aud` claim. Without one (Cognito), its scopes are the only sign of what
            it is for, so a token that lists only scopes of other servers grants nothing.

    Returns:
        The granted scopes, including implied ones.
    """
    granted = access.effective_scopes(access.scopes_granted_by(roles))
    narrower = access.effective_scopes(requested)
    return granted & narrower if narrower or (requested and not has_audience) else granted


def _string_list(value: object, name: str) -> list[str]:
    if not isinstance(value, list) or not all(isinstance(entry, str) for entry in value):
        raise InvalidToken(TokenErrorReason.CLAIMS_MALFORMED, expected=f"{name}, a list of strings", got=value)
    return value


_MAX_CHARACTERS = 2048  # of all claims of one principal together, as JSON


def select_exposed_claims(claims: Mapping[str, Any], names: Iterable[str]) -> tuple[tuple[str, ClaimValue], ...]:
    """Selects the claims that tools may read.

    A claim of another type than string, number, boolean or list of strings is omitted, and so is one that would exceed
    `_MAX_CHARACTERS`. Neither causes the token to be rejected.

    Args:
        claims: the verified claims.
        names: the claims to select, in the order of the result.

    Returns:
        Pairs of name and value; a list of strings becomes a tuple.
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
    """Returns `value` in an immutable form, or None for an object, a list that is not all strings, or null."""
    if isinstance(value, str | int | float):  # bool is a subclass of int
        return value
    if isinstance(value, list) and all(isinstance(entry, str) for entry in value):
        return tuple(value)
    return None


_MAX_TEXT = 2048  # characters of an identifier such as `sub` or the client id
_MAX_NUMERIC_DATE = 2**53  # seconds; a float cannot represent every larger integer exactly


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimsPolicy:
    """The requirements for every token of one issuer.

    Attributes:
        issuer: the expected `iss`.
        aliases: other values of `iss` that denote the same issuer.
        audience: the value that `aud` must contain.
        further_audiences: http(s) URLs that `aud` may contain in addition to the audience; None if it may contain any.
        clients: if not empty, a token without `aud` is accepted if one of these clients requested it.
        service_clients: clients whose tokens are accepted without an end user.
        profile: how the provider writes its tokens.
        access: which roles grant which scopes, and which groups map to which roles.
        roles_claim: the claim that lists the user's roles for this resource.
        leeway: tolerated clock skew, in seconds.
        max_lifetime: maximum time from `iat` to `exp`, in seconds.
    """

    issuer: str
    aliases: frozenset[str] = frozenset()
    audience: str
    further_audiences: frozenset[str] | None = None
    clients: frozenset[str] = frozenset()
    service_clients: frozenset[str] = frozenset()
    profile: ProviderProfile
    access: AccessPolicy
    roles_claim: str
    leeway: float
    max_lifetime: float


def validate_claims(claims: Mapping[str, Any], rules: ClaimsPolicy, now: float) -> Principal:
    """Validates the claims and returns the principal that they describe.

    Args:
        claims: the verified claims.
        rules: the requirements to validate against.
        now: the current time, in seconds since the epoch.

    Raises:
        InvalidToken: the claims fail a requirement; the error has the reason, the expected value and the actual one.
        NoAudience: the claims fail no requirement of issuer, times, type and user, but have no `aud` at all.
    """
    issuer = claims.get("iss")
    if issuer != rules.issuer and not (isinstance(issuer, str) and issuer in rules.aliases):
        raise InvalidToken(TokenErrorReason.ISSUER, expected=rules.issuer, got=issuer)
    client = next((c for name in rules.profile.client_claims if (c := _string_claim(claims, name)) is not None), None)
    lacks_audience = "aud" not in claims and not rules.clients
    if not lacks_audience:
        _check_audience(claims, rules, client)
    expires_at = _check_times(claims, rules, now)
    _check_type(claims, rules)
    subject = _string_claim(claims, "sub")
    has_end_user = _has_end_user(claims, rules.profile, client, subject)
    if not has_end_user and client not in rules.service_clients:
        raise InvalidToken(
            TokenErrorReason.NO_END_USER, expected="a token of a logged-in user, or of a service client", got=client
        )
    scopes = scopes_from_claims(claims, rules.profile, rules.access.scope_prefix)
    roles = roles_from_claims(claims, rules.roles_claim, rules.profile, rules.access)
    if rules.profile.scopes_from_roles and roles is not None:
        # The scopes of a service client were assigned to it by name, so they do not depend on any user's roles.
        own = frozenset() if has_end_user else scopes
        scopes = own | scopes_from_roles(scopes, roles, rules.access, has_audience="aud" in claims)
    if lacks_audience:  # last, because the response differs from that to any other token that does not verify
        raise NoAudience(expected=rules.audience)
    return Principal(
        issuer=rules.issuer,
        subject=subject,
        client=client,
        scopes=scopes,
        expires_at=expires_at,
        roles=roles,
        actor=actor_from_claims(claims),
        claims=select_exposed_claims(claims, rules.access.claims),
    )


def actor_from_claims(claims: Mapping[str, Any]) -> Actor | None:
    """Returns who acts for the user (`act`, RFC 8693 section 4.1); None if the token names nobody.

    Raises:
        InvalidToken: the token names an actor in a form in which the decisions and the audit log would lose it.
    """
    named = claims.get("act")
    if named is None:
        return None
    if not isinstance(named, dict):
        raise InvalidToken(TokenErrorReason.CLAIMS_MALFORMED, expected="act, an object", got=named)
    actor = Actor(*(_string_claim(named, name) for name in ("sub", "iss", "client_id")))
    if actor.subject is None and actor.client is None:
        raise InvalidToken(TokenErrorReason.CLAIMS_MALFORMED, expected="act with sub or client_id", got=named)
    return actor


def _check_audience(claims: Mapping[str, Any], rules: ClaimsPolicy, client: str | None) -> None:
    """Requires `aud` to contain exactly our audience: no prefix match, no URL normalization (RFC 7519 section 4.1.3).

    A token without `aud` is accepted instead if `rules.clients` contains its client.
    """
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
    if rules.further_audiences is not None:
        _check_one_resource(listed, rules.audience, rules.further_audiences)


def _check_one_resource(listed: Iterable[Any], audience: str, allowed: frozenset[str]) -> None:
    """Rejects a token for another resource too: anyone who receives it there could use it here (RFC 9700 section 2.3).

    Resources are http(s) URLs; other values of `aud`, such as a client id, name no resource.
    """
    others = [entry for entry in listed if is_http_url(entry) and entry != audience and entry not in allowed]
    if others:
        raise InvalidToken(TokenErrorReason.AUDIENCE, expected=f"{audience} and no other resource", got=others)


def _check_times(claims: Mapping[str, Any], rules: ClaimsPolicy, now: float) -> float:
    """Validates `exp`, which is required, and `nbf` and `iat` if present; returns `exp`, without leeway."""
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
    # Some providers can be made to issue a ten-year token, so the lifetime is capped here. Without iat, the remaining
    # lifetime is compared.
    lifetime = expires_at - (issued_at if issued_at is not None else now)
    if lifetime > rules.max_lifetime:
        raise InvalidToken(TokenErrorReason.LIFETIME, expected=rules.max_lifetime, got=lifetime)
    return expires_at


def _numeric_date(claims: Mapping[str, Any], name: str) -> float | None:
    """Returns a NumericDate (RFC 7519 section 2), or None if the claim is absent.

    A NumericDate is a JSON number, possibly with a fraction; strings and booleans are rejected.
    """
    value = claims.get(name)
    if value is None and name not in claims:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InvalidToken(TokenErrorReason.CLAIMS_MALFORMED, expected=f"{name}, a number", got=value)
    if not 0 <= value <= _MAX_NUMERIC_DATE:
        raise InvalidToken(TokenErrorReason.CLAIMS_MALFORMED, expected=f"{name}, seconds since the epoch", got=value)
    return float(value)


def _check_type(claims: Mapping[str, Any], rules: ClaimsPolicy) -> None:
    """Rejects ID, refresh and logout tokens of the same issuer, and sender-constrained access tokens."""
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
    """Whether an end user logged in for this token.

    True where the provider's tokens do not distinguish users from service clients.
    """
    if profile.user_claim is not None:
        return _string_claim(claims, profile.user_claim) is not None
    return profile.service_subject_pattern is None or subject != profile.service_subject_pattern.format(client)


def _string_claim(claims: Mapping[str, Any], name: str) -> str | None:
    value = claims.get(name)
    if value is None:
        return None
    if not isinstance(value, str) or not 0 < len(value) <= _MAX_TEXT:
        raise InvalidToken(TokenErrorReason.CLAIMS_MALFORMED, expected=f"{name}, a string", got=value)
    return value
