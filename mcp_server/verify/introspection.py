"""Tokens judged by asking the provider: RFC 7662.

- A token that should be a JWT passes everything a JWT must pass before anybody is asked.
- However many use one token at once, the provider is asked once; of different tokens a bounded number of calls run
  and wait in each of two lanes. The lane of tokens that prove nothing by themselves cannot fill that of signed ones.
- An active answer counts for `MAX_ANSWER_AGE`, never past the token's end; a refusal for a shorter time, in a store of
  its own, where junk pushes out nothing but junk. An answer that could not be had is not remembered.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Generic, TypeVar

from mcp_server.errors import InvalidToken, ProviderUnavailable, Reason
from mcp_server.verify.asking import Lane, SingleFlight
from mcp_server.verify.cache import MAX_ENTRIES, TokenCache
from mcp_server.verify.introspected import MAX_ANSWER_AGE, judge_answer, rules_for_answers

if TYPE_CHECKING:
    from mcp_server.clock import Clock
    from mcp_server.principal import Principal
    from mcp_server.verify.claims import ClaimRules
    from mcp_server.verify.endpoint import IntrospectionEndpoint
    from mcp_server.verify.precheck import Precheck

    Outcome = Principal | InvalidToken | ProviderUnavailable

_NO_KEYS = 0  # no generation of keys makes an answer void: signatures are judged before, each time

Says = TypeVar("Says")


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """How much is asked and remembered. The default is for a provider that others use too.

    Attributes:
        in_flight: calls at once, in each of the two lanes.
        waiting: tokens that wait for a call, in each lane.
        answer_within: seconds from the question to the answer, the wait included.
        refusal_age: seconds a refusal is remembered; `MAX_ANSWER_AGE` is that of an active answer.
        entries: active tokens that are remembered, and as many refused ones.
    """

    in_flight: int = 10
    waiting: int = 100
    answer_within: float = 5.0
    refusal_age: float = 5.0
    entries: int = MAX_ENTRIES


@dataclass(frozen=True, slots=True)
class _Answer(Generic[Says]):
    """What the provider said, and until when (monotonic) it counts."""

    says: Says
    expires_at: float


class IntrospectionVerifier:
    """Judges tokens by the provider's word. One per issuer."""

    def __init__(
        self,
        endpoint: IntrospectionEndpoint,
        rules: ClaimRules,
        clock: Clock,
        precheck: Precheck,
        bounds: Bounds | None = None,
    ) -> None:
        self._endpoint = endpoint
        self._rules = rules_for_answers(rules)
        self._clock = clock
        self._precheck = precheck
        self._bounds = bounds = bounds or Bounds()
        self._active: TokenCache[_Answer[Principal]] = TokenCache(bounds.entries)
        self._refused: TokenCache[_Answer[Reason]] = TokenCache(bounds.entries)
        self._flights: SingleFlight[Outcome] = SingleFlight("introspect a token")
        self._signed_lane, self._opaque_lane = (
            Lane(bounds.in_flight, bounds.waiting, "introspection: too many tokens wait for an answer")
            for _ in range(2)
        )

    async def verify(self, token: str) -> Principal:
        """The principal that `token` stands for.

        Raises:
            InvalidToken: it is none, or the provider does not vouch for it.
            ProviderUnavailable: whether it does cannot be told.
        """
        vouched = await self._precheck.judge(token)
        now = self._clock.monotonic()
        if (known := self._active.get(token, _NO_KEYS, now)) is not None:
            return known.says
        if (refused := self._refused.get(token, _NO_KEYS, now)) is not None:
            raise InvalidToken(refused.says, got="what was refused a moment ago")
        outcome = await self._flights.get(token, lambda: self._outcome(token, vouched))
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    async def close(self) -> None:
        """End the calls that are under way, if any."""
        await self._flights.close()

    async def _outcome(self, token: str, vouched: Principal | None) -> Outcome:
        """Refusals are returned, not raised: a task that nobody waits for any more must not complain about them."""
        asked_at = self._clock.monotonic()
        try:
            return await self._ask(token, vouched, asked_at)
        except InvalidToken as refusal:
            self._refused.put(token, _NO_KEYS, _Answer(refusal.reason, asked_at + self._bounds.refusal_age), size=0)
            return refusal
        except ProviderUnavailable as fault:
            return fault
        except TimeoutError:
            return ProviderUnavailable(f"introspection: no answer within {self._bounds.answer_within:g} s")
        except Exception as error:  # noqa: BLE001 - whatever asking makes us raise: the answer could not be had
            return ProviderUnavailable(f"introspection: {type(error).__name__}")

    async def _ask(self, token: str, vouched: Principal | None, asked_at: float) -> Principal:
        lane = self._opaque_lane if vouched is None else self._signed_lane
        now = self._clock.now()
        async with asyncio.timeout(self._bounds.answer_within), lane.place():
            answer, size = await self._endpoint.ask(token)
        principal = judge_answer(answer, self._rules, now)
        if vouched is not None and principal.subject not in {None, vouched.subject}:
            # Somebody between us and the provider mixes answers up, as a cache that does not look at bodies does.
            raise ProviderUnavailable("the introspection answer is about another subject than the token")
        if vouched is not None:
            # What an answer leaves out, it does not take back: who owns a session depends on it.
            claims = {**dict(vouched.claims), **dict(principal.claims)}
            subject = principal.subject if principal.subject is not None else vouched.subject
            principal = replace(principal, subject=subject, claims=tuple(claims.items()))
        # On the monotonic clock: setting the other back must not make a withdrawn token live longer.
        expires_at = asked_at + min(MAX_ANSWER_AGE, principal.expires_at - now)
        self._active.put(token, _NO_KEYS, _Answer(principal, expires_at), size=size)
        return principal
