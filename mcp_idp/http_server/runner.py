"""Runs an ASGI application in uvicorn, with graceful shutdown.

An unavailable port is reported before the application starts. The first SIGTERM or SIGINT ends the process with status
0 in about `_GRACE_SECONDS`, however many streams are open; the second ends it at once.
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

# Requests in progress at the signal may take this long. Docker kills after 10 seconds, Kubernetes after 30.
_GRACE_SECONDS = 2.0
# Request tasks are cancelled this long after the signal: one second after their connections are aborted.
_CANCEL_SECONDS = 3
# The whole shutdown, including the application's own, is abandoned after this time.
_LIFESPAN_SHUTDOWN_SECONDS = 8.0
# Longer than the keep-alive of peers: 60 s in nginx upstreams and AWS load balancers, 5 s in httpx. If the server
# closes first, a request may already be on its way, and clients do not resend a POST.
_KEEP_ALIVE_SECONDS = 75
_BACKLOG = 2048
# libuv accepts one connection per listener in each turn of the event loop, so that a client that connects often delays
# all new connections. As many duplicates of each listener accept as many connections.
_ACCEPTED_PER_TURN = 16
# What the kernel buffers for each connection and direction; it doubles this for its own data (socket(7)). By default it
# grows the buffers to several megabytes.
_KERNEL_BUFFER_BYTES = 64 * 1024


def serve(
    app: ASGIApp,
    settings: Settings,
    *,
    limits: HttpLimits | None = None,
    ready: Callable[[str], None] | None = None,
) -> int:
    """Serves until a signal arrives.

    Args:
        app: an ASGI application that supports lifespan.
        settings: the address to listen on, and the trusted proxies.
        limits: the HTTP limits; by default those that follow from `settings.max_memory`.
        ready: called once with the URL of the server, when it accepts requests.

    Returns:
        The exit status: 0 after a signal, 1 after a second signal or if the application did not shut down in time, 2 if
        the address is unavailable (one line on standard error says what to change), 3 if the application did not start.
    """
    limits = limits or HttpLimits.for_memory(settings.memory_plan)
    try:
        sockets = bind_sockets(settings.host, settings.port, limits)
    except SettingsError as error:
        sys.stderr.write(f"mcp-server: {error}\n")
        return 2
    config = uvicorn.Config(
        app,
        http=protocol_with_limits(limits),
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
    except SystemExit as exit_:  # raised by uvicorn if the application did not start
        return exit_.code if isinstance(exit_.code, int) else 1
    finally:
        logging.getLogger("uvicorn.error").removeFilter(_drop_cancelled_errors)
        for listener in sockets:
            listener.close()
    return 1 if server.force_exit else 0


def bind_sockets(host: str, port: int, limits: HttpLimits) -> list[socket.socket]:
    """Returns listening sockets for every address of `host`.

    Args:
        host: a host name or IP address; an IPv6 address may be in brackets.
        port: the port for all sockets; 0 for one that the system chooses.
        limits: the HTTP limits, of which the kernel enforces `write_seconds`.

    Raises:
        SettingsError: an address or the port is unavailable; the text says what to change.
    """
    hostname = host.removeprefix("[").removesuffix("]")
    sockets: list[socket.socket] = []
    try:
        found = socket.getaddrinfo(hostname, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        for family, *_, address in dict.fromkeys(found):
            listener = socket.socket(family, socket.SOCK_STREAM)
            sockets.append(listener)
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6 and len(found) > 1:  # a single socket may serve IPv4 too (system default)
                listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            _bound_kernel_buffers(listener, limits.write_seconds)
            listener.bind((address[0], port, *address[2:]))
            port = listener.getsockname()[1]
            listener.listen(_BACKLOG)
            listener.setblocking(False)
    except (OSError, UnicodeError) as error:
        for listener in sockets:
            listener.close()
        raise SettingsError(_bind_error_hint(error, host, port)) from None
    return sockets


def _bound_kernel_buffers(listener: socket.socket, write_seconds: float) -> None:
    """Bounds the buffers of the connections that `listener` accepts.

    On Linux, a connection whose client reads nothing that was sent to it ends after `write_seconds`.
    """
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _KERNEL_BUFFER_BYTES)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _KERNEL_BUFFER_BYTES)
    user_timeout = getattr(socket, "TCP_USER_TIMEOUT", None)  # RFC 5482
    if user_timeout is not None:
        listener.setsockopt(socket.IPPROTO_TCP, user_timeout, int(write_seconds * 1000))


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
    """Drops log records of cancelled tasks: during shutdown the server itself cancels them."""
    return not (record.exc_info and isinstance(record.exc_info[1], asyncio.CancelledError))


class GracefulServer(uvicorn.Server):
    """Shuts down within a bounded time on the first signal, at once on the second.

    Args:
        config: uvicorn's configuration.
        ready: called once with the URL of the server, when it accepts requests; None for no callback.
    """

    def __init__(self, config: uvicorn.Config, ready: Callable[[str], None] | None) -> None:
        super().__init__(config)
        self._ready = ready
        self._forced = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Starts listening, then reports the URLs."""
        await super().startup(sockets and [each.dup() for each in sockets for _ in range(_ACCEPTED_PER_TURN)])
        # Objects that exist now live as long as the process. Freezing them keeps full collections, which stop all
        # requests, from visiting them.
        gc.collect()
        gc.freeze()
        urls = list(map(_url, sockets or []))
        log.info("listening", urls=urls)
        if self._ready:
            self._ready(urls[0])

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002 - a signal handler's signature
        """Shuts down on the first signal, forces the exit on the second.

        A second signal during startup, or a third one, terminates the process by that signal's default action. The
        handler of uvicorn is not used, because it raises the signal again at the end, which would determine the exit
        status.
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
        """Ends open requests, streams and connections; aborts the remaining ones after the grace period."""
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
        connections: set[Any] = self.server_state.connections  # all are LimitedHttpProtocol
        for connection in list(connections):
            connection.abort()
