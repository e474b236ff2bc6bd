"""Verifies tokens by introspection at the provider: RFC 7662.

- Tokens are checked locally first, so that invalid ones cause no introspection call: a JWT must verify as a JWT, an
  opaque token must have the syntax of a bearer token.
- Concurrent requests with the same token share one introspection call. The number of running and waiting calls is
  bounded, separately for JWTs and for opaque tokens, so that made-up opaque tokens cannot block verified JWTs. Within
  each the calls are shared fairly (`FairQueue`): among the users of the JWTs, and among the requesters of opaque
  tokens, so that made-up opaque tokens of one address cannot block the good ones of others.
- An active result is cached for `MAX_RESULT_AGE`, but not past the token's expiry. A rejection is cached for a shorter
  time; the negative cache is separate, so invalid tokens cannot evict valid ones. A failed call is not cached.

The members of an introspection response have the names and meanings of JWT claims (RFC 7662 sections 2.2 and 4), so
`claims.validate_claims` validates them. This module adds what differs: `active`, `token_type` and optional members.
"""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from mcp_idp.errors import InvalidToken, NoAudience, ProviderUnavailable, RateLimited, TokenErrorReason, TokenTooLong
from mcp_idp.principal import user_key
from mcp_idp.tokens.claims import ClaimsPolicy, validate_claims
from mcp_idp.util.concurrency import SingleFlight
from mcp_idp.util.fair_queue import FairQueue, QueueLimits
from mcp_idp.util.token_cache import MAX_BYTES, TokenCache

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping

    from mcp_idp.oauth.endpoints import IntrospectionEndpoint
    from mcp_idp.principal import Principal
    from mcp_idp.tokens.claims import ClaimsPolicy
    from mcp_idp.tokens.jwt import JwtVerifier
    from mcp_idp.util.clock import Clock

    Outcome = Principal | InvalidToken | ProviderUnavailable | RateLimited

MAX_RESULT_AGE = 30.0  # seconds: how long a revoked token may still be accepted


def policy_for_introspection(rules: ClaimsPolicy) -> ClaimsPolicy:
    """Adapts the policy for JWTs to introspection responses.

    The client may also be in `client_id` and the scopes in `scope`, the names that RFC 7662 defines. That RFC does not
    define the claims that tell access tokens from other tokens, so they may be absent; if present, they are validated
    as in a JWT.
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
    """Validates an introspection response and returns the principal that it describes.

    The audience is validated as in a JWT: `aud` is required, except where `rules.clients` lists the token's client.
    `iss` and `exp` may be absent: the issuer is the provider that was called, and a token without `exp` is accepted for
    `MAX_RESULT_AGE`, after which it is introspected again. If `iat` is present without `exp`, the maximum lifetime
    limits the age of the token. A member whose value is null is treated as absent.

    Args:
        response: the JSON object that the provider returned.
        rules: the result of `policy_for_introspection`.
        now: the time of the introspection request, in seconds since the epoch.

    Raises:
        InvalidToken: the token is not active, or its members fail a requirement; the error has the reason.
        ProviderUnavailable: the response does not say whether the token is active.
    """
    active = response.get("active")
    if active is False:
        raise InvalidToken(
            TokenErrorReason.INACTIVE, expected="active at the provider, for a client in its audience", got=active
        )
    if active is not True:
        raise ProviderUnavailable("the introspection response has no boolean member active")
    members = {name: value for name, value in response.items() if value is not None}
    _check_token_type(members.get("token_type"))
    try:
        return validate_claims({"iss": rules.issuer, "exp": now + MAX_RESULT_AGE, **members}, rules, now)
    except NoAudience as error:
        # A response may omit `aud` (RFC 7662 section 2.2), so its absence says nothing about the token.
        raise InvalidToken(error.reason, expected=error.expected, got=error.got) from error


def _check_token_type(named: object) -> None:
    """Accepts `Bearer` in any case (RFC 6749 sections 5.1 and 7.1), or no type.

    A DPoP token is rejected: it is valid only with a proof, which this server does not verify.
    """
    kind = named.lower() if isinstance(named, str) else named
    if kind == "dpop":
        raise InvalidToken(TokenErrorReason.SENDER_BOUND, expected="a bearer token", got=named)
    if kind is not None and kind != "bearer":
        raise InvalidToken(TokenErrorReason.TOKEN_TYPE, expected="token_type Bearer", got=named)


_B64TOKEN = re.compile(r"[A-Za-z0-9\-._~+/]+=*", re.ASCII)  # RFC 6750 section 2.1
# Three base64url segments, of which the first begins like the encoding of "{" followed by a quotation mark or white
# space.
_JWT_SHAPE = re.compile(r"e[wy][A-Za-z0-9_-]*\.[A-Za-z0-9_-]*\.[A-Za-z0-9_-]*", re.ASCII)


class LocalPrecheck:
    """Checks a token locally, before it is introspected.

    Attributes:
        signed: verifies JWTs; None if the provider issues none.
        opaque: whether the provider issues tokens that are not JWTs. If not, such tokens are rejected.
        max_bytes: maximum length of a token, in bytes.
    """

    def __init__(self, signed: JwtVerifier | None, *, opaque: bool, max_bytes: int) -> None:
        self.signed = signed
        self.opaque = opaque
        self.max_bytes = max_bytes

    async def check(self, token: str, requester: Hashable = None) -> Principal | None:
        """Returns the principal of a verified JWT, or None for an opaque token.

        Args:
            token: the token as received.
            requester: who sent it; see `JwksCache.get_key`.

        Raises:
            InvalidToken: the token is too long, is a JWT that does not verify, or is not a b64token (RFC 6750
                section 2.1).
            ProviderUnavailable: the JWT cannot be verified because the keys are unavailable.
        """
        if len(token) > self.max_bytes:
            raise TokenTooLong(expected=self.max_bytes, got=len(token))
        if self.signed is not None and (not self.opaque or _JWT_SHAPE.fullmatch(token)):
            return await self.signed.verify(token, requester)
        if _B64TOKEN.fullmatch(token) is None:
            raise InvalidToken(TokenErrorReason.OPAQUE, expected="a b64token", got=f"{len(token)} other characters")
        return None


_REJECTED_SHARE = 4
_NO_KEYS = 0  # cached results do not depend on a key generation: signatures are verified before each lookup

Value = TypeVar("Value")


@dataclass(frozen=True, slots=True, kw_only=True)
class IntrospectionLimits:
    """Limits of introspection calls and of the caches. The defaults suit a provider that other services share.

    Attributes:
        in_flight: maximum concurrent calls, for JWTs and for opaque tokens each.
        waiting: maximum calls that wait to be sent, for JWTs and for opaque tokens each.
        in_flight_each: maximum concurrent calls of one user or address; 0 for no limit.
        waiting_each: maximum calls of one user or address that wait.
        timeout: seconds for a call, including the wait.
        max_rejection_age: seconds that a rejection is cached; an active result is cached for `MAX_RESULT_AGE`.
        cache_bytes: what the caches hold, of active tokens and of rejected ones together.
    """

    in_flight: int = 10
    waiting: int = 500
    in_flight_each: int = 0
    waiting_each: int = 200
    timeout: float = 5.0
    max_rejection_age: float = 5.0
    cache_bytes: int = MAX_BYTES


@dataclass(frozen=True, slots=True)
class _CachedResult(Generic[Value]):
    """A result of introspection, and when it expires (seconds, monotonic clock)."""

    value: Value
    expires_at: float


class IntrospectionVerifier:
    """Verifies the tokens of one issuer by introspection.

    Args:
        endpoint: the provider's introspection endpoint.
        rules: the requirements for JWTs; `policy_for_introspection` adapts them.
        clock: the time, for `exp` and the ages of results.
        precheck: the local checks before a call.
        bounds: limits of calls and caches.
    """

    def __init__(
        self,
        endpoint: IntrospectionEndpoint,
        rules: ClaimsPolicy,
        clock: Clock,
        precheck: LocalPrecheck,
        bounds: IntrospectionLimits,
    ) -> None:
        self._endpoint = endpoint
        self._rules = policy_for_introspection(rules)
        self._clock = clock
        self._precheck = precheck
        self._bounds = bounds
        self._active: TokenCache[_CachedResult[Principal]] = TokenCache(
            max_bytes=bounds.cache_bytes - bounds.cache_bytes // _REJECTED_SHARE
        )
        self._rejections: TokenCache[_CachedResult[TokenErrorReason]] = TokenCache(
            max_bytes=bounds.cache_bytes // _REJECTED_SHARE
        )
        self._flights: SingleFlight[Outcome] = SingleFlight("introspect a token")
        queue_limits = QueueLimits(
            in_flight=bounds.in_flight,
            waiting=bounds.waiting,
            in_flight_each=bounds.in_flight_each,
            waiting_each=bounds.waiting_each,
        )
        self._jwt_slots, self._opaque_slots = (
            FairQueue(queue_limits, "introspection: too many tokens wait for a response") for _ in range(2)
        )

    async def verify(self, token: str, requester: Hashable = None) -> Principal:
        """Verifies `token` and returns its principal.

        Args:
            token: the token as received.
            requester: who sent it, as far as is known before the provider responds.

        Raises:
            InvalidToken: the token fails the local checks, is not active, or fails a requirement.
            RateLimited: too many tokens of this requester wait.
            ProviderUnavailable: the provider cannot be reached or gave no usable response.
        """
        jwt_principal = await self._precheck.check(token, requester)
        now = self._clock.monotonic()
        if (known := self._active.get(token, _NO_KEYS, now)) is not None:
            return known.value
        if (rejection := self._rejections.get(token, _NO_KEYS, now)) is not None:
            raise InvalidToken(rejection.value, got="a token that was rejected recently")
        outcome = await self._flights.get(token, lambda: self._introspect_once(token, jwt_principal, requester))
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    def seconds_known(self, token: str) -> float | None:
        """Returns for how many seconds an active result is still cached; None if there is none."""
        now = self._clock.monotonic()
        known = self._active.get(token, _NO_KEYS, now)
        return None if known is None else known.expires_at - now

    @property
    def cached_bytes(self) -> int:
        """What the caches hold."""
        return self._active.used + self._rejections.used

    @property
    def cache_lookups(self) -> tuple[int, int]:
        """How often the cache of active tokens had a token, and how often it had not."""
        return self._active.hits, self._active.misses

    async def close(self) -> None:
        """Cancels the calls in progress, if any."""
        await self._flights.close()

    async def _introspect_once(self, token: str, jwt_principal: Principal | None, requester: Hashable) -> Outcome:
        """Calls the provider and caches a rejection.

        Returns errors instead of raising them, because asyncio would log the exception of a task that is no longer
        awaited.
        """
        requested_at = self._clock.monotonic()
        try:
            return await self._introspect(token, jwt_principal, requester, requested_at)
        except InvalidToken as rejection:
            self._rejections.put(
                token, _NO_KEYS, _CachedResult(rejection.reason, requested_at + self._bounds.max_rejection_age), size=0
            )
            return rejection
        except (ProviderUnavailable, RateLimited) as fault:
            return fault
        except TimeoutError:
            return ProviderUnavailable(f"introspection: no response within {self._bounds.timeout:g} s")
        except Exception as error:  # noqa: BLE001 - any other failure also means that there is no usable response
            return ProviderUnavailable(f"introspection: {type(error).__name__}")

    async def _introspect(
        self, token: str, jwt_principal: Principal | None, requester: Hashable, requested_at: float
    ) -> Principal:
        slots = self._opaque_slots if jwt_principal is None else self._jwt_slots
        now = self._clock.now()
        cause = requester if jwt_principal is None else user_key(jwt_principal)
        async with asyncio.timeout(self._bounds.timeout), slots.slot(cause):
            response, size = await self._endpoint.introspect(token)
        principal = validate_response(response, self._rules, now)
        if jwt_principal is not None and principal.subject not in {None, jwt_principal.subject}:
            # An intermediary mixed up responses, for example a cache that ignores request bodies.
            raise ProviderUnavailable("the introspection response is about another subject than the token")
        if jwt_principal is not None:
            # A response that omits `sub`, `act` or a claim does not revoke it. Session ownership depends on `sub`.
            claims = {**dict(jwt_principal.claims), **dict(principal.claims)}
            subject = principal.subject if principal.subject is not None else jwt_principal.subject
            actor = principal.actor or jwt_principal.actor
            principal = replace(principal, subject=subject, actor=actor, claims=tuple(claims.items()))
        # Monotonic, so that setting the system clock back does not extend the acceptance of a revoked token.
        expires_at = requested_at + min(MAX_RESULT_AGE, principal.expires_at - now)
        self._active.put(token, _NO_KEYS, _CachedResult(principal, expires_at), size=size)
        return principal
