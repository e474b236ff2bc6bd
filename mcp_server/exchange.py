"""Tokens for other APIs, in exchange for the caller's: RFC 8693, with this server as the client that asks."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import structlog
from mcp.server.mcpserver.exceptions import ToolError

from mcp_server.errors import ProviderUnavailable
from mcp_server.verify.cache import TokenCache
from mcp_server.verify.client_auth import client_auth
from mcp_server.verify.discovery import find_token_endpoint
from mcp_server.verify.endpoint import AuthenticatedEndpoint
from mcp_server.verify.fetch import FetchError

if TYPE_CHECKING:
    import httpx

    from mcp_server.clock import Clock
    from mcp_server.principal import Principal
    from mcp_server.settings import Settings

log = structlog.get_logger(__name__)
GRANT = "urn:ietf:params:oauth:grant-type:token-exchange"
ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token"  # noqa: S105 - the name of a kind of token
SPARE_SECONDS = 10.0  # a token that is given out is good for at least this long
_MAX_ENTRIES = 1000
_LOGGED_CHARACTERS = 200
_LONGEST_SECONDS = 2**31  # 68 years: no token is good for longer
_NO_KEYS = 0  # no generation of keys makes one void: it is not ours to verify


class ExchangeRefused(ToolError):
    """The provider gives no token for the other API. The text is for the caller; the log has the reason."""


@dataclass(frozen=True, slots=True)
class _Given:
    token: str = field(repr=False)
    expires_at: float


class TokenExchange:
    """Exchanges tokens at the first issuer, the only one that knows this server.

    Args:
        settings: where the provider is, and how this server says who it is there.
        clock: the time.
        http: the client to ask with.
    """

    def __init__(self, settings: Settings, clock: Clock, http: httpx.AsyncClient) -> None:
        self._settings = settings
        self._clock = clock
        self._http = http
        self._url: str | None = None
        client = client_auth(settings, clock)
        self._endpoint = AuthenticatedEndpoint(http, self._where, clock, client, "no token can be exchanged")
        self._given: TokenCache[_Given] = TokenCache(_MAX_ENTRIES)

    async def token(self, principal: Principal, token: str, audience: str, scopes: tuple[str, ...]) -> str:
        """A token of `principal`, who sent `token` here, for `audience`.

        Raises:
            ExchangeRefused: the token is of another issuer, or the provider gives none that could be used.
        """
        if principal.issuer != self._settings.issuer:
            raise ExchangeRefused("tokens of this issuer cannot be exchanged")
        name = json.dumps((token, scopes, audience))  # no text of one part can be read as another's
        known = self._given.get(name, _NO_KEYS, self._clock.now() + SPARE_SECONDS)
        if known is None:
            try:
                known = self._read(await self._ask(token, audience, scopes), token)
            except ExchangeRefused as refused:
                cause = refused.__cause__
                fault = cause.detail if isinstance(cause, ProviderUnavailable) else str(refused)
                log.warning("no token in exchange", audience=repr(audience)[:_LOGGED_CHARACTERS], fault=fault)
                raise
            self._given.put(name, _NO_KEYS, known)
        return known.token

    async def _ask(self, token: str, audience: str, scopes: tuple[str, ...]) -> dict[str, Any]:
        question = {
            "grant_type": GRANT,
            "subject_token": token,
            "subject_token_type": ACCESS_TOKEN,
            "requested_token_type": ACCESS_TOKEN,
            "audience": audience,
        }
        if scopes:
            question["scope"] = " ".join(scopes)
        try:
            answer, _ = await self._endpoint.post(question)
        except ProviderUnavailable as error:
            raise ExchangeRefused(f"the identity provider gave no token for {audience}") from error
        return answer

    def _read(self, answer: dict[str, Any], sent: str) -> _Given:
        """RFC 8693 section 2.2.1: a bearer access token, which is not the one that was sent, and until when."""
        token, kind, issued = (answer.get(name) for name in ("access_token", "token_type", "issued_token_type"))
        if not isinstance(token, str) or not token or token == sent:
            raise ExchangeRefused("the identity provider gave no new token")
        if not isinstance(kind, str) or kind.lower() != "bearer" or issued not in {ACCESS_TOKEN, None}:
            raise ExchangeRefused("the identity provider gave a token of another kind")
        seconds = answer.get("expires_in")
        ends = isinstance(seconds, int | float) and not isinstance(seconds, bool) and seconds < _LONGEST_SECONDS
        # Without an end that could be true it is used once.
        return _Given(token, self._clock.now() + (float(seconds) if ends else 0.0))  # type: ignore[arg-type]  # ends

    async def _where(self) -> str:
        if self._url is None:
            settings = self._settings
            try:
                self._url = await find_token_endpoint(self._http, settings.server_url, settings.internal_url)
            except FetchError as error:
                raise ProviderUnavailable(str(error)) from None
        return self._url
