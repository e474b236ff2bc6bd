"""A server and a fake provider with misconfigurations, for the doctor to check; all in process.

The provider signs real tokens (`mcp_idp.testing.issuer`). `proxies` modify the responses of our server, as
third-party servers and proxies do.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from email.utils import formatdate
from socket import gaierror
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx
import httpx2

from mcp_idp.cli.common.safe_http import SafeHttpClient
from mcp_idp.cli.common.server_settings import ServerSettings
from mcp_idp.cli.doctor.all_checks import CHECKS
from mcp_idp.cli.doctor.client_profiles import find_profile
from mcp_idp.cli.doctor.context import CheckContext
from mcp_idp.cli.doctor.runner import Result, all_findings, run_checks
from mcp_idp.cli.doctor.token_evaluation import make_evaluator
from mcp_idp.config import load_settings
from mcp_idp.testing.issuer import NOW, Issuer, public_jwk, rsa_key
from mcp_server.app import create_app
from tests.support.app import FakeClock, lifespan

Json = dict[str, Any]
Headers = dict[str, str]
_OTHER_KEY = public_jwk(rsa_key("foreign"), kid="other", alg="RS256", use="sig")
WELL_KNOWN = "/.well-known/oauth-protected-resource"


@dataclass
class HttpResponse:
    """A response that can be modified."""

    status: int
    headers: Headers = field(default_factory=dict)
    body: bytes = b""

    @property
    def document(self) -> Json:
        document: Json = json.loads(self.body)
        return document

    def change(self, **members: Any) -> None:
        """Changes members of the JSON object in the body."""
        self.body = json.dumps({**self.document, **members}).encode()
        self.headers["content-length"] = str(len(self.body))


# Gets each request to the server and its response.
Proxy = Callable[[httpx2.Request, HttpResponse], None]


@dataclass
class Provider:
    """An identity provider without misconfigurations, which tests add."""

    issuer: Issuer = field(default_factory=Issuer)
    document: Json = field(default_factory=dict)
    forms: tuple[str, ...] = ("oauth-authorization-server", "inserted", "appended")
    registers: Callable[[Json], tuple[int, Json]] = lambda _: (201, {})
    preflights: dict[str, HttpResponse] = field(default_factory=dict)
    ahead: float = 0.0
    registered: set[str] = field(default_factory=set)
    requests: list[str] = field(default_factory=list)
    sent: list[str] = field(default_factory=list)
    message_inactive: bool = False
    # Gets the parameters of an authorization request and the client's registration; None shows the login page.
    authorizes: Callable[[dict[str, str], Json], HttpResponse | None] = lambda *_: None
    clients: dict[str, Json] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.name(self.issuer.url)

    def name(self, url: str) -> None:
        """Changes the issuer to `url` in all responses."""
        self.issuer.url = url
        at = f"{url.rstrip('/')}/protocol/openid-connect"
        self.document = {
            "issuer": url,
            "authorization_endpoint": f"{at}/auth",
            "token_endpoint": f"{at}/token",
            "jwks_uri": f"{at}/certs",
            "registration_endpoint": f"{url.rstrip('/')}/clients",
            "code_challenge_methods_supported": ["S256"],
            "token_endpoint_auth_methods_supported": ["client_secret_basic", "none"],
            "scopes_supported": ["mcp:tools", "mcp:notes.read", "mcp:notes.write", "mcp:admin", "offline_access"],
        }

    def respond(self, method: str, url: str, headers: Headers, body: bytes) -> HttpResponse:
        """Returns the response to a request."""
        path, base = urlsplit(url).path, urlsplit(self.issuer.url).path.rstrip("/")
        self.requests.append(f"{method} {url}")
        self.sent.append(f"{url} {headers} {body!r}")
        if method == "OPTIONS":
            return self.preflights.get(path) or _welcome(headers)
        message = self._respond(method, path, base, body) or self._authorize(path, base, urlsplit(url).query)
        message.headers |= {"date": formatdate(NOW + self.ahead, usegmt=True), "access-control-allow-origin": "*"}
        return message

    def _authorize(self, path: str, base: str, query: str) -> HttpResponse:
        parameters = dict(parse_qsl(query))
        if path != f"{base}/protocol/openid-connect/auth" or parameters.get("client_id") not in self.clients:
            return HttpResponse(404)
        page = b"<form method=post action=/login><input name=username><input type=password name=password></form>"
        return self.authorizes(parameters, self.clients[parameters["client_id"]]) or HttpResponse(200, {}, page)

    def _respond(self, method: str, path: str, base: str, body: bytes) -> HttpResponse | None:
        documents = {
            "oauth-authorization-server": f"/.well-known/oauth-authorization-server{base}",
            "inserted": f"/.well-known/openid-configuration{base}",
            "appended": f"{base}/.well-known/openid-configuration",
            "origin": "/.well-known/oauth-authorization-server",
        }
        if path in {documents[form] for form in self.forms}:
            return _json(200, {name: value for name, value in self.document.items() if value is not None})
        keys = {f"{base}/protocol/openid-connect/certs": self.issuer.keys, "/other/certs": [_OTHER_KEY]}
        if path in keys:
            return _json(200, {"keys": keys[path]})
        if path == f"{base}/introspect":
            return _json(200, {"active": not self.message_inactive})
        if path == f"{base}/clients":
            return self._register(json.loads(body))
        if method == "DELETE" and path.removeprefix(f"{base}/clients/") in self.registered:
            self.registered.remove(path.removeprefix(f"{base}/clients/"))
            return HttpResponse(204)
        return None

    def _register(self, requested: Json) -> HttpResponse:
        status, response = self.registers(requested)
        if status != 201:
            return _json(status, response)
        name = f"client-{len(self.requests)}"
        self.registered.add(name)
        self.clients[name] = requested
        manage = {"registration_client_uri": f"{self.document['registration_endpoint']}/{name}"}
        return _json(201, {"client_id": name, "registration_access_token": "rat", **requested, **manage, **response})


def _welcome(headers: Headers) -> HttpResponse:
    return HttpResponse(
        200,
        {
            "access-control-allow-origin": headers.get("origin", ""),
            "access-control-allow-headers": headers.get("access-control-request-headers", ""),
        },
    )


def _json(status: int, document: Json) -> HttpResponse:
    return HttpResponse(status, {"content-type": "application/json"}, json.dumps(document).encode())


@dataclass
class DoctorTestbed:
    """A server, its provider, and the proxies between them and the doctor.

    Attributes:
        env: the server's environment.
        url: the URL that the doctor checks.
        names: host names of the server; `inside` are names at which only the server reaches the provider.
        token: the token passed to the doctor; "" for none.
        evaluated_with: the server's environment, as far as the doctor knows it; empty if it knows `env`.
        knows_settings: whether the doctor finds the server's settings on its machine.
        settings_since: settings that it finds there and that the server has not been started with yet.
        in_stack: whether it finds them in the compose stack.
        client: the client that the doctor acts as (`--as`); "" for none.
    """

    env: dict[str, str] = field(default_factory=dict)
    url: str = "http://localhost:3000/mcp"
    provider: Provider = field(default_factory=Provider)
    names: set[str] = field(default_factory=lambda: {"localhost:3000", "127.0.0.1:3000"})
    inside: set[str] = field(default_factory=lambda: {"keycloak:8080"})
    proxies: list[Proxy] = field(default_factory=list)
    server_ahead: float = 0.0
    register: bool = False
    quirks: bool = False
    initial_access_tokens: dict[str, str] = field(default_factory=dict)
    token: str = ""
    client: str = ""
    evaluated_with: dict[str, str] = field(default_factory=dict)
    knows_settings: bool = False
    settings_since: dict[str, str] = field(default_factory=dict)
    in_stack: bool = False

    async def results(self) -> list[Result]:
        """Starts the server and runs the doctor."""
        logging.getLogger("httpx2").setLevel(logging.WARNING)  # logging takes half of the time otherwise
        clock = FakeClock()
        settings = load_settings(self.env)
        internal_transport = httpx.MockTransport(self._for_the_server)
        async with httpx.AsyncClient(transport=internal_transport) as provider:
            app = create_app(settings, clock=clock.clock, http=provider)
            server = httpx2.ASGITransport(app)

            async def route(request: httpx2.Request) -> httpx2.Response:
                return await self.route(request, server)

            async with lifespan(app), httpx2.AsyncClient(transport=httpx2.MockTransport(route)) as http:
                evaluate = (
                    make_evaluator(self.evaluated_with or self.env, transport=internal_transport, clock=clock.clock)
                    if self.token
                    else None
                )
                safe_client = SafeHttpClient(http, self.url, now=lambda: NOW)
                case = CheckContext(
                    self.url,
                    safe_client,
                    register=self.register,
                    quirks=self.quirks,
                    initial_access_tokens=self.initial_access_tokens,
                    client=find_profile(self.client) if self.client else None,
                    settings=self._settings(),
                    evaluate=evaluate,
                    token=self.token,
                )
                return await run_checks(case, CHECKS)

    def _settings(self) -> ServerSettings:
        if not (self.knows_settings or self.in_stack or self.settings_since):
            return ServerSettings()
        return ServerSettings({**self.env, **self.settings_since}, "the environment", in_stack=self.in_stack)

    async def findings(self) -> list[str]:
        """Returns the names of the doctor's findings in order."""
        return [finding.kind.name for finding in all_findings(await self.results())]

    async def route(self, request: httpx2.Request, server: httpx2.ASGITransport) -> httpx2.Response:
        netloc = request.url.netloc.decode()
        if netloc in self.names:
            response = await server.handle_async_request(request)
            message = HttpResponse(response.status_code, dict(response.headers), await response.aread())
            message.headers["date"] = formatdate(NOW + self.server_ahead, usegmt=True)
            for proxy in self.proxies:
                proxy(request, message)
        elif netloc == urlsplit(self.provider.issuer.url).netloc:
            message = self.provider.respond(
                request.method, str(request.url), dict(request.headers), await request.aread()
            )
        else:
            raise httpx2.ConnectError("no such name") from gaierror(-2, "Name or service not known")
        return httpx2.Response(message.status, headers=message.headers, stream=httpx2.ByteStream(message.body))

    def _for_the_server(self, request: httpx.Request) -> httpx.Response:
        if request.url.netloc.decode() not in {urlsplit(self.provider.issuer.url).netloc, *self.inside}:
            raise httpx.ConnectError("refused", request=request)
        message = self.provider.respond(request.method, str(request.url), dict(request.headers), request.content)
        return httpx.Response(message.status, headers=message.headers, stream=httpx.ByteStream(message.body))


def without_header(name: str) -> Proxy:
    """Returns a proxy that removes a header."""

    def proxy(_: httpx2.Request, message: HttpResponse) -> None:
        message.headers.pop(name, None)

    return proxy


def rewriting_header(name: str, old: str, new: str) -> Proxy:
    """Returns a proxy that replaces text in a header."""

    def proxy(_: httpx2.Request, message: HttpResponse) -> None:
        if name in message.headers:
            message.headers[name] = message.headers[name].replace(old, new)

    return proxy


def responding(path: str, status: int, **members: Any) -> Proxy:
    """Returns a proxy that changes the status for a path, and members of the JSON object in the body."""

    def proxy(request: httpx2.Request, message: HttpResponse) -> None:
        if request.url.path == path and request.method in {"GET", "POST"}:
            message.status = status
            if members:
                message.change(**members)

    return proxy
