"""docker-compose.dex.yml, started from empty volumes with the commands of its header."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import httpx
import httpx2
import pytest
from mcp import Client
from mcp.client.auth import OAuthClientProvider
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.auth import AuthorizationCodeResult, OAuthClientMetadata
from pydantic import AnyUrl

from mcp_idp.cli.login.client_registration import InMemoryTokenStorage
from tests.support.browser import chromium
from tests.support.compose_stack import Stack, free_port
from tests.support.dex import REDIRECT, Dex

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = [pytest.mark.containers, pytest.mark.timeout(600)]


@dataclass(frozen=True)
class DexStack(Stack):
    """A project of the Dex compose file."""

    dex_port: int = field(default_factory=free_port)

    @property
    def issuer(self) -> str:
        return f"http://localhost:{self.dex_port}"

    def __post_init__(self) -> None:
        self.variables.update(COMPOSE_FILE="docker-compose.dex.yml", DEX_PORT=str(self.dex_port))


@pytest.fixture(scope="module")
def dex_stack(engine: None) -> Iterator[DexStack]:
    stack = DexStack()
    try:
        stack.compose("build")
        stack.compose("up", "--wait", "--no-build")
        yield stack
    finally:
        stack.compose("down", "--volumes", "--remove-orphans", "--rmi", "local", "--timeout", "5", check=False)


def test_an_unregistered_client_logs_in_and_calls_a_tool(dex_stack: DexStack) -> None:
    code, found = dex_stack.log_in("writer", "--call", "greet", "name=Ada", "--call", "whoami")
    assert code == 0, found
    assert found["claims"]["iss"] == dex_stack.issuer
    assert found["claims"]["aud"][0] == dex_stack.url
    assert found["claims"]["azp"].startswith("mcp-native-")
    assert "Hello, Ada!" in json.dumps(found["calls"])
    assert "mcp:notes.write" in json.dumps(found["calls"])


@pytest.mark.requirement("login.trusted_issuer")
def test_the_password_is_for_dex_where_only_its_port_is_named(dex_stack: DexStack) -> None:
    named = {"OAUTH_SERVER_URL": "", "KEYCLOAK_PORT": "", "DEX_PORT": str(dex_stack.dex_port)}
    code, found = dex_stack.log_in("reader", **named)
    assert code == 0, found
    code, found = dex_stack.log_in("reader", "--issuer", dex_stack.issuer, **{**named, "DEX_PORT": ""})
    assert code == 0, found
    code, found = dex_stack.log_in("reader", **{**named, "DEX_PORT": ""})
    assert code == 4
    assert f"the server names {dex_stack.issuer}: nothing was sent" in found["error"]["message"]


def test_the_login_runs_inside_the_network_too(dex_stack: DexStack) -> None:
    ended = dex_stack.compose("run", "--rm", "login", "--headless", "--user", "reader", "--json")
    found = json.loads(ended.stdout)
    assert found["ok"]
    assert found["claims"]["iss"] == dex_stack.issuer


def test_a_login_of_a_user_without_a_group_ends_at_once_with_the_reason(dex_stack: DexStack) -> None:
    code, found = dex_stack.log_in("nobody")
    assert code == 6
    assert "mcp-reader" in json.dumps(found["error"])
    assert [step["number"] for step in found["steps"] if "number" in step].count(5) <= 1


def test_the_bootstrap_verifies_the_deployment_and_prints_the_next_steps(dex_stack: DexStack) -> None:
    output = dex_stack.compose("logs", "--no-log-prefix", "bootstrap").stdout
    assert "no changes" in output
    assert "the served metadata agrees with Dex's own" in output
    assert "FAILED" not in output
    for required in ("reader", "writer", "admin", "nobody", dex_stack.url, "./scripts/login"):
        assert required in output


@pytest.mark.anyio
@pytest.mark.requirement("dex.login")
async def test_the_official_client_registers_logs_in_and_calls(dex_stack: DexStack, tmp_path: Path) -> None:
    dex = Dex(tmp_path, port=dex_stack.dex_port)
    responses: list[dict[str, Any]] = []

    async def open_page(url: str) -> None:
        responses.append(dex.visit("reader", url))

    async def take() -> AuthorizationCodeResult:
        return AuthorizationCodeResult(code=responses[-1]["code"], state=responses[-1]["state"])

    metadata = OAuthClientMetadata(client_name="SDK", redirect_uris=[AnyUrl(REDIRECT)])
    auth = OAuthClientProvider(
        dex_stack.url, metadata, InMemoryTokenStorage(None), redirect_handler=open_page, callback_handler=take
    )
    async with (
        httpx2.AsyncClient(auth=auth, timeout=60) as http,
        Client(streamable_http_client(dex_stack.url, http_client=http)) as client,
    ):
        result = await client.call_tool("greet", {"name": "Ada"})
    assert "Hello, Ada!" in str(result.content)
    assert len(responses) == 1


@pytest.mark.requirement("dex.pages")
def test_a_user_logs_in_through_a_browser(dex_stack: DexStack, tmp_path: Path) -> None:
    dex = Dex(tmp_path, port=dex_stack.dex_port)
    client = str(dex.register(redirect_uris=[REDIRECT])["client_id"])
    complaints: list[str] = []
    with chromium() as page:
        page.on("console", lambda message: complaints.append(message.text))
        page.on("requestfailed", lambda request: complaints.append(request.url))
        page.route(f"{REDIRECT}*", lambda route: route.fulfill(body="back"))
        page.goto(dex.authorization_url(client))
        assert page.title() == "MCP demo server"
        page.fill("input[name=login]", "reader")
        page.fill("input[name=password]", "reader")
        page.click("[type=submit]")
        page.wait_for_selector("text=Grant Access")
        assert "MCP demo server" in page.inner_text("body")
        page.click("button:has-text('Grant Access')")
        page.wait_for_url(re.compile(re.escape(REDIRECT)))
        assert "code=" in page.url
    assert [message for message in complaints if "autocomplete" not in message and REDIRECT not in message] == []


def test_no_more_is_open_than_required(dex_stack: DexStack) -> None:
    containers = dex_stack.containers()
    ports = [b for c in containers for bound in (c["HostConfig"]["PortBindings"] or {}).values() for b in bound]
    assert {binding["HostIp"] for binding in ports} == {"127.0.0.1"}
    assert sorted(int(binding["HostPort"]) for binding in ports) == sorted([dex_stack.mcp_port, dex_stack.dex_port])
    for container in containers:
        service, host = container["Config"]["Labels"]["com.docker.compose.service"], container["HostConfig"]
        assert host["CapDrop"] == ["ALL"], service
        assert "no-new-privileges:true" in host["SecurityOpt"], service
        assert host["Memory"] > 0, service
        assert host["ReadonlyRootfs"], service
        assert container["Config"]["User"] not in {"", "0", "root"}, service
    displayed = json.dumps(containers) + dex_stack.compose("logs").stdout
    assert "$2b$" not in displayed
    assert not re.search(r"eyJ[\w-]{20,}\.[\w-]{20,}", displayed)


def test_a_second_up_changes_nothing_and_a_change_reaches_dex(dex_stack: DexStack) -> None:
    before = {c["Id"] for c in dex_stack.containers() if c["State"]["Running"]}
    dex_stack.compose("up", "--wait", "--no-build")
    assert before == {c["Id"] for c in dex_stack.containers() if c["State"]["Running"]}
    output = dex_stack.compose("logs", "--no-log-prefix", "files").stdout
    assert output.split()[-2:] == ["no", "changes"]
    assert output.count("create") == 5  # only the first time
    # A changed file for Dex: the bootstrap waits until Dex has loaded it.
    dex_stack.compose("up", "--wait", "--no-build", DEX_CONFIG="dex.yaml,connectors/github.yaml")
    assert "GitHub" in httpx.get(f"{dex_stack.issuer}/auth", params=_query(), follow_redirects=True, timeout=60).text
    dex_stack.compose("up", "--wait", "--no-build")


def _query() -> dict[str, str]:
    return {
        "response_type": "code",
        "client_id": "mcp-native-00",
        "redirect_uri": REDIRECT,
        "code_challenge": "x" * 43,
        "code_challenge_method": "S256",
    }
