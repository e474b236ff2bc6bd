"""A small HTTP server of a test, in a thread of its own."""

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
    """What answers, by `answer` whatever the method; it writes no log."""

    def answer(self) -> None:
        """Answer this request."""
        self.send(501, b"")

    def do_GET(self) -> None:
        self.answer()

    def do_POST(self) -> None:
        self.answer()

    def do_PUT(self) -> None:
        self.answer()

    def do_DELETE(self) -> None:
        self.answer()

    def log_message(self, *_: object) -> None:
        """Say nothing: the test's own output says enough."""

    def send(self, status: int, body: bytes, **headers: str) -> None:
        """Answer with `body`; an underscore in a header's name stands for a hyphen."""
        self.send_response(status)
        for name, value in {**headers, "content_length": str(len(body))}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)


class _Server(ThreadingHTTPServer):
    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hangs up, or speaks TLS where there is none, is the test's own doing."""
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
    """Serve on a free port, which is given, until the block ends.

    Args:
        handler: what answers.
        address: where it listens.
        certificate: a file with key and certificate in PEM, for TLS.
        waits: at the end, for answers under way.
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
