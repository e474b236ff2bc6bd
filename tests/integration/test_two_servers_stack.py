"""The example with two servers behind one Keycloak, started from empty volumes as its header says."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx
import pytest

from tests.support.compose_stack import Stack, free_port, greeting
from tests.support.keycloak.realm import REDIRECT, Keycloak, Realm, Visit, claims

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = [pytest.mark.containers, pytest.mark.full, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def two_servers(engine: None) -> Iterator[Stack]:
    """Starts the example with ports of its own."""
    stack = Stack(variables={"COMPOSE_FILE": "docker-compose.two-servers.yml", "NOTES_PORT": str(free_port())})
    try:
        stack.compose("build")
        stack.compose("up", "--wait", "--no-build")
        yield stack
    finally:
        stack.compose("down", "--volumes", "--remove-orphans", "--rmi", "local", "--timeout", "5", check=False)


def notes_url(stack: Stack) -> str:
    return f"http://localhost:{stack.variables['NOTES_PORT']}/mcp"


def realm_of(stack: Stack, folder: Path) -> Realm:
    return Realm(Keycloak(stack.issuer.removesuffix("/realms/mcp"), ""), folder, "mcp", public_url=stack.url)


def call(url: str, token: str, tool: str, **arguments: str) -> httpx.Response:
    request = greeting(token)
    request["json"]["params"] |= {"name": tool, "arguments": arguments}
    request["headers"]["mcp-name"] = tool
    return httpx.post(url, **request, timeout=30)


def token_of(realm: Realm, browser: Visit, client: str, scope: str) -> str:
    response: dict[str, Any] = realm.log_in(browser, client, scope=scope)
    assert response["status"] == 200, response
    return str(response["access_token"])


@pytest.mark.requirement("several_servers.one_login", "jwt.one_resource")
def test_one_login_and_one_registration_serve_both_servers_with_a_token_for_each(
    two_servers: Stack, tmp_path: Path
) -> None:
    realm = realm_of(two_servers, tmp_path)
    urls = {"orders": two_servers.url, "notes": notes_url(two_servers)}
    client = realm.register(redirect_uris=[REDIRECT], scope="orders orders.write notes notes.write")["client_id"]
    passwords: list[str] = []

    def request(method: str, address: str, **members: Any) -> httpx.Response:
        passwords.extend(member for member in members.get("data") or {} if member == "password")
        return realm.server.request(method, address, **members)

    browser = Visit("ada", request)
    tokens = {name: token_of(realm, browser, client, f"{name} {name}.write") for name in urls}
    assert passwords == ["password"]
    assert {name: claims(token)["aud"] for name, token in tokens.items()} == urls
    assert "Ordered: tea" in call(urls["orders"], tokens["orders"], "place_order", item="tea").text
    assert "Noted: tea" in call(urls["notes"], tokens["notes"], "write_note", text="tea").text
    both = token_of(realm, browser, client, "orders notes")
    assert sorted(claims(both)["aud"]) == sorted(urls.values())
    refused = [
        call(urls["orders"], tokens["notes"], "list_orders"),
        call(urls["notes"], tokens["orders"], "list_notes"),
        call(urls["orders"], both, "list_orders"),
        call(urls["notes"], both, "list_notes"),
    ]
    assert [(response.status_code, response.json()["error"]) for response in refused] == [(401, "invalid_token")] * 4


@pytest.mark.requirement("several_servers.ownership")
def test_a_second_apply_changes_nothing_and_a_plan_shows_whose_each_object_is(two_servers: Stack) -> None:
    for service in ("bootstrap-orders", "bootstrap-notes"):
        assert "no changes" in two_servers.compose("run", "--rm", service, "apply").stdout
        assert "no changes, no weaknesses" in two_servers.compose("run", "--rm", service, "check").stdout
    plan = two_servers.compose("run", "--rm", "bootstrap-notes", "plan").stdout
    assert f"  {two_servers.url} (owns the realm's settings)" in plan
    assert "    scopes: notes, notes.write" in plan


@pytest.mark.requirement("several_servers.ownership")
def test_one_server_is_removed_and_the_other_still_works(two_servers: Stack, tmp_path: Path) -> None:
    realm = realm_of(two_servers, tmp_path)
    removed = two_servers.compose("run", "--rm", "bootstrap-orders", "remove", notes_url(two_servers), "--yes").stdout
    assert f"- client {notes_url(two_servers)}: remove" in removed
    client = realm.register(redirect_uris=[REDIRECT])["client_id"]
    token = token_of(realm, realm.browser("ada"), client, "orders")
    assert "No orders" in call(two_servers.url, token, "list_orders").text
    assert realm.log_in("ada", client, scope="notes")["error"] == "invalid_scope"
    assert "no changes" in two_servers.compose("run", "--rm", "bootstrap-orders", "apply").stdout
