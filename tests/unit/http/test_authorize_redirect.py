"""Authorization requests that clients send to this server instead of to the provider."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
from structlog.testing import capture_logs

from mcp_idp.config.settings import Settings
from mcp_idp.http.authorize_redirect import AuthorizeRedirect
from mcp_idp.http.metadata_mirror import MetadataMirror
from mcp_idp.testing.issuer import ISSUER, Issuer
from tests.support.app import FakeClock, Running, running

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

pytestmark = pytest.mark.anyio
PATHS = ("/authorize", "/mcp/authorize")
TARGET = "https://login.example.com/realms/mcp/auth"
REQUEST = (
    "response_type=code&client_id=c&redirect_uri=https%3A%2F%2Fclaude.ai%2Fapi%2Fmcp%2Fauth_callback"
    "&code_challenge=x&code_challenge_method=S256&state=s"
)


@asynccontextmanager
async def redirecting(endpoint: object = TARGET, **settings: Any) -> AsyncIterator[Running]:
    provider = Issuer(metadata={"authorization_endpoint": endpoint})
    async with running(provider, quirk_authorize_redirect=True, **settings) as server:
        yield server


@pytest.mark.parametrize("path", PATHS)
async def test_the_browser_is_sent_to_the_provider_with_the_query_as_it_is(path: str) -> None:
    async with redirecting() as server:
        response = await server.client.get(f"{path}?{REQUEST}")
        plain = await server.client.get(path)
        head = await server.client.head(f"{path}?{REQUEST}")
    assert (response.status_code, response.headers["location"]) == (302, f"{TARGET}?{REQUEST}")
    assert (plain.status_code, plain.headers["location"]) == (302, TARGET)
    assert (head.status_code, head.headers["location"]) == (302, f"{TARGET}?{REQUEST}")
    assert response.headers["cache-control"] == "no-store"
    assert response.headers["referrer-policy"] == "no-referrer"


@pytest.mark.parametrize("path", PATHS)
async def test_by_default_nothing_is_redirected(path: str) -> None:
    with capture_logs() as logs:
        async with running(Issuer(metadata={"authorization_endpoint": TARGET}), legacy_discovery=True) as server:
            response = await server.client.get(f"{path}?{REQUEST}")
    assert response.status_code == 404
    assert "/.well-known/oauth-protected-resource/mcp" in response.json()["error_description"]
    line = next(entry for entry in logs if entry["event"] == "authorization_request_not_redirected")
    assert (line["path"], line["in_all"]) == (path, 1)
    assert "QUIRK_AUTHORIZE_REDIRECT" in line["hint"]
    assert "client_id" not in repr(logs)


@pytest.mark.parametrize("on", [True, False])
@pytest.mark.parametrize(
    ("method", "path"),
    [(m, p) for p in ("/token", "/register", "/mcp/token", "/mcp/register") for m in ("POST", "GET")]
    + [("POST", path) for path in PATHS],
)
async def test_codes_tokens_and_registrations_are_never_redirected(method: str, path: str, on: bool) -> None:  # noqa: FBT001 - both
    async with running(
        Issuer(metadata={"authorization_endpoint": TARGET}), quirk_authorize_redirect=on, legacy_discovery=True
    ) as server:
        response = await server.client.request(method, f"{path}?code=c&code_verifier=v")
    assert response.status_code == 404
    assert "location" not in response.headers
    assert "/.well-known/oauth-protected-resource/mcp" in response.json()["error_description"]


@pytest.mark.parametrize(
    "endpoint",
    [
        TARGET,
        f"{TARGET}?p=policy",
        "http://localhost:8080/auth",
        "http://127.0.0.1:8080/auth",
        "http://[::1]:8080/auth",
        "http://localhost:3000/login/auth",
    ],
)
async def test_the_target_is_the_endpoint_of_the_metadata(endpoint: str) -> None:
    async with redirecting(endpoint) as server:
        response = await server.client.get("/authorize?a=b")
    assert response.status_code == 302
    assert response.headers["location"] == endpoint + ("&" if "?" in endpoint else "?") + "a=b"


@pytest.mark.parametrize(
    "endpoint",
    [
        None,
        "",
        7,
        ["https://login.example.com/auth"],
        "/auth",
        "//login.example.com/auth",
        "http://login.example.com/auth",
        "http://localhost.evil.example/auth",
        "javascript:alert(1)",
        "data:text/html,x",
        "https://",
        "https://user@login.example.com/auth",
        "https://login.example.com/auth#x",
        "https://login.example.com/auth?",
        "https://login.example.com/auth?a=b#c",
        "https://login.example.com/auth\r\nset-cookie: a=b",
        "https://login.example.com/auth?a=\r\nset-cookie: a=b",
        "https://login.example.com/\u00e9",
        "http://localhost:3000/authorize",
        "http://localhost:3000/mcp/authorize",
    ],
)
async def test_a_browser_is_not_sent_to_an_odd_endpoint(endpoint: object) -> None:
    async with redirecting(endpoint) as server:
        response = await server.client.get(f"/authorize?{REQUEST}")
    assert response.status_code == 503
    assert "location" not in response.headers


@pytest.mark.parametrize(
    "query", ["next=https://evil.example", "//evil.example", "@evil.example/", "redirect_uri=x&host=evil.example", "?"]
)
async def test_no_query_changes_the_target(query: str) -> None:
    async with redirecting() as server:
        response = await server.client.get(f"/authorize?{query}")
    assert response.headers["location"].startswith(f"{TARGET}?")
    assert response.headers["location"].removeprefix(f"{TARGET}?") == query


@pytest.mark.parametrize(
    "path", ["/authorize/", "/authorize//evil.example", "/AUTHORIZE", "//authorize", "/oauth/authorize"]
)
async def test_no_other_path_is_redirected(path: str) -> None:
    async with redirecting() as server:
        response = await server.client.get(f"http://localhost:3000{path}?{REQUEST}")
    assert response.status_code == 404


@pytest.mark.parametrize("name", [b"x-forwarded-host", b"forwarded", b"x-original-url", b"referer"])
async def test_no_header_changes_the_target(name: bytes) -> None:
    async with redirecting() as server:
        response = await server.client.get("/authorize", headers=[(name, b"https://evil.example/")])
    assert response.headers["location"] == TARGET


@pytest.mark.parametrize(
    "query", [b"a=b\r\nset-cookie: c=d", b"a=\x00", b"a=\xc3\xa9", b'a="', b"a=<b>", b"a b", b"a#b"]
)
async def test_a_malformed_query_is_rejected(query: bytes) -> None:
    async with Issuer(metadata={"authorization_endpoint": TARGET}).http() as http:
        redirect = AuthorizeRedirect(MetadataMirror(Settings(), http, FakeClock().clock), ())
        response = await redirect.respond({"query_string": query})
        good = await redirect.respond({"query_string": b"a=b"})
    assert (response.status, good.status) == (400, 302)
    assert b"location" not in dict(response.headers)


async def test_while_the_provider_is_unreachable_the_redirect_is_not_available() -> None:
    provider = Issuer(metadata={"authorization_endpoint": TARGET}, down=True)
    async with running(provider, quirk_authorize_redirect=True) as server:
        down = [await server.client.get("/authorize") for _ in range(20)]
        fetches = provider.calls["/.well-known/oauth-authorization-server/realms/mcp"]
        provider.down = False
        server.clock.forward(6)
        up = await server.client.get("/authorize")
        provider.down = True
        server.clock.forward(3600)
        known = await server.client.get("/authorize")
    assert {response.status_code for response in down} == {503}
    assert fetches <= 2
    assert (up.status_code, known.status_code) == (302, 302)


async def test_the_log_counts_redirects_without_their_queries() -> None:
    with capture_logs() as logs:
        async with redirecting() as server:
            for _ in range(50):
                await server.client.get(f"/authorize?{REQUEST}")
            server.clock.forward(61)
            await server.client.get(f"/authorize?{REQUEST}")
    output = [entry for entry in logs if entry["event"] == "authorization_request_redirected"]
    assert [(entry["times"], entry["in_all"]) for entry in output] == [(1, 1), (50, 51)]
    assert "client_id" not in repr(output)


async def test_without_authentication_nothing_is_redirected() -> None:
    async with redirecting(disable_auth=True) as server:
        response = await server.client.get("/authorize")
    assert response.status_code == 404


async def test_internal_addresses_are_not_shown() -> None:
    inside = "http://keycloak:8080"
    provider = Issuer(metadata={"authorization_endpoint": f"{inside}/realms/mcp/auth"})
    async with running(provider, quirk_authorize_redirect=True, internal_url=f"{inside}/realms/mcp") as server:
        response = await server.client.get("/authorize?a=b")
    assert response.headers["location"] == f"{ISSUER}/auth?a=b"
