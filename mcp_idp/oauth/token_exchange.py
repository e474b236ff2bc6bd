"""Exchanges the caller's token for a token for a downstream API: RFC 8693, with this server as the client.

- Tokens are exchanged only for the APIs under `upstreams` in the access file and, if scopes are listed there, only with
  those scopes.
- Once the caller's token has expired, no token is returned, even to a task that the caller's request started earlier.
- Concurrent requests for the same token share one call. The number of running and waiting calls is bounded, in total
  and for each user, and users are served in turn.
- If somebody acts for the caller (`act`), a token that no longer says so is not used: the downstream API would take the
  actor for the user.
- If there is an audit log, the outcome is recorded there before a tool gets the token.
"""

from __future__ import annotations

import asyncio
import json
import secrets
from base64 import urlsafe_b64decode
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import structlog
from mcp.server.mcpserver.exceptions import ToolError

from mcp_idp.errors import AuditUnavailable, ProviderUnavailable, RateLimited
from mcp_idp.oauth.client_auth import client_auth_from_settings
from mcp_idp.oauth.discovery import find_token_endpoint
from mcp_idp.oauth.endpoints import TokenEndpoint
from mcp_idp.oauth.http import FetchError
from mcp_idp.principal import user_key
from mcp_idp.util import strict_json
from mcp_idp.util.concurrency import SingleFlight
from mcp_idp.util.fair_queue import FairQueue, QueueLimits
from mcp_idp.util.token_cache import TokenCache

if TYPE_CHECKING:
    from collections.abc import Mapping

    import httpx

    from mcp_idp.access.models import DownstreamApi
    from mcp_idp.config.settings import Settings
    from mcp_idp.observability.audit import AuditLog
    from mcp_idp.principal import Actor, Principal
    from mcp_idp.util.clock import Clock

ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token"  # noqa: S105 - a token type URI, not a token
_LOGGED_CHARACTERS = 200
_MAX_LOGGED_WORD = 20  # characters: shorter than any secure token
_JWS_SEGMENTS = 3
_ACTOR_LOST = "the identity provider issued a token that does not say who acts for the user (act)"
_LONGEST_SECONDS = 2**31  # 68 years: a larger expires_in is not plausible


class TokenExchangeError(ToolError):
    """There is no token for the downstream API.

    Args:
        text: the message for the caller.
        reason: the reason for the log, by default `text`; truncated to 200 characters.
    """

    def __init__(self, text: str, reason: str = "") -> None:
        super().__init__(text)
        self.reason = (reason or text)[:_LOGGED_CHARACTERS]


@dataclass(frozen=True, slots=True)
class ExchangedToken:
    """A token for a downstream API, and when it expires (seconds since the epoch)."""

    token: str = field(repr=False)
    expires_at: float


def parse_response(response: Mapping[str, Any], sent: str, audience: str, now: float) -> ExchangedToken:
    """Parses a token exchange response (RFC 8693 section 2.2).

    Args:
        response: the JSON object that the provider returned.
        sent: the subject token; a response that returns the same token is rejected.
        audience: the downstream API, for the error text.
        now: the current time, in seconds since the epoch.

    Returns:
        The bearer access token. Without a plausible `expires_in` it expires at `now`.

    Raises:
        TokenExchangeError: the response is an error, or has no bearer access token.
    """
    if "error" in response:
        reason = f"{response['error']!r}: {response.get('error_description')!r}"
        text = f"the identity provider issued no token for {audience}: your account may have no role there"
        raise TokenExchangeError(text, _without_tokens(reason))
    token, kind, issued = (response.get(name) for name in ("access_token", "token_type", "issued_token_type"))
    if not isinstance(token, str) or not token or token == sent:
        raise TokenExchangeError("the identity provider issued no new token")
    if not isinstance(kind, str) or kind.lower() != "bearer" or issued not in (ACCESS_TOKEN, None):
        raise TokenExchangeError("the identity provider issued a token of another type")
    seconds = response.get("expires_in")
    ends = isinstance(seconds, int | float) and not isinstance(seconds, bool) and seconds < _LONGEST_SECONDS
    # Without a plausible expires_in the token is used once and not served from the cache.
    return ExchangedToken(token, now + (float(seconds) if ends else 0.0))  # type: ignore[arg-type]  # ends


def names_actor(token: str, actor: Actor) -> bool:
    """Whether an exchanged token says that this actor acts, as the current actor or an earlier one in the chain.

    The token comes from the provider itself, so its signature, for the downstream API, is not verified here.

    Args:
        token: the exchanged token. One that is not a JWT does not say who acts.
        actor: who acts in the token that was exchanged.
    """
    parts = token.split(".")
    if len(parts) != _JWS_SEGMENTS:
        return False
    try:
        claims = strict_json.loads(urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except ValueError:
        return False
    named = claims.get("act") if isinstance(claims, dict) else None
    while isinstance(named, dict):
        issuer = named.get("iss", actor.issuer)
        if (named.get("sub"), named.get("client_id")) == (actor.subject, actor.client) and issuer == actor.issuer:
            return True
        named = named.get("act")
    return False


def _without_tokens(text: str) -> str:
    """Removes long words from a provider's error text before logging, in case it repeats a token it was sent."""
    return " ".join(word if len(word) <= _MAX_LOGGED_WORD else "…" for word in text.split())


log = structlog.get_logger(__name__)
GRANT_TYPE = "urn:ietf:params:oauth:grant-type:token-exchange"
MIN_REMAINING_SECONDS = 10.0  # a cached token is returned only if it is valid for at least this long
LIMITS = QueueLimits(in_flight=10, waiting=100, in_flight_each=4, waiting_each=40)
_TIMEOUT_SECONDS = 5.0  # includes the wait for a free slot
_NO_KEYS = 0  # cached tokens do not depend on a key generation: this server does not verify them


class TokenExchange:
    """Exchanges tokens at the primary issuer, the only one where this server is a client.

    Args:
        settings: the provider, and this server's client credentials there.
        downstream_apis: the permitted APIs, by audience.
        clock: the time.
        http: the client to use.
        audit: records each exchange; None if there is no audit log.
    """

    def __init__(
        self,
        settings: Settings,
        downstream_apis: Mapping[str, DownstreamApi],
        clock: Clock,
        http: httpx.AsyncClient,
        audit: AuditLog | None = None,
    ) -> None:
        self._settings = settings
        self._downstream_apis = downstream_apis
        self._clock = clock
        self._http = http
        self._audit = audit
        self._url: str | None = None
        self._endpoint = TokenEndpoint(http, self._token_endpoint, clock, client_auth_from_settings(settings, clock))
        self._cached_tokens: TokenCache[ExchangedToken] = TokenCache(max_bytes=settings.memory_plan.exchanged_tokens)
        self._flights: SingleFlight[ExchangedToken | TokenExchangeError] = SingleFlight("exchange a token")
        self._slots = FairQueue(LIMITS, "too many tokens wait to be exchanged")

    async def token(self, principal: Principal, token: str, audience: str, scopes: tuple[str, ...]) -> str:
        """Returns a token of the caller for a downstream API.

        Args:
            principal: the caller.
            token: the caller's access token.
            audience: the downstream API, as named under `upstreams` in the access file.
            scopes: the scopes to request; empty for all that the access file lists for that API.

        Raises:
            LookupError: the access file does not list the audience under `upstreams`, or it lists scopes there and one
                of `scopes` is missing.
            TokenExchangeError: the caller's token is of another issuer or has expired, or the provider issues no usable
                token.
        """
        scopes = self._requested_scopes(audience, scopes)
        if principal.issuer != self._settings.issuer:
            raise TokenExchangeError("tokens of this issuer cannot be exchanged")
        self._check_end(principal)
        name = json.dumps((token, scopes, audience))  # JSON keeps the parts unambiguous
        known = self._cached_tokens.get(name, _NO_KEYS, self._clock.now() + MIN_REMAINING_SECONDS)
        if known is None:
            outcome = await self._flights.get(name, lambda: self._exchange_once(principal, token, audience, scopes))
            if isinstance(outcome, TokenExchangeError):
                raise TokenExchangeError(str(outcome), outcome.reason)  # a new instance: several callers may share one
            known = outcome
            self._cached_tokens.put(name, _NO_KEYS, known)
            self._check_end(principal)
        return known.token

    async def close(self) -> None:
        """Cancels the calls in progress, if any."""
        await self._flights.close()

    def _requested_scopes(self, audience: str, scopes: tuple[str, ...]) -> tuple[str, ...]:
        api = self._downstream_apis.get(audience)
        if api is None:
            raise LookupError(f"no token can be exchanged for '{audience}': list it under upstreams in the access file")
        if api.scopes and not api.scopes.keys() >= {*scopes}:
            raise LookupError(f"upstreams.{audience}.scopes in the access file does not list all of these scopes")
        return scopes or tuple(api.scopes)

    def _check_end(self, principal: Principal) -> None:
        if principal.expires_at <= self._clock.now():
            raise TokenExchangeError("the token of the request has expired")

    async def _exchange_once(
        self, principal: Principal, token: str, audience: str, scopes: tuple[str, ...]
    ) -> ExchangedToken | TokenExchangeError:
        """Requests a token and records the outcome in the audit log; returns errors instead of raising them."""
        correlation_id = secrets.token_hex(8)
        try:
            outcome: ExchangedToken | TokenExchangeError = await self._request_token(principal, token, audience, scopes)
        except TokenExchangeError as exchange_error:
            log_fields = {"audience": ascii(audience)[1:-1][:_LOGGED_CHARACTERS], "error": exchange_error.reason}
            log.warning("token_exchange_failed", correlation_id=correlation_id, **log_fields)
            outcome = exchange_error
        try:
            if self._audit is not None:
                reason = outcome.reason if isinstance(outcome, TokenExchangeError) else None
                self._audit.record_token_exchange(principal, audience, correlation_id=correlation_id, reason=reason)
        except AuditUnavailable as error:
            return TokenExchangeError(error.description)
        return outcome

    async def _request_token(
        self, principal: Principal, token: str, audience: str, scopes: tuple[str, ...]
    ) -> ExchangedToken:
        question = {
            "grant_type": GRANT_TYPE,
            "subject_token": token,
            "subject_token_type": ACCESS_TOKEN,
            "requested_token_type": ACCESS_TOKEN,
            "audience": audience,
        }
        if scopes:
            question["scope"] = " ".join(scopes)
        message = f"the identity provider issued no token for {audience}"
        try:
            async with asyncio.timeout(_TIMEOUT_SECONDS), self._slots.slot(user_key(principal)):
                response = await self._endpoint.request_token(question)
        except ProviderUnavailable as error:
            raise TokenExchangeError(message, error.detail) from None
        except RateLimited as error:
            raise TokenExchangeError(message, "too many tokens of this user wait to be exchanged") from error
        except TimeoutError:
            raise TokenExchangeError(message, f"no response within {_TIMEOUT_SECONDS:g} s") from None
        issued = parse_response(response, token, audience, self._clock.now())
        if principal.actor is not None and not names_actor(issued.token, principal.actor):
            raise TokenExchangeError(_ACTOR_LOST)
        return issued

    async def _token_endpoint(self) -> str:
        if self._url is None:
            settings = self._settings
            try:
                self._url = await find_token_endpoint(self._http, settings.server_url, settings.internal_url)
            except FetchError as error:
                raise ProviderUnavailable(str(error)) from None
        return self._url
