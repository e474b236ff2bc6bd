"""The loopback redirect server: receives one authorization response and shows one page (RFC 8252 section 7.3).

It listens on an ephemeral port. A response whose `state` is not that of the current login is rejected, so that no
other web page can end or replace the login (RFC 6749 section 10.12).
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import html
import secrets
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

PATH = "/callback"
_MAX_HEAD = 32 * 1024
_HEAD_SECONDS = 10
_STYLE = "body{font:1.1rem/1.5 system-ui,sans-serif;max-width:34rem;margin:20vh auto 0;padding:0 1rem}"
_STYLE_HASH = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
_HEADERS = {
    "Content-Type": "text/html; charset=utf-8",
    # Nothing is loaded, framed or executed; the only style is allowed by its hash.
    "Content-Security-Policy": f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",  # the page's URL contains the authorization code
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
    "Connection": "close",
}
_REASONS = {200: "OK", 400: "Bad Request", 404: "Not Found", 405: "Method Not Allowed"}


@dataclass(frozen=True, slots=True)
class AuthorizationResponse:
    """The authorization response (RFC 6749 section 4.1.2, with `iss` of RFC 9207)."""

    code: str | None = None
    state: str | None = None
    iss: str | None = None
    error: str | None = None
    error_description: str | None = None


def page(title: str, text: str) -> str:
    """Returns a small HTML page without scripts or external resources; `title` and `text` are escaped."""
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{html.escape(title)}</title>'
        f"<style>{_STYLE}</style><h1>{html.escape(title)}</h1><p>{html.escape(text)}</p></html>"
    )


class LoopbackServer:
    """Receives authorization responses. Until `expect_state` is called, every response is rejected.

    Args:
        port: The port of 127.0.0.1 that it listens on.
    """

    def __init__(self, port: int) -> None:
        self.redirect_uri = f"http://127.0.0.1:{port}{PATH}"
        self._host = f"127.0.0.1:{port}"
        self._state: str | None = None
        self._response: asyncio.Future[AuthorizationResponse] | None = None
        self._open: set[asyncio.StreamWriter] = set()

    def expect_state(self, state: str) -> None:
        """Accepts the next response that carries `state`, and no other."""
        self._state = state
        self._response = asyncio.get_running_loop().create_future()

    async def wait_for_response(self, timeout: float) -> AuthorizationResponse:  # noqa: ASYNC109 - the value of --timeout
        """Waits for the expected response. Call `expect_state` first.

        Args:
            timeout: Seconds to wait.

        Raises:
            TimeoutError: No response arrived in time.
        """
        if self._response is None:
            raise RuntimeError("call expect_state() first")
        async with asyncio.timeout(timeout):
            return await self._response

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Handles one connection. Malformed requests are ignored."""
        self._open.add(writer)
        try:
            async with asyncio.timeout(_HEAD_SECONDS):
                head = await reader.readuntil(b"\r\n\r\n")
            status, body = self._handle(head.decode("latin-1"))
            content = body.encode()
            lines = [f"HTTP/1.1 {status} {_REASONS[status]}", *(f"{k}: {v}" for k, v in _HEADERS.items())]
            writer.write("\r\n".join([*lines, f"Content-Length: {len(content)}", "", ""]).encode("latin-1") + content)
            await writer.drain()
        except (TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, ConnectionError):
            pass  # a browser's speculative connection, or a malformed request
        finally:
            self._open.discard(writer)
            writer.close()

    def close_connections(self) -> None:
        """Closes connections that browsers hold open without sending a request.

        From Python 3.12 on, closing a server waits for its connections.
        """
        for writer in self._open:
            writer.close()

    def _handle(self, head: str) -> tuple[int, str]:
        request, *lines = head.split("\r\n")
        method, target, *_ = [*request.split(" "), "", ""]
        hosts = [line.partition(":")[2].strip() for line in lines if line.lower().startswith("host:")]
        try:
            parts = urlsplit(target)
        except ValueError:  # such as //[
            return 400, page("Bad request", "This is not a web address.")
        if hosts != [self._host] or parts.path != PATH:  # another Host would mean DNS rebinding
            return 404, page("Not found", "This address only receives login responses.")
        if method != "GET":
            return 405, page("Method not allowed", "This address only receives login responses.")
        query = {name: values[0] for name, values in parse_qs(parts.query).items() if len(values) == 1}
        return self._accept(
            AuthorizationResponse(**{name: query.get(name) for name in AuthorizationResponse.__slots__})
        )

    def _accept(self, response: AuthorizationResponse) -> tuple[int, str]:
        if self._response is None or self._response.done() or self._state is None:
            return 400, page("No pending login", "This response was already used, or no login requested it.")
        if not secrets.compare_digest((response.state or "").encode(), self._state.encode()):
            return 400, page("Response to a different login", "Its state differs from the one that this login sent.")
        self._response.set_result(response)
        if response.error is not None or response.code is None:
            reason = response.error_description or response.error or "The response has no code."
            return 200, page("The login failed", f"{reason} See the terminal for details.")
        return 200, page("Signed in", "You can close this tab and return to the terminal.")


@asynccontextmanager
async def open_callback() -> AsyncIterator[LoopbackServer]:
    """Yields a running `LoopbackServer` on a free port of 127.0.0.1, and closes it at the end."""
    callback: LoopbackServer | None = None

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        assert callback is not None  # noqa: S101 - set before the first connection can be accepted
        await callback.serve(reader, writer)

    server = await asyncio.start_server(serve, "127.0.0.1", 0, limit=_MAX_HEAD)
    async with server:
        callback = LoopbackServer(server.sockets[0].getsockname()[1])
        try:
            yield callback
        finally:
            callback.close_connections()
