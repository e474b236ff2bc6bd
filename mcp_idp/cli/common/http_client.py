"""The commands' HTTP client, with optional redirection of TCP connections.

`CONNECT_TO="localhost:3000=mcp-server:3000"` is meant for a client inside a container network: URLs and the `Host`
header keep the public address, only the TCP connection goes to the other one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import httpx2

from mcp_idp.cli.common.bounded_transport import LIMITS, BoundedTransport

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from mcp_idp.cli.common.bounded_transport import ResponseLimits

_DEFAULT_PORTS = {"http": 80, "https": 443}
_LOOPBACK = ("localhost", "127.0.0.1", "[::1]")
_READ_SECONDS = 60


class Address(NamedTuple):
    """A host and a TCP port."""

    host: str
    port: int


def parse_connect_to(text: str) -> dict[Address, Address]:
    """Parses the value of CONNECT_TO.

    Args:
        text: Comma-separated pairs `public-host:port=actual-host:port`.

    Returns:
        Public address to actual address.

    Raises:
        ValueError: A pair is malformed; the message quotes it.
    """
    address_map = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        public, equals, real = part.partition("=")
        if not equals:
            raise ValueError(f"CONNECT_TO: '{part}' is not host:port=host:port")
        address_map[_address(public, part)] = _address(real, part)
    return address_map


def _address(text: str, part: str) -> Address:
    host, _, port = text.strip().rpartition(":")
    if not host or not port.isascii() or not port.isdigit() or not 0 < int(port) < 65536:  # noqa: PLR2004 - TCP ports
        raise ValueError(f"CONNECT_TO: '{part}' is not host:port=host:port")
    return Address(host.strip("[]").lower(), int(port))


class RemapTransport(httpx2.AsyncBaseTransport):
    """Opens connections to mapped addresses elsewhere. URL, `Host` header and TLS server name (SNI) stay unchanged.

    Args:
        address_map: Public address to actual address.
        transport: Sends the requests.
    """

    def __init__(self, address_map: Mapping[Address, Address], transport: httpx2.AsyncBaseTransport) -> None:
        self._address_map = dict(address_map)
        self._transport = transport

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Sends `request`, to the mapped address if its public address has one."""
        url = request.url
        port = url.port or _DEFAULT_PORTS.get(url.scheme, 0)
        real = self._address_map.get(Address(url.host, port))
        if real is None:
            return await self._transport.handle_async_request(request)
        moved = httpx2.Request(
            request.method,
            url.copy_with(host=real.host, port=real.port),
            headers=request.headers,  # already contains the public Host
            stream=request.stream,
            extensions={**request.extensions, "sni_hostname": url.host},
        )
        return await self._transport.handle_async_request(moved)

    async def aclose(self) -> None:
        """Closes the underlying transport."""
        await self._transport.aclose()


def create_client(
    address_map: Mapping[Address, Address],
    *,
    auth: httpx2.Auth | None = None,
    on_request: Callable[[httpx2.Request], Awaitable[None]] | None = None,
    on_response: Callable[[httpx2.Response], Awaitable[None]] | None = None,
    limits: ResponseLimits = LIMITS,
) -> httpx2.AsyncClient:
    """Creates an HTTP client that follows no redirects and never uses the environment's proxy for loopback addresses.

    Args:
        address_map: Public address to actual address. If it is not empty, no proxy is used at all.
        auth: Adds credentials to requests.
        on_request: Called before each request.
        on_response: Called after each response's headers, before its body is read.
        limits: What a server may make this client read, and how long it may make it wait.
    """
    direct = httpx2.AsyncHTTPTransport()
    routed = httpx2.AsyncClient(
        transport=RemapTransport(address_map, direct) if address_map else None,
        mounts=None if address_map else {f"all://{host}": direct for host in _LOOPBACK},
    )
    return httpx2.AsyncClient(
        auth=auth,
        timeout=httpx2.Timeout(_READ_SECONDS, connect=10),
        transport=BoundedTransport(_ClientTransport(routed), limits),
        event_hooks={
            "request": [on_request] if on_request else [],
            "response": [on_response] if on_response else [],
        },
    )


class _ClientTransport(httpx2.AsyncBaseTransport):
    """Sends requests with a client, which chooses between a proxy of the environment and a direct connection."""

    def __init__(self, client: httpx2.AsyncClient) -> None:
        self._client = client

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        return await self._client.send(request, stream=True)

    async def aclose(self) -> None:
        await self._client.aclose()
