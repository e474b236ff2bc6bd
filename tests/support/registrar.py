"""The registrar in this process, in front of a provider that records what arrives."""

from __future__ import annotations

import json
import ssl
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx

from mcp_idp.access.models import RegistrationPolicy
from mcp_idp.registrar.application import Registrar
from mcp_idp.registrar.settings import HOME_HOSTS
from mcp_idp.registrar.upstream import Upstream, create_client

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


KEYCLOAK_FILES = Path(__file__).parents[2] / "idp-config" / "keycloak"
PATH = "/realms/mcp/clients-registrations/openid-connect"
URL = f"http://keycloak:8080{PATH}"
ORIGIN = "http://localhost:6274"
OPEN = RegistrationPolicy(
    profile="open-dev",
    web_origins=(ORIGIN,),
    vendors={
        "vscode": ("https://vscode.dev/redirect",),
        "cursor": ("cursor://anysphere.cursor-mcp/oauth/callback",),
    },
)

Headers = list[tuple[bytes, bytes]]


@dataclass(slots=True)
class Answer:
    """A response of the registrar."""

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""

    @property
    def document(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.body)
        return found


def _created(request: httpx.Request) -> httpx.Response:
    document = {**json.loads(request.content), "client_id": "c1", "scope": "mcp:tools mcp:admin"}
    return httpx.Response(201, json=document, headers={"set-cookie": "AUTH=1", "cache-control": "no-store"})


@dataclass(slots=True)
class Bench:
    """A registrar whose provider is a function.

    Attributes:
        respond: the provider: returns the response to a request, or raises an error of httpx.
        registration: the block `registration` of the access file.
        quota: registrations of one address in a minute.
        requests: the requests that arrived at the provider.
        now: the time.
    """

    respond: Callable[[httpx.Request], httpx.Response] = _created
    registration: RegistrationPolicy = OPEN
    quota: int = 0
    requests: list[httpx.Request] = field(default_factory=list)
    now: float = 1000.0
    app: Registrar = field(init=False)

    def __post_init__(self) -> None:
        def handle(request: httpx.Request) -> httpx.Response:
            self.requests.append(request)
            found = self.respond(request)
            return httpx.Response(found.status_code, headers=found.headers, stream=httpx.ByteStream(found.content))

        http = create_client(ssl.create_default_context(), httpx.MockTransport(handle))
        self.app = Registrar(
            Upstream(http, URL),
            self.registration,
            home_hosts=frozenset(HOME_HOSTS),
            quota=self.quota,
            now=lambda: self.now,
        )

    async def send(
        self,
        body: bytes | dict[str, Any],
        headers: Iterable[tuple[bytes, bytes]] = (),
        *,
        types: tuple[bytes, ...] = (b"application/json",),
        method: str = "POST",
        path: str = PATH,
        client: str = "192.0.2.7",
    ) -> Answer:
        """Sends one request; a Content-Length is added unless the headers frame the body."""
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        sent: Headers = [(b"host", b"localhost:8080"), *((b"content-type", one) for one in types), *headers]
        if not {name for name, _ in sent} & {b"content-length", b"transfer-encoding"}:
            sent.append((b"content-length", b"%d" % len(content)))
        scope = {"type": "http", "method": method, "path": path, "headers": sent, "client": (client, 1)}
        answer = Answer()

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": content, "more_body": False}

        async def send(message: Any) -> None:
            if message["type"] == "http.response.start":
                answer.status = message["status"]
                answer.headers = {name.decode(): value.decode() for name, value in message["headers"]}
            else:
                answer.body += message.get("body", b"")

        await self.app(scope, receive, send)
        return answer
