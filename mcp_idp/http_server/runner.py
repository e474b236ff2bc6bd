"""From an application to a process that listens, and ends well.

Guaranteed: a port that cannot be had is known before the application starts; the first SIGTERM or SIGINT ends the
process with status 0 in about `_GRACE_SECONDS`, however many streams are open; the second ends it at once.
"""

from __future__ import annotations

import asyncio
import errno
import gc
import logging
import signal
import socket
import sys
from typing import TYPE_CHECKING, Any

import structlog
import uvicorn

from mcp_idp.config.env import SettingsError
from mcp_idp.http_server.limits import HttpLimits
from mcp_idp.http_server.protocol import protocol_with_limits

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

    from starlette.types import ASGIApp

    from mcp_idp.config.settings import Settings

log = structlog.get_logger(__name__)

# What is being answered when the signal comes may take this long. Docker kills after ten seconds, Kubernetes after 30.
_GRACE_SECONDS = 2.0
# Who has not ended one second after being told that its client left is cancelled.
_CANCEL_SECONDS = 3
# The application's own shutdown, before it is given up.
_LIFESPAN_SHUTDOWN_SECONDS = 8.0
# Longer than those who keep connections to us do: 60 s in nginx's upstreams and AWS load balancers, 5 s in httpx. If we
# close first, a request can meet the close on its way, and a POST is not sent again.
_KEEP_ALIVE_SECONDS = 75
_BACKLOG = 2048


def serve(
    app: ASGIApp,
    settings: Settings,
    *,
    limits: HttpLimits | None = None,
    ready: Callable[[str], None] | None = None,
) -> int:
    """Serve until a signal comes.

    Args:
        app: with lifespan.
        settings: where to listen, and which proxies to believe.
        limits: what one connection may cost.
        ready: called once with the URL, when requests are answered.

    Returns:
        The status to exit with: 0 after a signal, 1 after a second one or if the application would not end, 2 if the
        address cannot be had (one line on standard error says what to change), 3 if the application did not start.
    """
    try:
        sockets = bind_sockets(settings.host, settings.port)
    except SettingsError as error:
        sys.stderr.write(f"mcp-server: {error}\n")
        return 2
    config = uvicorn.Config(
        app,
        http=protocol_with_limits(limits or HttpLimits()),
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=bool(settings.trusted_proxies),
        forwarded_allow_ips=list(settings.trusted_proxies),
        timeout_keep_alive=_KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=_CANCEL_SECONDS,
    )
    server = GracefulServer(config, ready)
    try:
        server.run(sockets)
    except SystemExit as exit_:  # uvicorn's way to say that the application did not start
        return exit_.code if isinstance(exit_.code, int) else 1
    finally:
        logging.getLogger("uvicorn.error").removeFilter(_drop_cancelled_errors)
        for listener in sockets:
            listener.close()
    return 1 if server.force_exit else 0


def bind_sockets(host: str, port: int) -> list[socket.socket]:
    """Sockets that listen on every address of `host`, all on one port; 0 is the system's choice.

    Raises:
        SettingsError: the address cannot be had.
    """
    hostname = host.removeprefix("[").removesuffix("]")
    sockets: list[socket.socket] = []
    try:
        found = socket.getaddrinfo(hostname, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        for family, *_, address in dict.fromkeys(found):
            listener = socket.socket(family, socket.SOCK_STREAM)
            sockets.append(listener)
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6 and len(found) > 1:  # alone, it serves IPv4 too where the system says so
                listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            listener.bind((address[0], port, *address[2:]))
            port = listener.getsockname()[1]
            listener.listen(_BACKLOG)
            listener.setblocking(False)
    except (OSError, UnicodeError) as error:
        for listener in sockets:
            listener.close()
        raise SettingsError(_bind_error_hint(error, host, port)) from None
    return sockets


def _bind_error_hint(error: OSError | UnicodeError, host: str, port: int) -> str:
    number = None if isinstance(error, socket.gaierror | UnicodeError) else error.errno
    if number == errno.EADDRINUSE:
        return f"port {port} is in use: set PORT to another one"
    if number == errno.EACCES:
        return f"this user may not use port {port}: set PORT to one above 1023"
    return f"HOST={host}: is not an address of this machine; write one of its addresses, such as 127.0.0.1"


def _url(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _drop_cancelled_errors(record: logging.LogRecord) -> bool:
    """While the server ends, what is cancelled was cancelled by us."""
    return not (record.exc_info and isinstance(record.exc_info[1], asyncio.CancelledError))


class GracefulServer(uvicorn.Server):
    """Ends on the first signal within a bounded time, on the second at once."""

    def __init__(self, config: uvicorn.Config, ready: Callable[[str], None] | None) -> None:
        super().__init__(config)
        self._ready = ready
        self._forced = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Starts listening, then reports the URLs."""
        await super().startup(sockets)
        # What lives now lives as long as the process. A full collection that visits it all stops every request.
        gc.collect()
        gc.freeze()
        urls = list(map(_url, sockets or []))
        log.info("listening", urls=urls)
        if self._ready:
            self._ready(urls[0])

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002 - the signature of a handler
        """The first signal ends, the second forces; before the start is over, it kills.

        uvicorn's own raises the signal again at the end, which would make it the exit status.
        """
        if not self.should_exit:
            self.should_exit = True
        elif self.started and not self.force_exit:
            self.force_exit = True
            asyncio.get_running_loop().call_soon_threadsafe(self._forced.set)
        else:
            signal.signal(sig, signal.SIG_DFL)
            signal.raise_signal(sig)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Ends open requests, streams and connections; aborts what is left after the grace period."""
        logging.getLogger("uvicorn.error").addFilter(_drop_cancelled_errors)
        log.info("shutdown_started", connections=len(self.server_state.connections))
        cut = asyncio.get_running_loop().call_later(_GRACE_SECONDS, self._abort_connections)
        ending = asyncio.create_task(super().shutdown(sockets))
        forced = asyncio.create_task(self._forced.wait())
        done, _ = await asyncio.wait(
            {ending, forced}, timeout=_LIFESPAN_SHUTDOWN_SECONDS, return_when=asyncio.FIRST_COMPLETED
        )
        cut.cancel()
        forced.cancel()
        if ending in done:
            await ending
        else:
            self.force_exit = True
            self._abort_connections()
            ending.cancel()
            log.warning("shutdown_forced")

    def _abort_connections(self) -> None:
        connections: set[Any] = self.server_state.connections  # all are ours
        for connection in list(connections):
            connection.abort()
