"""A small HTTP server for tests, in a thread."""

from __future__ import annotations

import ssl
import sys
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


class Handler(BaseHTTPRequestHandler):
    """Handles requests of all methods with `respond`; writes no log."""

    def respond(self) -> None:
        """Responds to the request."""
        self.send(501, b"")

    def do_GET(self) -> None:
        self.respond()

    def do_POST(self) -> None:
        self.respond()

    def do_PUT(self) -> None:
        self.respond()

    def do_DELETE(self) -> None:
        self.respond()

    def log_message(self, *_: object) -> None:
        """Logs nothing."""

    def send(self, status: int, body: bytes, **headers: str) -> None:
        """Sends a response with `body`; underscores in header names become hyphens."""
        self.send_response(status)
        for name, value in {**headers, "content_length": str(len(body))}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)


class _Server(ThreadingHTTPServer):
    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignores errors: tests disconnect, or use TLS with a plain server, on purpose."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)


@contextmanager
def listening(
    handler: Callable[..., BaseHTTPRequestHandler],
    *,
    address: str = "127.0.0.1",
    certificate: Path | None = None,
    waits: bool = False,
) -> Iterator[int]:
    """Serves on a free port, which is yielded, until the block ends.

    Args:
        handler: the request handler.
        address: the address to listen on.
        certificate: a PEM file with key and certificate, for TLS.
        waits: whether to wait for responses in progress at the end.
    """
    with _Server((address, 0), handler) as server:
        server.daemon_threads = not waits
        if certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            thread.join()
