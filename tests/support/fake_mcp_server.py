"""A fake MCP server and its provider in one HTTP server, for tests of the login client."""

from __future__ import annotations

import base64
import json
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlencode, urlsplit

from mcp_idp.cli.subcommands import run
from tests.support.http_server import Handler, listening

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pytest

PASSWORD = "correct horse battery staple"
LOGIN_PAGE = """<html><title>Log in</title><body>{error}<form method=post action="/login?next=1">
<input name=username><input type=password name=password><input type=hidden name=token value=hidden-in-form>
<button type=submit name=login>Go</button></form></body></html>"""
CONSENT_PAGE = """<html><title>May it?</title><form method=post action=/consent><input type=submit name=cancel value=No>
<input type=submit name=accept value=Yes></form></html>"""
TOOLS = [
    {"name": "greet", "inputSchema": {"type": "object", "properties": {"name": {"type": "string"}}}},
    {"name": "add", "inputSchema": {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}},
]


@dataclass
class Fake:
    """The configurable responses of both, and the recorded requests."""

    url: str = ""
    claims: dict[str, Any] = field(default_factory=dict)
    code: str = "the-authorization-code"
    refresh: str = "the-refresh-token"
    secret: str = "the-client-secret"
    token_error: bool = False
    callback_error: str | None = None
    description: str = "Greet someone"
    accepts_token: bool = True
    requires_login: bool = True
    responses: dict[str, tuple[int, dict[str, Any]]] = field(default_factory=dict)  # by path, override the default ones
    forms: list[dict[str, str]] = field(default_factory=list)
    query: dict[str, str] = field(default_factory=dict)
    tool_error: str = ""  # replaces a tool's result
    verifier: str = ""
    management: dict[str, str] = field(default_factory=dict)  # RFC 7592 members of the registration response
    removals: list[tuple[str, str]] = field(default_factory=list)  # path and Authorization of each DELETE
    error: dict[str, Any] = field(default_factory=lambda: {"error": "invalid_token"})

    @property
    def resource(self) -> str:
        return f"{self.url}/mcp"

    @property
    def token(self) -> str:
        parts = [{"alg": "none"}, self.claims]
        encoded = [base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts]
        return ".".join([*encoded, "the-signature"])

    def secrets(self) -> list[str]:
        return [self.code, self.refresh, self.secret, self.token, self.verifier, PASSWORD]


@contextmanager
def fake_login() -> Iterator[Fake]:
    """Yields a running `Fake`."""
    fake = Fake()

    class McpHandler(JsonHandler):
        state = fake

    with listening(McpHandler, waits=True) as port:
        fake.url = f"http://127.0.0.1:{port}"
        fake.claims = {"iss": fake.url, "sub": "ada", "aud": fake.resource, "scope": "mcp:tools", "exp": 2_000_000_000}
        yield fake


@contextmanager
def fake_for_a_program(monkeypatch: pytest.MonkeyPatch) -> Iterator[Fake]:
    """Yields a running `Fake`, with an environment for our programs that has its password and no other settings."""
    monkeypatch.setenv("MCP_PASSWORD", PASSWORD)
    monkeypatch.setenv("COLUMNS", "200")
    for name in ("CONNECT_TO", "ACCESS_FILE", "MCP_PUBLIC_URL", "MCP_PORT", "SSL_CERT_FILE"):
        monkeypatch.delenv(name, raising=False)
    with fake_login() as running:
        monkeypatch.setenv("OAUTH_SERVER_URL", running.url)
        yield running


def log_in(fake: Fake, *options: str) -> int:
    """Runs `scripts/login` for it, as Ada and without a browser; returns the exit code."""
    return run(["login", "--url", fake.resource, "--headless", "--user", "ada", "--issuer", fake.url, *options])


class JsonHandler(Handler):
    state: Fake

    def respond(self) -> None:
        {"GET": self._get, "POST": self._post, "DELETE": self._delete}[self.command]()

    def _get(self) -> None:
        fake, parts = self.state, urlsplit(self.path)
        if parts.path in fake.responses:
            status, document = fake.responses[parts.path]
            self._json(status, document)
        elif parts.path == "/.well-known/oauth-protected-resource/mcp":
            self._json(200, {"resource": fake.resource, "authorization_servers": [fake.url]})
        elif parts.path == "/.well-known/oauth-authorization-server":
            endpoints = {f"{n}_endpoint": f"{fake.url}/{n}" for n in ("authorization", "token", "registration")}
            basics = {"response_types_supported": ["code"], "code_challenge_methods_supported": ["S256"]}
            self._json(200, {"issuer": fake.url, **endpoints, **basics})
        elif parts.path == "/authorization":
            fake.query = {k: v[0] for k, v in parse_qs(parts.query).items()}
            self._html(LOGIN_PAGE.format(error=""), cookie="sid=the-cookie; Path=/; Secure; HttpOnly")
        else:
            self._json(404, {})

    def _post(self) -> None:
        fake, path = self.state, urlsplit(self.path).path
        body = self.rfile.read(int(self.headers["content-length"])).decode()
        form = {k: v[0] for k, v in parse_qs(body).items()}
        if path in fake.responses:
            status, document = fake.responses[path]
            self._json(status, document)
        elif path == "/mcp":
            self._mcp(json.loads(body))
        elif path == "/registration":
            method = {"client_secret": fake.secret, "token_endpoint_auth_method": "client_secret_post"}
            self._json(
                201,
                {**json.loads(body), "client_id": "the-client", "client_name": f"I am {fake.secret}", **method}
                | fake.management,
            )
        elif path == "/token":
            fake.verifier = form["code_verifier"]
            if fake.token_error:  # a hostile provider that echoes the request
                self._json(400, {"error": "invalid_grant", "error_description": body})
                return
            scope = fake.claims.get("scope", "")
            self._json(
                200,
                {"access_token": fake.token, "token_type": "Bearer", "refresh_token": fake.refresh, "scope": scope},
            )
        else:
            self._page(path, form)

    def _delete(self) -> None:
        fake = self.state
        fake.removals.append((self.path, self.headers.get("authorization", "")))
        status, _ = fake.responses.get(self.path, (204, {}))
        self._send(status, b"")

    def _page(self, path: str, form: dict[str, str]) -> None:
        fake = self.state
        fake.forms.append(form)
        if self.headers.get("cookie") != "sid=the-cookie":
            self._html("<title>No cookie</title>", status=400)
        elif path == "/login" and form.get("password") != PASSWORD:
            self._html(LOGIN_PAGE.format(error=f"<p class=alert>Invalid username or password {form['password']}</p>"))
        elif path == "/login":
            self._html(CONSENT_PAGE)
        else:
            result = {"error": fake.callback_error} if fake.callback_error else {"code": fake.code}
            query = urlencode({**result, "state": fake.query["state"]})
            self._send(302, b"", location=f"{fake.query['redirect_uri']}?{query}")

    def _mcp(self, message: dict[str, Any]) -> None:
        fake = self.state
        right = self.headers.get("authorization") == f"Bearer {fake.token}" and fake.accepts_token
        if fake.requires_login and not right:
            challenge = (
                f'Bearer resource_metadata="{fake.url}/.well-known/oauth-protected-resource/mcp", scope="mcp:tools"'
            )
            self._json(401, fake.error, **{"www-authenticate": challenge})
            return
        result: dict[str, Any] = {"resultType": "complete"}
        if message["method"] == "server/discover":
            result |= {"supportedVersions": ["2026-07-28"], "capabilities": {"tools": {}}}
            result |= {"ttlMs": 0, "cacheScope": "private"}
        elif message["method"] == "tools/list":
            result |= {"tools": [{**tool, "description": fake.description} for tool in TOOLS]}
            result |= {"ttlMs": 0, "cacheScope": "private"}
        else:
            text = fake.tool_error or json.dumps(message["params"]["arguments"])
            result |= {"content": [{"type": "text", "text": text}], "isError": bool(fake.tool_error)}
        self._json(200, {"jsonrpc": "2.0", "id": message["id"], "result": result})

    def _json(self, status: int, body: dict[str, Any], **headers: str) -> None:
        self._send(status, json.dumps(body).encode(), **{"content-type": "application/json", **headers})

    def _html(self, text: str, *, status: int = 200, cookie: str | None = None) -> None:
        extra = {"set-cookie": cookie} if cookie else {}
        self._send(status, text.encode(), **{"content-type": "text/html", **extra})

    def _send(self, status: int, body: bytes, **headers: str) -> None:
        self.send_response(status)
        for name, value in {**headers, "content-length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)
