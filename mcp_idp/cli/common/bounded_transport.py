"""Bounds what a server can make a command read, and how long it can make it wait.

The commands talk to servers and providers that anyone may run. A response may be endless, may arrive one byte a
minute, or may expand a thousandfold when it is decompressed. Therefore the body, the time of each response and the
time of all responses together are bounded, and no compressed response is accepted.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import httpx2

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@dataclass(frozen=True, slots=True, kw_only=True)
class ResponseLimits:
    """What one response, and all responses of a client, may take.

    Attributes:
        max_bytes: The most bytes of one body.
        seconds: How long one response may take, its body included.
        stream_seconds: The same for an event stream, which lasts as long as a tool runs.
        total_seconds: How long the client waits for responses in all.
    """

    max_bytes: int = 4 * 1024 * 1024
    seconds: float = 60
    stream_seconds: float = 300
    total_seconds: float = 600


LIMITS = ResponseLimits()


class BoundedTransport(httpx2.AsyncBaseTransport):
    """Reads no more of a response, and for no longer, than `limits` allow.

    A response over a limit is an `httpx2.TransportError`, as is one that is compressed.

    Args:
        transport: Sends the requests.
        limits: The limits.
    """

    def __init__(self, transport: httpx2.AsyncBaseTransport, limits: ResponseLimits = LIMITS) -> None:
        self._transport = transport
        self._limits = limits
        self._waited = 0.0

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Sends `request`, asking for a response that is not compressed.

        Raises:
            TransportError: The response is over a limit, or compressed.
        """
        request.headers["accept-encoding"] = "identity"
        started = asyncio.get_running_loop().time()
        async with self.wait(request, started + self._limits.seconds):
            response = await self._transport.handle_async_request(request)
        encoding = response.headers.get("content-encoding", "identity").strip().lower()
        if encoding != "identity":
            await response.aclose()
            raise httpx2.RemoteProtocolError("the response is compressed, which was not requested", request=request)
        is_stream = response.headers.get("content-type", "").lower().startswith("text/event-stream")
        seconds = self._limits.stream_seconds if is_stream else self._limits.seconds
        assert isinstance(response.stream, httpx2.AsyncByteStream)  # noqa: S101 - an asynchronous transport returns one
        stream = _BoundedStream(self, response.stream, request, started + seconds, self._limits.max_bytes)
        return httpx2.Response(
            response.status_code, headers=response.headers, stream=stream, extensions=response.extensions
        )

    @asynccontextmanager
    async def wait(self, request: httpx2.Request, deadline: float) -> AsyncIterator[None]:
        """Waits for the server in the `with` block until `deadline`, at most for what is left of the total time.

        Raises:
            ReadTimeout: The time is over.
        """
        loop = asyncio.get_running_loop()
        started = loop.time()
        try:
            async with asyncio.timeout_at(min(deadline, started + self._limits.total_seconds - self._waited)):
                yield
        except TimeoutError as error:
            raise httpx2.ReadTimeout("the response takes too long", request=request) from error
        finally:
            self._waited += loop.time() - started

    async def aclose(self) -> None:
        """Closes the underlying transport."""
        await self._transport.aclose()


class _BoundedStream(httpx2.AsyncByteStream):
    def __init__(
        self,
        transport: BoundedTransport,
        stream: httpx2.AsyncByteStream,
        request: httpx2.Request,
        deadline: float,
        max_bytes: int,
    ) -> None:
        self._transport = transport
        self._stream = stream
        self._request = request
        self._deadline = deadline
        self._left = max_bytes

    async def __aiter__(self) -> AsyncIterator[bytes]:
        chunks = aiter(self._stream)
        while True:
            async with self._transport.wait(self._request, self._deadline):
                chunk = await anext(chunks, None)
            if chunk is None:
                return
            self._left -= len(chunk)
            if self._left < 0:
                raise httpx2.ReadError("the response is too long", request=self._request)
            yield chunk

    async def aclose(self) -> None:
        await self._stream.aclose()
