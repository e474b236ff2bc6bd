"""The requirements for challenges, metadata, scopes, keys and discovery, with a real Dex as the provider."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

import pytest
from structlog.testing import capture_logs

from mcp_idp.testing.corpus.model import BOTH, MODERN
from mcp_idp.testing.corpus.response_parsing import challenge
from mcp_idp.testing.issuer import Issuer
from tests.support.dex import PUBLIC_URL, Dex, running_dex
from tests.support.in_process import Served, serving

if TYPE_CHECKING:
    from collections.abc import Iterator

    import httpx

pytestmark = [pytest.mark.anyio, pytest.mark.containers]
DOCUMENT = "http://localhost:9/.well-known/oauth-protected-resource/mcp"
OFFERED = "mcp:tools mcp:notes.read mcp:notes.write"


@pytest.fixture(scope="module")
def dex(engine: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dex]:
    with running_dex(tmp_path_factory.mktemp("dex")) as server:
        yield server


@pytest.fixture(scope="module")
def users(dex: Dex) -> dict[str, dict[str, str]]:
    """Logs each demo user in; returns the token responses."""
    return {user: dex.log_in(user, f"mcp-native-2{n}") for n, user in enumerate(("reader", "admin", "nobody"))}


def challenge_params(response: httpx.Response) -> dict[str, str] | None:
    return challenge((name.encode(), value.encode()) for name, value in response.headers.items())


@pytest.mark.requirement("auth.missing_token", "transport_security.cors")
async def test_a_request_without_a_token_gets_the_metadata_url_and_the_scopes(dex: Dex) -> None:
    async with serving(dex.settings()) as server:
        response = await server.post(None, origin="http://localhost:6274")
    assert response.status_code == 401
    assert challenge_params(response) == {"resource_metadata": DOCUMENT, "scope": OFFERED}
    assert response.headers["access-control-allow-origin"] == "http://localhost:6274"
    assert "www-authenticate" in response.headers["access-control-expose-headers"].lower()


@pytest.mark.requirement("auth.invalid_token", "auth.correlation_id", "auth.no_token_in_log")
async def test_every_invalid_token_is_rejected_with_the_same_body(dex: Dex, users: dict[str, dict[str, str]]) -> None:
    tokens = users["reader"]
    wrong = [tokens["id_token"], tokens["refresh_token"], tokens["access_token"][:-9], Issuer().token(), "x"]
    async with serving(dex.settings()) as server:
        with capture_logs() as lines:
            responses = [await server.post(token) for token in wrong]
    assert [response.status_code for response in responses] == [401] * len(wrong)
    expected = {"error": "invalid_token", "resource_metadata": DOCUMENT, "scope": OFFERED}
    for response in responses:
        assert challenge_params(response) == expected
        assert response.json()["correlation_id"] in json.dumps(lines)
    assert len({response.json()["error_description"] for response in responses}) == 1
    assert not any(token[-40:] in json.dumps(lines) for token in wrong[:4])


@pytest.mark.requirement("metadata.both_paths", "metadata.resource", "metadata.scopes", "metadata.cors")
async def test_the_metadata_name_the_registration_proxy_and_no_privileged_scope(dex: Dex) -> None:
    async with serving(dex.settings()) as server:
        one, other = [
            await server.client.get(
                f"/.well-known/oauth-protected-resource{path}", headers={"origin": "https://a.example"}
            )
            for path in ("", "/mcp")
        ]
    assert one.content == other.content
    document = one.json()
    assert (document["resource"], document["authorization_servers"]) == (PUBLIC_URL, [dex.issuer])
    assert sorted(document["scopes_supported"]) == sorted(OFFERED.split())
    assert one.headers["access-control-allow-origin"] == "*"


@pytest.mark.requirement("jwt.accepted", "scopes.hierarchy")
async def test_a_group_grants_its_scopes_and_the_narrower_ones(dex: Dex, users: dict[str, dict[str, str]]) -> None:
    async with serving(dex.settings()) as server:
        assert await server.status(users["reader"]["access_token"]) == 200
        response = await server.call("note_add", users["admin"]["access_token"], {"text": "milk"})
    assert response.status_code == 200
    assert 'isError":true' not in response.text.replace(" ", "")


@pytest.mark.requirement("auth.insufficient_role", "scopes.insufficient_role", "scopes.json_rpc_error")
@pytest.mark.parametrize(
    ("user", "tool", "group"), [("nobody", "whoami", "mcp-reader"), ("reader", "note_add", "mcp-writer")]
)
async def test_what_no_group_of_the_user_grants_is_rejected_without_a_challenge(
    dex: Dex, users: dict[str, dict[str, str]], user: str, tool: str, group: str
) -> None:
    async with serving(dex.settings()) as server:
        response = await server.call(tool, users[user]["access_token"], {"text": "milk"})
    assert (response.status_code, challenge_params(response)) == (403, None)
    assert group in response.json()["error"]["message"]


@pytest.mark.requirement("scopes.lists")
async def test_lists_show_what_the_user_s_groups_grant(dex: Dex, users: dict[str, dict[str, str]]) -> None:
    async with serving(dex.settings()) as server:
        displayed = {user: await tools(server, users[user]["access_token"]) for user in ("reader", "admin")}
    assert "note_list" in displayed["reader"]
    assert displayed["admin"] - displayed["reader"] == {"note_add", "note_count"}


async def tools(server: Served, token: str) -> set[str]:
    """Returns the names in `tools/list`."""
    meta = {"io.modelcontextprotocol/protocolVersion": MODERN, "io.modelcontextprotocol/clientCapabilities": {}}
    document = {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {"_meta": meta}}
    headers = {
        "accept": BOTH,
        "mcp-protocol-version": MODERN,
        "mcp-method": "tools/list",
        "authorization": f"Bearer {token}",
    }
    response = await server.client.post("/mcp", json=document, headers=headers)
    return {tool["name"] for tool in response.json()["result"]["tools"]}


@pytest.mark.requirement("discovery.order")
async def test_the_registration_proxy_s_document_is_requested_first_and_keys_are_fetched_once(
    dex: Dex, users: dict[str, dict[str, str]]
) -> None:
    async with serving(dex.settings()) as server:
        good = users["reader"]["access_token"]
        statuses = await asyncio.gather(*(server.status(good) for _ in range(20)))
        assert set(statuses) == {200}
        first = ["/.well-known/oauth-authorization-server", "/keys"]
        assert [url.path for url in server.fetched] == first
        unknown = [Issuer(url=dex.issuer).token(kid=f"unknown-{n}") for n in range(20)]
        assert set(await asyncio.gather(*(server.status(token) for token in unknown))) == {401}
        assert [url.path for url in server.fetched] == first * 2  # fetched once more for twenty unknown keys


async def test_the_registration_proxy_may_be_reached_at_another_address_than_it_publishes(
    dex: Dex, users: dict[str, dict[str, str]]
) -> None:
    inside = f"http://127.0.0.1:{dex.port}"
    async with serving(dex.settings(OAUTH_INTERNAL_URL=inside)) as server:
        assert await server.status(users["reader"]["access_token"]) == 200
        assert {url.host for url in server.fetched} == {"127.0.0.1"}


@pytest.mark.requirement("discovery.issuer", "auth.provider_unavailable")
async def test_the_same_dex_by_another_name_is_another_issuer(dex: Dex, users: dict[str, dict[str, str]]) -> None:
    async with serving(dex.settings(OAUTH_SERVER_URL=f"http://127.0.0.1:{dex.port}")) as server:
        response = await server.post(users["reader"]["access_token"])
        assert response.status_code == 503
        assert int(response.headers["retry-after"]) > 0
        assert "/keys" not in {url.path for url in server.fetched}


@pytest.mark.requirement("auth.provider_unavailable")
async def test_cached_keys_outlive_an_outage_and_without_keys_the_response_is_503(
    dex: Dex, users: dict[str, dict[str, str]]
) -> None:
    good = users["reader"]["access_token"]
    async with serving(dex.settings()) as current:
        assert await current.status(good) == 200
        dex.part()
        try:
            current.clock.forward(300)
            assert await current.status(good) == 200
            assert (await current.client.get("/readyz")).status_code == 200
            async with serving(dex.settings()) as late:
                assert await late.status(good) == 503
                assert (await late.client.get("/readyz")).status_code == 503
        finally:
            dex.restore()
    async with serving(dex.settings()) as again:
        assert await again.status(good) == 200
