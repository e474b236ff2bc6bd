"""Sets up the server's token verifiers to evaluate one token outside the server."""

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
    """Answers every request with a given JWKS; no network request is made.

    Args:
        document: The JWKS as JSON bytes.
    """

    def __init__(self, document: bytes) -> None:
        self._document = document

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Returns the JWKS for any request."""
        return httpx.Response(200, stream=httpx.ByteStream(self._document), request=request)


@asynccontextmanager
async def open_verifiers(
    settings: Settings, access: AccessPolicy, clock: Clock, *, transport: httpx.AsyncBaseTransport | None = None
) -> AsyncIterator[TokenVerifierRegistry]:
    """Yields the token verifiers that the server would build from its settings, and closes them at the end.

    Args:
        settings: The server's settings.
        access: The access policy.
        clock: The current time.
        transport: Replaces the network, if given.

    Raises:
        SettingsError: OAUTH_CA_FILE cannot be read. The file is not used if `transport` is given.
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
