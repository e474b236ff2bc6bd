"""The server's verifier, set up to judge one token outside the server."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

import httpx

from mcp_idp.oauth.http import ssl_context
from mcp_idp.tokens.issuers import TokenVerifierRegistry

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from mcp_idp.access.policy import AccessPolicy
    from mcp_idp.config.settings import Settings
    from mcp_idp.util.clock import Clock

_STATIC_JWKS_URL = "http://localhost/keys-from-the-file"
_SECONDS = 5.0


class StaticJwksTransport(httpx.AsyncBaseTransport):
    """Answers every request with a key set that is at hand: nothing is sent anywhere."""

    def __init__(self, document: bytes) -> None:
        self._document = document

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """The key set, whatever is asked."""
        return httpx.Response(200, stream=httpx.ByteStream(self._document), request=request)


@asynccontextmanager
async def open_verifiers(
    settings: Settings, access: AccessPolicy, clock: Clock, *, transport: httpx.AsyncBaseTransport | None = None
) -> AsyncIterator[TokenVerifierRegistry]:
    """The issuers as the server makes them from `settings`, with `transport` in place of the network.

    Raises:
        SettingsError: OAUTH_CA_FILE, by which the server trusts, cannot be read; not where a `transport` is given.
    """
    if isinstance(transport, StaticJwksTransport):
        settings = replace(settings, jwks_url=_STATIC_JWKS_URL)
    timeout = httpx.Timeout(_SECONDS)
    network = transport or httpx.AsyncHTTPTransport(verify=ssl_context(settings.ca_file), trust_env=False)
    async with httpx.AsyncClient(timeout=timeout, trust_env=False, transport=network) as http:
        trusted = TokenVerifierRegistry(settings, access, clock, http)
        try:
            yield trusted
        finally:
            await trusted.close()
