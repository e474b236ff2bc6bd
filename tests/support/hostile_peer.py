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


@contextmanager
def hostile(peer: HostilePeer | None) -> Iterator[Observed]:
    """Starts both; `peer` is None for a server without faults."""
    fake = Fake()

    class Elsewhere(Handler):
        def respond(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            observed.elsewhere.append(f"{self.command} {self.path}\n{self.headers}\n{body!r}")
            self.send(404, b"")

    class Peer(JsonHandler):
        state = fake

        def respond(self) -> None:
            path = urlsplit(self.path).path
            logged_in = "authorization" in self.headers
            # The server's challenge is sent first, so that its hostile response comes after the login.
            if peer is not None and path.startswith(peer.path) and (path != peers.MCP or logged_in or _is_401(peer)):
                body = self.rfile.read(int(self.headers.get("content-length") or 0))
                self._hostile(peer, json.loads(body)["id"] if path == peers.MCP and body else None)
            elif path == peers.DEVICE:
                self._json(200, peers.documents(observed.names)[path])
            elif path == peers.TOKEN:
                is_device = "device_code" in self._form()
                pending: dict[str, Any] = {"error": "authorization_pending"}
                self._json(*((400, pending) if is_device else (200, peers.documents(observed.names)[path])))
            elif path.startswith("/realms/master"):
                self._json(200, peers.documents(observed.names)[peers.ADMIN_TOKEN])
            else:
                super().respond()

        def _form(self) -> str:
            return self.rfile.read(int(self.headers.get("content-length") or 0)).decode()

        def _hostile(self, peer: HostilePeer, request_id: Any) -> None:
            observed.hit = True
            response = peer.respond(observed.names)
            self.send_response(response.status)
            for name, value in response.headers:
                self.send_header(name, value)
            self.end_headers()
            with suppress(OSError):  # the command has read enough
                for chunk in response.body():
                    self.wfile.write(chunk.replace(_ID, json.dumps(request_id).encode()))
                    observed.sent += len(chunk)
            self.close_connection = True

    with listening(Elsewhere) as other, listening(Peer) as port:
        fake.url = f"http://127.0.0.1:{port}"
        observed = Observed(Names(fake.url, f"http://127.0.0.1:{other}"))
        fake.claims = {"iss": fake.url, "sub": "ada", "aud": fake.resource, "scope": "mcp:tools", "exp": 2_000_000_000}
        found: dict[str, Any] = peers.documents(observed.names)
        fake.responses = {path: (200, json.loads(json.dumps(found[path]))) for path in (peers.RESOURCE, peers.PROVIDER)}
        yield observed


def _is_401(peer: HostilePeer) -> bool:
    return peer in peers.CHALLENGES or peer in peers.RESPONSES
