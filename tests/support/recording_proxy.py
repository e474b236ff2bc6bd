"""A proxy that records every request that a program sends."""

from __future__ import annotations

from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import httpx

from tests.support.http_server import Handler, listening

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_READS = frozenset({"GET", "HEAD", "OPTIONS"})
_HOP_BY_HOP = frozenset({"connection", "content-length", "transfer-encoding", "content-encoding", "keep-alive"})


@dataclass(slots=True)
class Recorder:
    """The recorded requests.

    Attributes:
        before_write: called with method and path before a write is forwarded.
        fails_after: after this many forwarded writes, the response and all further connections are lost.
    """

    url: str
    requests: list[tuple[str, str]] = field(default_factory=list)
    before_write: Callable[[str, str], None] = lambda _method, _path: None
    fails_after: int | None = None

    @property
    def writes(self) -> list[tuple[str, str]]:
        """Returns all requests except reads and the admin client's token requests."""
        return [
            (method, path)
            for method, path in self.requests
            if method not in _READS and path != "/realms/master/protocol/openid-connect/token"
        ]

    @property
    def is_broken(self) -> bool:
        """Whether connections are lost."""
        return self.fails_after is not None and len(self.writes) >= self.fails_after


@contextmanager
def recording(target: str) -> Iterator[Recorder]:
    """Forwards requests from a free port to `target`."""
    with httpx.Client(base_url=target, timeout=60, trust_env=False) as client:

        class Forward(Handler):
            def respond(self) -> None:
                if recorder.is_broken:
                    self.close_connection = True  # without a response
                    return
                path = urlsplit(self.path).path
                recorder.requests.append((self.command, path))
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                if (self.command, path) in recorder.writes:
                    recorder.before_write(self.command, path)
                headers = {name: value for name, value in self.headers.items() if name.lower() not in _HOP_BY_HOP}
                reply = client.request(self.command, self.path, content=body, headers=headers)
                if recorder.is_broken:
                    self.close_connection = True
                    return
                self.send_response(reply.status_code)
                for name, value in reply.headers.items():
                    if name.lower() not in _HOP_BY_HOP:
                        self.send_header(name, value)
                self.send_header("Content-Length", str(len(reply.content)))
                self.end_headers()
                with suppress(ConnectionError):  # the client disconnected
                    self.wfile.write(reply.content)

        with listening(Forward) as port:
            recorder = Recorder(f"http://127.0.0.1:{port}")
            yield recorder
