"""A fake of Entra ID's endpoints for one tenant, over sockets.

https://learn.microsoft.com/entra/identity-platform/v2-oauth2-auth-code-flow; both endpoints reject `resource`
(AADSTS901002, modelcontextprotocol/csharp-sdk#741). There is neither registration nor RFC 8414 metadata. The user is
already logged in and has consented to the client that all programs share, so there are no pages.
"""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlencode, urlsplit

import jwt

from mcp_idp.testing.issuer import public_jwk, rsa_key
from tests.support.http_server import Handler, listening

if TYPE_CHECKING:
    from collections.abc import Iterator

TENANT = "72f988bf-86f1-41af-91ab-2d7cd011db47"
API = "6e74172b-be56-4843-9ff4-e66a39bb12e3"
PREFIX = f"api://{API}/"
CLIENT = "0a1b2c3d-1111-4222-8333-444455556666"
_NOT_SUPPORTED = "AADSTS901002: The 'resource' request parameter is not supported."


@dataclass
class Entra:
    """A tenant.

    Attributes:
        roles: the roles of the logged-in user.
        forms: the forms and headers received at the token endpoint.
        logins: the queries received at the authorization endpoint.
    """

    url: str
    roles: tuple[str, ...] = ("mcp-reader",)
    forms: list[tuple[dict[str, str], dict[str, str]]] = field(default_factory=list)
    logins: list[dict[str, str]] = field(default_factory=list)
    codes: dict[str, dict[str, str]] = field(default_factory=dict)

    @property
    def issuer(self) -> str:
        return f"{self.url}/{TENANT}/v2.0"

    def authorize(self, query: dict[str, str]) -> tuple[int, dict[str, str], bytes]:
        self.logins.append(query)
        redirect = query.get("redirect_uri", "")
        if query.get("client_id") != CLIENT or urlsplit(redirect).path != "/callback":
            return 400, {}, b"AADSTS50011: The redirect URI does not match the redirect URIs configured."
        if "resource" in query:
            return 400, {}, _NOT_SUPPORTED.encode()
        if any(not s.startswith(PREFIX) and s not in {"openid", "offline_access"} for s in query["scope"].split()):
            return 400, {}, b"AADSTS650053: the application asked for a scope that does not exist"
        code = secrets.token_urlsafe(16)
        self.codes[code] = query
        back = {"code": code, "state": query.get("state", ""), "session_state": "s"}
        return 302, {"Location": f"{redirect}?{urlencode(back)}"}, b""

    def token(self, form: dict[str, str], headers: dict[str, str]) -> tuple[int, dict[str, str], bytes]:
        self.forms.append((form, headers))
        if "resource" in form:
            return _json(400, {"error": "invalid_request", "error_description": _NOT_SUPPORTED})
        authorization = self.codes.pop(form.get("code") or form.get("refresh_token", ""), None)
        if authorization is None or form.get("client_id") != authorization["client_id"]:
            return _json(400, {"error": "invalid_grant"})
        if form["grant_type"] == "authorization_code":
            digest = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
            pkce_matches = base64.urlsafe_b64encode(digest).rstrip(b"=").decode() == authorization["code_challenge"]
            if not pkce_matches or form.get("redirect_uri") != authorization["redirect_uri"]:
                return _json(400, {"error": "invalid_grant", "error_description": "AADSTS50148: code_verifier"})
        granted = [scope for scope in authorization["scope"].split() if scope.startswith(PREFIX)]
        response: dict[str, Any] = {"token_type": "Bearer", "expires_in": 3600, "scope": " ".join(granted)}
        response["access_token"] = self._sign(granted)
        if "offline_access" in authorization["scope"].split():
            response["refresh_token"] = refresh = secrets.token_urlsafe(16)
            self.codes[refresh] = authorization
        return _json(200, response)

    def _sign(self, granted: list[str]) -> str:
        now = int(time.time())
        claims = {
            "iss": self.issuer,
            "aud": API,
            "iat": now,
            "nbf": now,
            "exp": now + 3600,
            "azp": CLIENT,
            "azpacr": "0",
            "oid": "690222be-ff1a-4d56-abd1-7e4f7d38e474",
            "roles": list(self.roles),
            "scp": " ".join(scope.removeprefix(PREFIX) for scope in granted),
            "sub": "HKZpfaHyWadeOouYlitjrI-KffTm222X5rrV3xDqfKQ",
            "tid": TENANT,
            "ver": "2.0",
        }
        return jwt.encode(claims, rsa_key("provider"), algorithm="RS256", headers={"kid": "k1"})

    def respond(
        self, method: str, target: str, body: str, headers: dict[str, str]
    ) -> tuple[int, dict[str, str], bytes]:
        parts = urlsplit(target)
        query = {name: values[0] for name, values in parse_qs(parts.query, keep_blank_values=True).items()}
        match method, parts.path.removeprefix(f"/{TENANT}"):
            case "GET", "/oauth2/v2.0/authorize":
                return self.authorize(query)
            case "POST", "/oauth2/v2.0/token":
                form = {name: values[0] for name, values in parse_qs(body, keep_blank_values=True).items()}
                return self.token(form, headers)
            case "GET", "/discovery/v2.0/keys":
                return _json(200, {"keys": [public_jwk(rsa_key("provider"), kid="k1", use="sig", alg="RS256")]})
        return 404, {}, b""


def _json(status: int, document: Any) -> tuple[int, dict[str, str], bytes]:
    return status, {"Content-Type": "application/json", "Set-Cookie": "fpc=x"}, json.dumps(document).encode()


@contextmanager
def running_entra() -> Iterator[Entra]:
    """Serves the tenant on a free port until the block ends."""

    class Reply(Handler):
        def respond(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
            headers = {name.lower(): value for name, value in self.headers.items()}
            status, more, content = entra.respond(self.command, self.path, body, headers)
            self.send_response(status)
            for name, value in {**more, "Content-Length": str(len(content))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

    with listening(Reply) as port:
        entra = Entra(f"http://127.0.0.1:{port}")
        yield entra
