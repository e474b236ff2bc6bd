"""Tokens for other APIs, in exchange for the caller's: RFC 8693, with this server as the client that asks.

- Only for the upstreams that the access file names, with the scopes that it names there.
- Never once the caller's token has ended, however long a task goes on that the caller's request started.
- However many want one token, it is asked for once; of different ones a bounded number of calls run and wait.
- What the provider says is in the audit log, where there is one, before a tool gets anything.

What the provider answers to an exchange of tokens: RFC 8693 section 2.2.
"""

from __future__ import annotations

import asyncio
import json
import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import structlog
from mcp.server.mcpserver.exceptions import ToolError

from mcp_idp.errors import AuditUnavailable, ProviderUnavailable
from mcp_idp.oauth.client_auth import client_auth_from_settings
from mcp_idp.oauth.discovery import find_token_endpoint
from mcp_idp.oauth.endpoints import TokenEndpoint
from mcp_idp.oauth.http import FetchError
from mcp_idp.util.concurrency import Bulkhead, SingleFlight
from mcp_idp.util.token_cache import TokenCache

if TYPE_CHECKING:
    from collections.abc import Mapping

    import httpx

    from mcp_idp.access.models import DownstreamApi
    from mcp_idp.config.settings import Settings
    from mcp_idp.observability.audit import AuditLog
    from mcp_idp.principal import Principal
    from mcp_idp.util.clock import Clock

ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token"  # noqa: S105 - the name of a kind of token
_LOGGED_CHARACTERS = 200
_MAX_LOGGED_WORD = 20  # shorter than any token that nobody guesses
_LONGEST_SECONDS = 2**31  # 68 years: no token is good for longer


class TokenExchangeError(ToolError):
    """There is no token for the other API. The text is for the caller; `reason`, for the log, has the reason."""

    def __init__(self, text: str, reason: str = "") -> None:
        super().__init__(text)
        self.reason = (reason or text)[:_LOGGED_CHARACTERS]


@dataclass(frozen=True, slots=True)
class ExchangedToken:
    """A token for the other API, and until when it is good (seconds since the epoch)."""

    token: str = field(repr=False)
    expires_at: float


def parse_response(response: Mapping[str, Any], sent: str, audience: str, now: float) -> ExchangedToken:
    """What the answer gives: a bearer access token, which is not the one that was sent.

    Raises:
        TokenExchangeError: it gives none, or one of another kind.
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
    # Without an end that could be true it is used once.
    return ExchangedToken(token, now + (float(seconds) if ends else 0.0))  # type: ignore[arg-type]  # ends


def _without_tokens(text: str) -> str:
    """What a provider says of a fault, for the log: without long words, in case it repeats what it was sent."""
    return " ".join(word if len(word) <= _MAX_LOGGED_WORD else "…" for word in text.split())


log = structlog.get_logger(__name__)
GRANT_TYPE = "urn:ietf:params:oauth:grant-type:token-exchange"
MIN_REMAINING_SECONDS = 10.0  # a token that is given out is good for at least this long
IN_FLIGHT, WAITING = 10, 100
_TIMEOUT_SECONDS = 5.0  # seconds, the wait for a place included
_MAX_ENTRIES = 1000
_NO_KEYS = 0  # no generation of keys makes one void: it is not ours to verify


class TokenExchange:
    """Exchanges tokens at the first issuer, the only one that knows this server.

    Args:
        settings: where the provider is, and how this server says who it is there.
        downstream_apis: the APIs, by audience.
        clock: the time.
        http: the client to ask with.
        audit: keeps what was exchanged, or None.
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
        self._cached_tokens: TokenCache[ExchangedToken] = TokenCache(_MAX_ENTRIES)
        self._flights: SingleFlight[ExchangedToken | TokenExchangeError] = SingleFlight("exchange a token")
        self._lane = Bulkhead(IN_FLIGHT, WAITING, "too many tokens wait to be exchanged")

    async def token(self, principal: Principal, token: str, audience: str, scopes: tuple[str, ...]) -> str:
        """A token of `principal`, who sent `token` here, for `audience`; with all scopes named there if none is asked.

        Raises:
            LookupError: the access file does not name the audience among its upstreams, or not a scope there.
            TokenExchangeError: the caller's token is of another issuer or has expired, or the provider issues no usable
                token.
        """
        scopes = self._requested_scopes(audience, scopes)
        if principal.issuer != self._settings.issuer:
            raise TokenExchangeError("tokens of this issuer cannot be exchanged")
        self._check_end(principal)
        name = json.dumps((token, scopes, audience))  # no text of one part can be read as another's
        known = self._cached_tokens.get(name, _NO_KEYS, self._clock.now() + MIN_REMAINING_SECONDS)
        if known is None:
            outcome = await self._flights.get(name, lambda: self._exchange_once(principal, token, audience, scopes))
            if isinstance(outcome, TokenExchangeError):
                raise TokenExchangeError(str(outcome), outcome.reason)  # its own: several may wait for one answer
            known = outcome
            self._cached_tokens.put(name, _NO_KEYS, known)
            self._check_end(principal)
        return known.token

    async def close(self) -> None:
        """End the calls that are under way, if any."""
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
        """What came of asking the provider, written down; never raises."""
        correlation_id = secrets.token_hex(8)
        try:
            outcome: ExchangedToken | TokenExchangeError = await self._request_token(token, audience, scopes)
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

    async def _request_token(self, token: str, audience: str, scopes: tuple[str, ...]) -> ExchangedToken:
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
            async with asyncio.timeout(_TIMEOUT_SECONDS), self._lane.slot():
                response = await self._endpoint.request_token(question)
        except ProviderUnavailable as error:
            raise TokenExchangeError(message, error.detail) from None
        except TimeoutError:
            raise TokenExchangeError(message, f"no answer within {_TIMEOUT_SECONDS:g} s") from None
        return parse_response(response, token, audience, self._clock.now())

    async def _token_endpoint(self) -> str:
        if self._url is None:
            settings = self._settings
            try:
                self._url = await find_token_endpoint(self._http, settings.server_url, settings.internal_url)
            except FetchError as error:
                raise ProviderUnavailable(str(error)) from None
        return self._url
