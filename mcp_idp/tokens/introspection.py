"""Tokens judged by asking the provider: RFC 7662.

- A token that should be a JWT passes everything a JWT must pass before anybody is asked.
- However many use one token at once, the provider is asked once; of different tokens a bounded number of calls run
  and wait in each of two lanes. The lane of tokens that prove nothing by themselves cannot fill that of signed ones.
- An active answer counts for `MAX_RESULT_AGE`, never past the token's end; a refusal for a shorter time, in a store of
  its own, where junk pushes out nothing but junk. An answer that could not be had is not remembered.

What an introspection answer must say: RFC 7662 sections 2.2 and 4.

The members have the names and meanings of a JWT's claims (section 2.2), so the judgement is that of `claims.judge`.
Here stands only what is different: `active`, `token_type`, and what may be left out.

What a token must show by itself before the provider is asked about it: whoever sends junk reaches nobody.
"""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from mcp_idp.errors import InvalidToken, ProviderUnavailable, TokenErrorReason
from mcp_idp.tokens.claims import ClaimsPolicy, validate_claims
from mcp_idp.util.concurrency import Bulkhead, SingleFlight
from mcp_idp.util.token_cache import MAX_ENTRIES, TokenCache

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mcp_idp.oauth.endpoints import IntrospectionEndpoint
    from mcp_idp.principal import Principal
    from mcp_idp.tokens.claims import ClaimsPolicy
    from mcp_idp.tokens.jwt import JwtVerifier
    from mcp_idp.util.clock import Clock

    Outcome = Principal | InvalidToken | ProviderUnavailable

MAX_RESULT_AGE = 30.0  # seconds: how long a token that was withdrawn may still be believed


def policy_for_introspection(rules: ClaimsPolicy) -> ClaimsPolicy:
    """The rules of JWTs, as they apply to answers.

    The client may stand in `client_id`, the name RFC 7662 gives it, and the scopes in `scope`. A claim that tells the
    kind of token may be left out, as that RFC does not know it; where it is there, it counts as in a JWT.
    """
    profile = rules.profile
    return replace(
        rules,
        profile=replace(
            profile,
            client_claims=(*profile.client_claims, "client_id"),
            scope_claims=tuple(dict.fromkeys((*profile.scope_claims, "scope"))) if profile.scope_claims else (),
            token_type_claims=tuple((name, accepted | {None}) for name, accepted in profile.token_type_claims),
            access_token_only_claims=(),
        ),
    )


def validate_response(response: Mapping[str, Any], rules: ClaimsPolicy, now: float) -> Principal:
    """The principal that the provider's answer stands for, at `now` (seconds since the epoch).

    `aud` must be there and hold ours: without it nothing says that the token is meant for this resource. `iss` and
    `exp` may be left out: the issuer is whom we asked, and a token without an end is believed as long as the answer is,
    so that it is asked about again. Where `iat` is there without `exp`, the age of the token is held to the cap on
    lifetimes. A member that is null says nothing.

    Args:
        response: the JSON object as it came.
        rules: as `policy_for_introspection` makes them.
        now: when the question was asked.

    Raises:
        InvalidToken: the token is not active, or is not for us, with the reason.
        ProviderUnavailable: the answer does not say whether the token is active.
    """
    active = response.get("active")
    if active is False:
        raise InvalidToken(
            TokenErrorReason.INACTIVE, expected="active at the provider, for a client in its audience", got=active
        )
    if active is not True:
        raise ProviderUnavailable("the introspection answer has no boolean member active")
    members = {name: value for name, value in response.items() if value is not None}
    _check_token_type(members.get("token_type"))
    return validate_claims({"iss": rules.issuer, "exp": now + MAX_RESULT_AGE, **members}, rules, now)


def _check_token_type(named: object) -> None:
    """RFC 6749 section 7.1, compared without case (section 5.1). A DPoP token is good with its proof only."""
    kind = named.lower() if isinstance(named, str) else named
    if kind == "dpop":
        raise InvalidToken(TokenErrorReason.SENDER_BOUND, expected="a bearer token", got=named)
    if kind is not None and kind != "bearer":
        raise InvalidToken(TokenErrorReason.TOKEN_TYPE, expected="token_type Bearer", got=named)


_B64TOKEN = re.compile(r"[A-Za-z0-9\-._~+/]+=*", re.ASCII)  # RFC 6750 section 2.1
# Two dots, and a first part that begins as base64url of { does, followed by a quotation mark or white space.
_JWT_SHAPE = re.compile(r"e[wy][A-Za-z0-9_-]*\.[A-Za-z0-9_-]*\.[A-Za-z0-9_-]*", re.ASCII)


class LocalPrecheck:
    """Judges what can be judged without a question.

    Attributes:
        signed: judges tokens that are JWTs; None where the provider writes none.
        opaque: whether tokens of another shape may be asked about. Where the provider writes JWTs only, they are junk.
        max_bytes: of a token.
    """

    def __init__(self, signed: JwtVerifier | None, *, opaque: bool, max_bytes: int) -> None:
        self.signed = signed
        self.opaque = opaque
        self.max_bytes = max_bytes

    async def check(self, token: str) -> Principal | None:
        """The principal that a signed token names, None for an opaque token.

        Raises:
            InvalidToken: the token is too long, is no b64token, or is a JWT that does not verify.
            ProviderUnavailable: whether the JWT verifies cannot be told, because the keys cannot be had.
        """
        if len(token) > self.max_bytes:
            raise InvalidToken(TokenErrorReason.TOO_LONG, expected=self.max_bytes, got=len(token))
        if self.signed is not None and (not self.opaque or _JWT_SHAPE.fullmatch(token)):
            return await self.signed.verify(token)
        if _B64TOKEN.fullmatch(token) is None:
            raise InvalidToken(TokenErrorReason.OPAQUE, expected="a b64token", got=f"{len(token)} other characters")
        return None


_NO_KEYS = 0  # no generation of keys makes an answer void: signatures are judged before, each time

Value = TypeVar("Value")


@dataclass(frozen=True, slots=True, kw_only=True)
class IntrospectionLimits:
    """How much is asked and remembered. The default is for a provider that others use too.

    Attributes:
        in_flight: calls at once, in each of the two lanes.
        waiting: tokens that wait for a call, in each lane.
        timeout: seconds from the question to the answer, the wait included.
        max_rejection_age: seconds a refusal is remembered; `MAX_RESULT_AGE` is that of an active answer.
        entries: active tokens that are remembered, and as many refused ones.
    """

    in_flight: int = 10
    waiting: int = 100
    timeout: float = 5.0
    max_rejection_age: float = 5.0
    entries: int = MAX_ENTRIES


@dataclass(frozen=True, slots=True)
class _CachedResult(Generic[Value]):
    """What the provider said, and until when (monotonic) it counts."""

    value: Value
    expires_at: float


class IntrospectionVerifier:
    """Judges tokens by the provider's word. One per issuer."""

    def __init__(
        self,
        endpoint: IntrospectionEndpoint,
        rules: ClaimsPolicy,
        clock: Clock,
        precheck: LocalPrecheck,
        bounds: IntrospectionLimits | None = None,
    ) -> None:
        self._endpoint = endpoint
        self._rules = policy_for_introspection(rules)
        self._clock = clock
        self._precheck = precheck
        self._bounds = bounds = bounds or IntrospectionLimits()
        self._active: TokenCache[_CachedResult[Principal]] = TokenCache(bounds.entries)
        self._rejections: TokenCache[_CachedResult[TokenErrorReason]] = TokenCache(bounds.entries)
        self._flights: SingleFlight[Outcome] = SingleFlight("introspect a token")
        self._jwt_slots, self._opaque_slots = (
            Bulkhead(bounds.in_flight, bounds.waiting, "introspection: too many tokens wait for an answer")
            for _ in range(2)
        )

    async def verify(self, token: str) -> Principal:
        """The principal that `token` stands for.

        Raises:
            InvalidToken: it is none, or the provider does not vouch for it.
            ProviderUnavailable: whether it does cannot be told.
        """
        jwt_principal = await self._precheck.check(token)
        now = self._clock.monotonic()
        if (known := self._active.get(token, _NO_KEYS, now)) is not None:
            return known.value
        if (rejection := self._rejections.get(token, _NO_KEYS, now)) is not None:
            raise InvalidToken(rejection.value, got="what was refused a moment ago")
        outcome = await self._flights.get(token, lambda: self._introspect_once(token, jwt_principal))
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    async def close(self) -> None:
        """End the calls that are under way, if any."""
        await self._flights.close()

    async def _introspect_once(self, token: str, jwt_principal: Principal | None) -> Outcome:
        """Refusals are returned, not raised: a task that nobody waits for any more must not complain about them."""
        requested_at = self._clock.monotonic()
        try:
            return await self._introspect(token, jwt_principal, requested_at)
        except InvalidToken as rejection:
            self._rejections.put(
                token, _NO_KEYS, _CachedResult(rejection.reason, requested_at + self._bounds.max_rejection_age), size=0
            )
            return rejection
        except ProviderUnavailable as fault:
            return fault
        except TimeoutError:
            return ProviderUnavailable(f"introspection: no answer within {self._bounds.timeout:g} s")
        except Exception as error:  # noqa: BLE001 - whatever asking makes us raise: the answer could not be had
            return ProviderUnavailable(f"introspection: {type(error).__name__}")

    async def _introspect(self, token: str, jwt_principal: Principal | None, requested_at: float) -> Principal:
        lane = self._opaque_slots if jwt_principal is None else self._jwt_slots
        now = self._clock.now()
        async with asyncio.timeout(self._bounds.timeout), lane.slot():
            response, size = await self._endpoint.introspect(token)
        principal = validate_response(response, self._rules, now)
        if jwt_principal is not None and principal.subject not in {None, jwt_principal.subject}:
            # Somebody between us and the provider mixes answers up, as a cache that does not look at bodies does.
            raise ProviderUnavailable("the introspection answer is about another subject than the token")
        if jwt_principal is not None:
            # What an answer leaves out, it does not take back: who owns a session depends on it.
            claims = {**dict(jwt_principal.claims), **dict(principal.claims)}
            subject = principal.subject if principal.subject is not None else jwt_principal.subject
            principal = replace(principal, subject=subject, claims=tuple(claims.items()))
        # On the monotonic clock: setting the other back must not make a withdrawn token live longer.
        expires_at = requested_at + min(MAX_RESULT_AGE, principal.expires_at - now)
        self._active.put(token, _NO_KEYS, _CachedResult(principal, expires_at), size=size)
        return principal
