"""MCP clients that people use, as they are published, against our server with a real Keycloak and a real Dex.

Keycloak is reached through Caddy and the registrar, as in the compose stack. What each program sends to the MCP server
is recorded on the way.
"""

from __future__ import annotations

import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from tests.support.client_programs import FASTMCP, INSPECTOR, MCP_REMOTE, Program, Workspace, require_programs
from tests.support.compose_stack import free_port
from tests.support.dex import running_dex
from tests.support.mcp_server_process import serving_process
from tests.support.traffic_recorder import Traffic, recording_traffic

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.compose_stack import Stack

pytestmark = [pytest.mark.containers, pytest.mark.timeout(600)]
PROGRAMS = pytest.mark.parametrize("program", [FASTMCP, INSPECTOR, MCP_REMOTE], ids=lambda one: one.name)
# The first request, the same with a token, then with the handshake of an earlier revision; one more to be safe.
FEW_REQUESTS = 4


@dataclass(frozen=True)
class RecordedServer:
    """A server, and what was sent to it.

    Attributes:
        traffic: the exchanges with clients.
    """

    traffic: Traffic

    @property
    def url(self) -> str:
        return f"http://localhost:{self.traffic.port}/mcp"

    @property
    def calls(self) -> list[int]:
        """The statuses of the tool calls."""
        return self.traffic.statuses("/mcp", "tools/call")


@pytest.fixture(scope="module")
def programs() -> None:
    require_programs()


@pytest.fixture(scope="module")
def keycloak_server(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RecordedServer]:
    """Starts a server beside the stack's own one: tokens name that one, so it is this server's audience."""
    target = free_port()
    with recording_traffic(target) as traffic:
        server = RecordedServer(traffic)
        settings = {"OAUTH_SERVER_URL": stack.issuer, "MCP_PUBLIC_URL": server.url, "JWT_AUDIENCE": stack.url}
        with serving_process(settings, tmp_path_factory.mktemp("programs") / "server.log", port=target):
            yield server


@pytest.fixture(scope="module")
def dex_server(engine: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RecordedServer]:
    target = free_port()
    with recording_traffic(target) as traffic:
        server = RecordedServer(traffic)
        with running_dex(tmp_path_factory.mktemp("dex"), public_url=server.url) as dex:
            settings = {**dex.environment, "OAUTH_PROVIDER": "dex"}
            with serving_process(settings, dex.folder / "server.log", port=target):
                yield server


@pytest.fixture(params=["keycloak", "dex"])
def server(request: pytest.FixtureRequest, programs: None) -> RecordedServer:
    found: RecordedServer = request.getfixturevalue(f"{request.param}_server")
    found.traffic.exchanges.clear()
    return found


@pytest.mark.requirement("clients.programs")
@PROGRAMS
def test_a_program_logs_in_lists_and_calls_tools(server: RecordedServer, program: Program, tmp_path: Path) -> None:
    workspace = Workspace(tmp_path / "writer", server.url, "writer")
    listed = program.list_tools(workspace)
    assert listed.code == 0, listed.output + workspace.pages
    assert {"whoami", "note_add"} <= set(listed.output.replace('"', " ").replace("(", " ").split())
    called = program.call(workspace, "whoami")
    assert called.code == 0, called.output + workspace.pages
    assert "mcp:notes.write" in called.output
    assert server.calls == [200]
    assert workspace.pages == ""


@pytest.mark.requirement("clients.programs", "clients.step_up_ends")
@PROGRAMS
def test_an_account_without_a_role_ends_with_the_reason_after_one_login(
    server: RecordedServer, program: Program, tmp_path: Path
) -> None:
    workspace = Workspace(tmp_path / "nobody", server.url, "nobody")
    refused = program.call(workspace, "whoami")
    assert refused.code not in {0, None}, refused.output
    assert "role" in " ".join(refused.output.split())
    assert len(workspace.authorizations) == 1
    statuses = server.traffic.statuses("/mcp")
    assert 403 in statuses
    assert len(statuses) <= FEW_REQUESTS


@pytest.mark.requirement("clients.programs", "clients.step_up")
@pytest.mark.parametrize("server", ["keycloak"], indirect=True)
@pytest.mark.parametrize("program", [FASTMCP, MCP_REMOTE], ids=lambda one: one.name)
def test_a_call_that_needs_more_asks_for_consent_to_the_union_and_continues(
    server: RecordedServer, program: Program, tmp_path: Path
) -> None:
    workspace = Workspace(tmp_path / "admin", server.url, "admin")
    called = program.call(workspace, "note_count")
    assert called.code == 0, called.output + workspace.pages
    assert '"notes"' in called.output.replace("\\", "")
    first, union = workspace.scopes
    assert union == {*first, "mcp:admin"}
    assert server.calls == [403, 200]


@pytest.mark.requirement("clients.programs", "registrar.portless")
@pytest.mark.parametrize("server", ["keycloak"], indirect=True)
def test_mcp_remote_logs_in_again_when_its_port_is_taken(server: RecordedServer, tmp_path: Path) -> None:
    workspace = Workspace(tmp_path / "writer", server.url, "writer")
    assert MCP_REMOTE.call(workspace, "whoami").code == 0
    for tokens in workspace.home.rglob("*_tokens.json"):
        tokens.unlink()
    (before,) = workspace.authorizations
    port = int(before["redirect_uri"].split(":")[2].split("/")[0])
    with socket.create_server(("127.0.0.1", port)):
        called = MCP_REMOTE.call(workspace, "whoami")
    assert called.code == 0, called.output + workspace.pages
    after = workspace.authorizations[-1]
    assert after["client_id"] == before["client_id"]
    assert after["redirect_uri"] != before["redirect_uri"]
