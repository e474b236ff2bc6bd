"""Forwards a normalized registration to the provider and adapts the response."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from http.cookiejar import DefaultCookiePolicy
from typing import TYPE_CHECKING, Any

import httpx

from mcp_idp.http.responses import Response
from mcp_idp.oauth.http import FetchError, read_bounded
from mcp_idp.registrar.request import values
from mcp_idp.util import strict_json

if TYPE_CHECKING:
    import ssl
    from collections.abc import Mapping

    Fields = list[tuple[bytes, bytes]]

MAX_RESPONSE_BYTES = 512 * 1024
TIMEOUT_SECONDS = 20.0  # in total
_TIMEOUT = httpx.Timeout(TIMEOUT_SECONDS, connect=5.0, pool=5.0)
CONNECTIONS = 20
_CREATED, _SERVER_ERROR = 201, 500
_ANY_STATUS = frozenset(range(200, 600))
# The provider needs these to judge the sender (initial access token, address, web origin) and to name itself.
_FORWARDED = (
    b"authorization",
    b"origin",
    b"host",
    b"user-agent",
    b"x-forwarded-for",
    b"x-forwarded-proto",
    b"x-forwarded-host",
)
_RETURNED = ("cache-control", "location", "pragma", "retry-after", "vary", "www-authenticate")
_CORS = "access-control-"
_UNAUTHORIZED = 401
# Keycloak 26.7.5 says "Failed decode token" of an expired initial access token.
_INVITATION_OVER = json.dumps(
    {
        "error": "invalid_token",
        "error_description": (
            "The initial access token has expired, is used up, or is not one of this provider: "
            "ask its administrator for another one (RFC 7591 section 3)."
        ),
    }
).encode()


def create_client(tls: ssl.SSLContext, transport: httpx.AsyncBaseTransport | None = None) -> httpx.AsyncClient:
    """Returns a client for the provider that keeps no cookies, so that no response affects a later request.

    Args:
        tls: the TLS context.
        transport: sends the requests; by default over the network.
    """
    limits = httpx.Limits(max_connections=CONNECTIONS, max_keepalive_connections=CONNECTIONS)
    client = httpx.AsyncClient(verify=tls, trust_env=False, timeout=_TIMEOUT, limits=limits, transport=transport)
    client.cookies.jar.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    return client


class ProviderFailed(Exception):
    """The provider gave no usable response; the text is for the log.

    Attributes:
        status: the status for the client: 503 if the provider could not be reached, otherwise 502.
    """

    def __init__(self, detail: str, status: int) -> None:
        super().__init__(detail)
        self.status = status


@dataclass(frozen=True, slots=True)
class Upstream:
    """The registration endpoint of the provider.

    Attributes:
        http: the client for it.
        url: its URL, as reachable from here.
    """

    http: httpx.AsyncClient
    url: str

    async def register(self, document: Mapping[str, Any], own_uris: list[str], headers: Fields) -> Response:
        """Sends the registration once and returns the response for the client.

        Args:
            document: the normalized document.
            own_uris: the redirect URIs that the client sent; a successful response has these.
            headers: the headers of the client's request.

        Raises:
            ProviderFailed: the provider cannot be reached, failed, or its response is not what RFC 7591 section 3.2
                says.
        """
        body = json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()
        request = self.http.build_request("POST", self.url, content=body, headers=_forwarded(headers))
        try:
            async with asyncio.timeout(TIMEOUT_SECONDS):
                response = await self.http.send(request, stream=True)
                try:
                    content = await read_bounded(response, self.url, MAX_RESPONSE_BYTES, _ANY_STATUS)
                finally:
                    await response.aclose()
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
            raise ProviderFailed(f"{type(error).__name__}: {error}", 503) from error
        except (httpx.HTTPError, FetchError, TimeoutError) as error:
            raise ProviderFailed(f"{type(error).__name__}: {error}", 502) from error
        if response.status_code >= _SERVER_ERROR:
            raise ProviderFailed(f"status {response.status_code}", 502)
        if response.status_code == _CREATED:
            content = _with_own_uris(content, own_uris)
        elif response.status_code == _UNAUTHORIZED and values(headers, b"authorization"):
            content = _INVITATION_OVER
        return Response(response.status_code, _returned(response.headers, len(content)), content)


def _forwarded(headers: Fields) -> list[tuple[bytes, bytes]]:
    own = [(b"content-type", b"application/json"), (b"accept", b"application/json"), (b"accept-encoding", b"identity")]
    return own + [(name, value) for name in _FORWARDED for value in values(headers, name)]


def _with_own_uris(content: bytes, own_uris: list[str]) -> bytes:
    """Replaces the redirect URIs in the response: some clients use what comes back."""
    try:
        document = strict_json.loads(content)
    except strict_json.StrictJsonError as error:
        raise ProviderFailed(f"the response is {error}", 502) from error
    if not isinstance(document, dict) or not isinstance(document.get("client_id"), str):
        raise ProviderFailed("the response has no client_id", 502)
    return json.dumps({**document, "redirect_uris": own_uris}, ensure_ascii=False, separators=(",", ":")).encode()


def _returned(headers: httpx.Headers, length: int) -> tuple[tuple[bytes, bytes], ...]:
    chosen = [
        (name.encode("latin-1"), value.encode("latin-1"))
        for name, value in headers.multi_items()
        if name in _RETURNED or name.startswith(_CORS)
    ]
    return (
        (b"content-type", b"application/json"),
        (b"content-length", b"%d" % length),
        *chosen,
        *(() if "cache-control" in headers else ((b"cache-control", b"no-store"),)),
    )
