"""Where the browser comes back to: a server on loopback that takes one answer and shows one page.

RFC 8252 section 7.3: a native client receives the authorization response on an ephemeral loopback port. An answer
whose `state` is not that of the login under way is not taken: no other page can end or replace it (RFC 6749 10.12).
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
    # Nothing is loaded, framed or run; the one style is named by its digest.
    "Content-Security-Policy": f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",  # the page's own URL holds the code
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
    """A small page without script or outside resources; `title` and `text` are escaped."""
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{html.escape(title)}</title>'
        f"<style>{_STYLE}</style><h1>{html.escape(title)}</h1><p>{html.escape(text)}</p></html>"
    )


class LoopbackServer:
    """Waits for the browser. `expect_state` the login's state first; anything else is turned away."""

    def __init__(self, port: int) -> None:
        self.redirect_uri = f"http://127.0.0.1:{port}{PATH}"
        self._host = f"127.0.0.1:{port}"
        self._state: str | None = None
        self._response: asyncio.Future[AuthorizationResponse] | None = None
        self._open: set[asyncio.StreamWriter] = set()

    def expect_state(self, state: str) -> None:
        """Take the next answer that carries `state`, and no other."""
        self._state = state
        self._response = asyncio.get_running_loop().create_future()

    async def wait_for_response(self, timeout: float) -> AuthorizationResponse:  # noqa: ASYNC109 - the caller's --timeout, passed through
        """The expected answer.

        Raises:
            TimeoutError: it did not come within `timeout` seconds.
        """
        if self._response is None:
            raise RuntimeError("expect() comes first")
        async with asyncio.timeout(timeout):
            return await self._response

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one connection. Whatever it sends, the server goes on."""
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
            pass  # a browser's speculative connection, or junk
        finally:
            self._open.discard(writer)
            writer.close()

    def close_connections(self) -> None:
        """Close what browsers hold open without a request: from Python 3.12 on, a server's end waits for them."""
        for writer in self._open:
            writer.close()

    def _handle(self, head: str) -> tuple[int, str]:
        request, *lines = head.split("\r\n")
        method, target, *_ = [*request.split(" "), "", ""]
        hosts = [line.partition(":")[2].strip() for line in lines if line.lower().startswith("host:")]
        parts = urlsplit(target)
        if hosts != [self._host] or parts.path != PATH:  # another name for this address: DNS rebinding
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
    """A running `LoopbackServer` on a free port of 127.0.0.1, closed at the end."""
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
