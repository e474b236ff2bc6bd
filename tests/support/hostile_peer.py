"""A server and its provider with one hostile response, and the server to which nothing secret may go."""

from __future__ import annotations

import json
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from mcp_idp.testing.corpus import peers
from mcp_idp.testing.corpus.peers import HostilePeer, Names
from tests.support.fake_mcp_server import Fake, JsonHandler
from tests.support.http_server import Handler, listening

if TYPE_CHECKING:
    from collections.abc import Iterator

_ID = json.dumps(peers.REQUEST_ID).encode()
# The endpoints that the fake provider does not have.
_ADDED = {peers.DEVICE: peers.DEVICE, peers.ADMIN_TOKEN: peers.ADMIN_TOKEN, peers.TOKEN: peers.TOKEN}


@dataclass
class Observed:
    """What both servers saw.

    Attributes:
        names: their addresses.
        elsewhere: the requests to the other server, with headers and bodies.
        sent: how many bytes of hostile bodies were sent.
        hit: whether the hostile endpoint was requested.
    """

    names: Names
    elsewhere: list[str] = field(default_factory=list)
    sent: int = 0
    hit: bool = False


class _Peer(JsonHandler):
    peer: HostilePeer
    observed: Observed

    def respond(self) -> None:
        path = urlsplit(self.path).path
        # The server's challenge is sent first, so that most of its hostile responses come after the login.
        is_first = path == peers.MCP and "authorization" not in self.headers
        if path.startswith(self.peer.path) and (not is_first or self.peer in peers.FIRST):
            body = self._body()
            self._send_hostile(json.loads(body)["id"] if path == peers.MCP and body else None)
        elif path in _ADDED:
            is_pending = b"device_code" in self._body() and path == peers.TOKEN
            found = {"error": "authorization_pending"} if is_pending else peers.documents(self.observed.names)[path]
            self._json(400 if is_pending else 200, found)
        else:
            super().respond()

    def _body(self) -> bytes:
        return self.rfile.read(int(self.headers.get("content-length") or 0))

    def _send_hostile(self, request_id: Any) -> None:
        self.observed.hit = True
        response = self.peer.respond(self.observed.names)
        self.send_response(response.status)
        for name, value in response.headers:
            self.send_header(name, value)
        self.end_headers()
        self.close_connection = True
        with suppress(OSError):  # the command has read enough
            for chunk in response.body():
                self.wfile.write(chunk.replace(_ID, json.dumps(request_id).encode()))
                self.observed.sent += len(chunk)


class _Elsewhere(Handler):
    observed: Observed

    def respond(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        self.observed.elsewhere.append(f"{self.command} {self.path}\n{self.headers}\n{body!r}")
        self.send(404, b"")


@contextmanager
def hostile(row: HostilePeer) -> Iterator[Observed]:
    """Starts both servers."""
    fake, seen = Fake(), Observed(Names("", ""))

    class Elsewhere(_Elsewhere):
        observed = seen

    class Peer(_Peer):
        state, peer, observed = fake, row, seen

    with listening(Elsewhere) as other, listening(Peer) as port:
        fake.url = f"http://127.0.0.1:{port}"
        seen.names = Names(fake.url, f"http://127.0.0.1:{other}")
        fake.claims = {"iss": fake.url, "sub": "ada", "aud": fake.resource, "scope": "mcp:tools", "exp": 2_000_000_000}
        found: dict[str, Any] = peers.documents(seen.names)
        fake.responses = {path: (200, found[path]) for path in (peers.RESOURCE, peers.PROVIDER)}
        yield seen
