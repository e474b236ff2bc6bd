"""Requests of clients of 2024 and early 2025, and the responses."""

from __future__ import annotations

import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from structlog.testing import capture_logs

from mcp_idp.config.settings import Settings
from mcp_idp.testing.issuer import ISSUER, Issuer
from mcp_server.app import create_app
from tests.support.app import FakeClock, Running, lifespan, running

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

pytestmark = pytest.mark.anyio
FORMS = (
    "/.well-known/oauth-authorization-server",
    "/.well-known/oauth-authorization-server/mcp",
    "/.well-known/openid-configuration",
    "/.well-known/openid-configuration/mcp",
)
INSIDE = "http://keycloak:8080"


class DynamicIssuer(Issuer):
    """A provider whose metadata follows the Host of the request, like Keycloak in our stack."""

    async def respond(self, request: httpx.Request) -> httpx.Response:
        at = f"{request.url.scheme}://{request.url.netloc.decode()}"
        self.metadata |= {
            "authorization_endpoint": f"{ISSUER}/auth",
            "token_endpoint": f"{at}/realms/mcp/token",
            "jwks_uri": f"{at}/realms/mcp/protocol/openid-connect/certs",
            "introspection_endpoint": f"{at}/realms/mcp/introspect",
            "mtls_endpoint_aliases": {"token_endpoint": f"{at}/realms/mcp/token"},
            "code_challenge_methods_supported": ["S256"],
            "signed_metadata": "e30.e30.c2ln",
        }
        return await super().respond(request)


@asynccontextmanager
async def mirroring(provider: Issuer | None = None, **settings: Any) -> AsyncIterator[Running]:
    async with running(provider or Issuer(), legacy_discovery=True, **settings) as server:
        yield server


@pytest.mark.requirement("legacy_discovery.mirror")
@pytest.mark.parametrize("path", FORMS)
async def test_the_provider_s_document_is_served_where_old_clients_look(path: str) -> None:
    async with mirroring() as server:
        response = await server.client.get(path, headers={"mcp-protocol-version": "2025-03-26"})
    assert response.status_code == 200
    assert response.json()["issuer"] == ISSUER
    assert response.headers["access-control-allow-origin"] == "*"
    assert response.headers["cache-control"] == "max-age=60"


@pytest.mark.requirement("legacy_discovery.mirror")
async def test_a_web_page_may_send_mcp_headers() -> None:
    headers = {"origin": "https://example.com", "access-control-request-method": "GET"}
    async with mirroring() as server:
        response = await server.client.options(FORMS[0], headers=headers)
        written = await server.client.post(FORMS[0])
    assert (response.status_code, written.status_code) == (204, 405)
    assert response.headers["access-control-allow-origin"] == "*"


async def test_the_mirrored_document_names_no_internal_address() -> None:
    async with mirroring(DynamicIssuer(), internal_url=f"{INSIDE}/realms/mcp") as server:
        response = await server.client.get(FORMS[0])
    assert response.status_code == 200
    assert "keycloak:8080" not in response.text
    document = response.json()
    assert document["token_endpoint"] == "http://localhost:8080/realms/mcp/token"
    assert document["mtls_endpoint_aliases"]["token_endpoint"] == document["token_endpoint"]
    assert document["authorization_endpoint"] == f"{ISSUER}/auth"
    assert "signed_metadata" not in document


@pytest.mark.parametrize(
    "hidden",
    [
        "see http://keycloak:8080/docs",
        "https://keycloak:8080/",
        "http://keycloak:80800/",
        "http://KEYCLOAK/",
        "http://keycloak./x",
        "http://user@keycloak?x",
        "keycloak:8080",
        {"nested": [{"http://keycloak": 1}]},
    ],
)
async def test_a_document_with_internal_urls_is_not_served(hidden: object) -> None:
    async with mirroring(Issuer(metadata={"note": hidden}), internal_url=f"{INSIDE}/realms/mcp") as server:
        response = await server.client.get(FORMS[0])
    assert response.status_code == 503
    assert "keycloak" not in response.text


@pytest.mark.parametrize(
    ("inside", "note"),
    [
        ("http://auth", "https://auth.example.com/x"),
        ("http://auth", "https://login.example.com/realms/mcp/protocol/openid-connect/auth"),
        ("http://auth", "https://example.com/?next=auth"),
        ("http://auth", "authentication by auth"),
        ("http://auth:80", "https://auth.example.com:80/"),
        ("http://example", "https://sub.example.com/"),
        ("http://com", "https://example.com/"),
        ("http://localhost:8081", "http://localhost:80811/ of another"),
    ],
)
async def test_a_host_is_compared_as_a_whole(inside: str, note: str) -> None:
    async with mirroring(Issuer(metadata={"note": note}), internal_url=f"{inside}/realms/mcp") as server:
        response = await server.client.get(FORMS[0])
    assert (response.status_code, response.json()["note"]) == (200, note)


async def test_a_document_of_another_issuer_is_not_served() -> None:
    provider = Issuer(metadata={"issuer": "https://evil.example"})
    async with mirroring(provider) as server:
        response = await server.client.get(FORMS[0])
    assert response.status_code == 503


async def test_an_unreachable_provider_is_queried_rarely_and_its_last_document_is_served() -> None:
    provider = Issuer(down=True)
    async with mirroring(provider) as server:
        unknown = [await server.client.get(FORMS[0]) for _ in range(20)]
        requests = provider.calls["/.well-known/oauth-authorization-server/realms/mcp"]
        provider.down = False
        server.clock.forward(6)
        known = await server.client.get(FORMS[1])
        provider.down = True
        server.clock.forward(3600)
        current = await server.client.get(FORMS[0])
    assert {response.status_code for response in unknown} == {503}
    assert unknown[0].headers["retry-after"] == "5"
    assert requests <= 2  # one for the keys, and one for all of these
    assert (known.status_code, current.status_code) == (200, 200)
    assert current.json() == known.json()


@pytest.mark.requirement("legacy_discovery.mirror")
async def test_the_document_is_fetched_once_for_concurrent_requests() -> None:
    provider = Issuer()
    async with mirroring(provider) as server:
        for path in FORMS * 5:
            await server.client.get(path)
    assert provider.calls["/.well-known/oauth-authorization-server/realms/mcp"] <= 2


@pytest.mark.parametrize("on", [True, False])
async def test_the_log_has_one_line_per_minute_with_the_number(on: bool) -> None:  # noqa: FBT001 - both
    headers = {"user-agent": "old\x1b[31m/1.0" + "x" * 1000}
    with capture_logs() as logs:
        async with running(Issuer(), legacy_discovery=on) as server:
            for _ in range(50):
                await server.client.get(FORMS[0], headers=headers)
            server.clock.forward(61)
            await server.client.get(FORMS[0], headers=headers)
    output = [entry for entry in logs if entry.get("path") == FORMS[0]]
    assert [(entry["times"], entry["in_all"]) for entry in output] == [(1, 1), (50, 51)]
    assert all(len(entry["user_agent"]) <= 100 and entry["user_agent"].isprintable() for entry in output)
    assert ("LEGACY_DISCOVERY" in json.dumps(output)) is not on


@pytest.mark.parametrize("path", FORMS)
async def test_a_disabled_endpoint_returns_the_url_to_use(path: str) -> None:
    async with running() as server:
        response = await server.client.get(path)
    assert response.status_code == 404
    assert "http://localhost:3000/.well-known/oauth-protected-resource/mcp" in response.json()["error_description"]
    assert "www-authenticate" not in response.headers


async def test_without_authentication_there_is_nothing_to_mirror() -> None:
    async with running(disable_auth=True, legacy_discovery=True) as server:
        response = await server.client.get(FORMS[0])
    assert response.status_code == 404


@pytest.mark.parametrize("path", ["/authorize", "/token", "/register"])
async def test_this_is_no_authorization_server(path: str) -> None:
    async with running() as server:
        response = await server.client.post(path, data={"client_secret": "hidden"})
    assert response.status_code == 404
    assert "no authorization server" in response.json()["error_description"]


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/sse"), ("POST", "/messages"), ("POST", "/messages/?sessionId=1")]
)
async def test_the_transport_of_2024_is_rejected_with_the_name_of_its_replacement(method: str, path: str) -> None:
    async with running() as server:
        headers = {"authorization": f"Bearer {server.issuer.token()}"}
        response = await server.client.request(method, path, headers=headers)
    assert response.status_code == 404
    assert "http://localhost:3000/mcp" in response.json()["error_description"]


async def test_under_another_name_of_this_machine_the_log_names_the_public_url() -> None:
    issuer, clock = Issuer(), FakeClock()
    with capture_logs() as logs:
        async with issuer.http() as http:
            app = create_app(Settings(), clock=clock.clock, http=http)
            transport = httpx.ASGITransport(app)
            async with lifespan(app), httpx.AsyncClient(transport=transport) as client:
                for host in ["127.0.0.1:3000"] * 3 + [f"localhost:{port}" for port in range(4000, 4100)]:
                    response = await client.post(f"http://{host}/mcp", json={})
                    assert response.status_code == 401
                page = await client.get("http://127.0.0.1:3000/")
                await client.post("http://localhost:3000/mcp", json={})
    output = [(*entry["hosts"], entry["hint"]) for entry in logs if entry["event"] == "host_alias_used"]
    assert output[0] == ("127.0.0.1:3000", "logins fail with this host name: use http://localhost:3000/mcp")
    assert len(output) == len(set(output)) == 8
    assert "localhost:3000" not in {host for host, _ in output}
    assert "http://localhost:3000/mcp" in page.text
    assert "(127.0.0.1 for localhost, a trailing slash)" in page.text
