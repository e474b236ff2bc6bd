"""In-process fake providers with the metadata, keys, tokens and responses of real ones. No sockets.

A fake follows its provider's public documentation and uses only the settings that its guide in `docs/providers/` names.
`rows_for_all` adds the cases in which every provider's tokens must be rejected.
"""

from __future__ import annotations

import json
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

import httpx
import jwt
import yaml

from mcp_idp.config import load_settings
from mcp_idp.config.settings import Settings
from mcp_idp.testing.issuer import NOW, public_jwk, rsa_key
from mcp_server.app import create_app
from tests.support.app import Calls, FakeClock, lifespan

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping
    from pathlib import Path

RESOURCE = "https://mcp.example.com/mcp"
USER = "248289761001"
_JWE = "eyJhbGciOiJkaXIiLCJlbmMiOiJBMjU2R0NNIn0..48V1_ALb6US04U3b.5eym8TW_c8SuK0ltJ3rpYIzOeDQz7TALvtu6UG9oMo4.AAAA"


@dataclass(frozen=True, kw_only=True)
class Row:
    """A token and the expected outcome.

    Attributes:
        name: a description.
        changes: changes to the claims of the genuine token; `...` removes a claim.
        header: changes to the header of the genuine token; `...` removes a member.
        whole: the whole token, if it is not a JWT signed with the provider's key.
        scopes: the scopes of the accepted token; None if it is rejected.
        message: the reason in the log, or the code of a 403.
    """

    name: str
    changes: Mapping[str, Any] = field(default_factory=dict)
    header: Mapping[str, Any] = field(default_factory=dict)
    whole: str = ""
    scopes: frozenset[str] | None = None
    message: str = ""


def genuine(name: str, scopes: str, **changes: Any) -> Row:
    return Row(name=name, changes=changes, scopes=frozenset(scopes.split()))


def wrong(name: str, message: str, **changes: Any) -> Row:
    return Row(name=name, changes=changes, message=message)


@dataclass(frozen=True, kw_only=True)
class FakeProvider:
    """A fake provider.

    Attributes:
        profile: the name of its provider profile.
        source: the public documents that describe its tokens.
        issuer: the issuer in its tokens.
        documents: the paths of its metadata; other well-known paths are 404.
        keys_at: the URL of its key set.
        metadata: further members of its metadata.
        header: the header of its access tokens, except `alg` and `kid`.
        claims: the claims of an access token.
        settings: all settings except OAUTH_SERVER_URL and MCP_PUBLIC_URL.
        access: members that replace those of the access file.
        elsewhere: the issuer of another tenant of the same provider, which may have the same keys.
        rows: its tokens.
        opaque: an opaque access token, if it issues such tokens.
        response: the introspection response for the opaque token.
    """

    profile: str
    source: tuple[str, ...]
    issuer: str
    documents: tuple[str, ...]
    keys_at: str
    metadata: Mapping[str, Any] = field(default_factory=dict)
    header: Mapping[str, Any] = field(default_factory=dict)
    claims: Mapping[str, Any]
    settings: Mapping[str, str] = field(default_factory=dict)
    access: Mapping[str, Any] = field(default_factory=dict)
    elsewhere: str
    rows: tuple[Row, ...]
    opaque: str = ""
    response: Mapping[str, Any] = field(default_factory=dict)

    def token(self, row: Row) -> str:
        """Returns the token of a row."""
        if row.whole:
            return row.whole
        claims = {"iss": self.issuer, "sub": USER, "iat": NOW, "exp": NOW + 3600, **self.claims, **row.changes}
        header = {"typ": None, **self.header, "kid": "k1", **row.header}
        return jwt.encode(
            {name: value for name, value in claims.items() if value is not ...},
            rsa_key(str(header.pop("by", "provider"))),
            algorithm="RS256",
            headers={name: value for name, value in header.items() if value is not ...},
        )

    async def reply(self, request: httpx.Request) -> httpx.Response:
        """Responds to a request at one of its endpoints."""
        keys = {"keys": [public_jwk(rsa_key("provider"), kid="k1", use="sig", alg="RS256")]}
        if request.method == "POST":
            token = dict(parse_qsl(request.content.decode())).get("token")
            return _json(self.response if token == self.opaque else {"active": False})
        if str(request.url) == self.keys_at:
            return _json(keys)
        if request.url.host == urlsplit(self.issuer).hostname and request.url.path in self.documents:
            return _json({"issuer": self.issuer, "jwks_uri": self.keys_at, **self.metadata})
        return httpx.Response(404)

    def rows_for_all(self) -> tuple[Row, ...]:
        """Returns the rows that every provider must reject."""
        without_slash = self.issuer.rstrip("/")
        other_slash = without_slash if self.issuer.endswith("/") else f"{self.issuer}/"
        return (
            wrong("a token of another tenant, signed by the same key", "issuer", iss=self.elsewhere),
            wrong("a token of an issuer that only looks alike", "issuer", iss=f"{without_slash}.attacker.example/"),
            wrong("a token whose issuer has one slash more or less", "issuer", iss=other_slash),
            wrong("a token for another resource", "audience", aud="https://other.example.com/mcp"),
            wrong(
                "a token for a list of other resources",
                "audience",
                aud=["https://other.example.com/mcp", RESOURCE + "/"],
            ),
            wrong("a token that has ended", "expired", iat=NOW - 7200, exp=NOW - 3600),
            Row(name="a token by somebody else's key of the same name", header={"by": "attacker"}, message="signature"),
            Row(name="an encrypted token", whole=_JWE, message="encrypted"),
            Row(name="a refresh token, which is opaque", whole="rt.AbCdEf-0123456789", message="not_a_jwt"),
        )


def _json(document: Any) -> httpx.Response:
    return httpx.Response(200, stream=httpx.ByteStream(json.dumps(document).encode()))


@asynccontextmanager
async def serving(fake_provider: FakeProvider, folder: Path, **settings: str) -> AsyncIterator[Calls]:
    """Starts this server with the fake provider, configured as in the guide."""
    content = yaml.safe_load(Settings().access_file.read_text(encoding="utf-8"))
    access_file = folder / "access.yaml"
    access_file.write_text(yaml.safe_dump({**content, **fake_provider.access}), encoding="utf-8")
    variables = {
        "OAUTH_SERVER_URL": fake_provider.issuer,
        "MCP_PUBLIC_URL": RESOURCE,
        **fake_provider.settings,
        **settings,
        "ACCESS_FILE": str(access_file),
    }
    async with httpx.AsyncClient(transport=httpx.MockTransport(fake_provider.reply)) as http:
        app = create_app(load_settings(variables), clock=FakeClock().clock, http=http)
        transport = httpx.ASGITransport(app)
        async with (
            lifespan(app),
            httpx.AsyncClient(transport=transport, base_url="https://mcp.example.com") as client,
        ):
            yield Calls(client)
