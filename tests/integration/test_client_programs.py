"""MCP clients that people use, as they are published, against our server with a real Keycloak and a real Dex.

Keycloak is reached through Caddy and the registrar, as in the compose stack. What each program sends to the MCP server
is recorded on the way. `./scripts/clients` runs these tests and writes docs/clients/matrix.md.
"""

from __future__ import annotations

import os
import socket
import sys
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import httpx
import pytest

from mcp_idp.access.policy import load_access
from mcp_idp.cli.demo.nanoidp_config import write_access, write_provider
from tests.support.client_programs import (
    CLAUDE_CODE,
    CODEX,
    FASTMCP,
    FULL,
    GEMINI,
    INSPECTOR,
    MCP_REMOTE,
    MCPORTER,
    OPENCODE,
    PROGRAMS,
    Program,
    Workspace,
    invalidate_access_tokens,
    require_programs,
)
from tests.support.client_results import check_requests, recorded, requests_of
from tests.support.compose_stack import REPOSITORY, free_port
from tests.support.dex import running_dex
from tests.support.mcp_server_process import serving_command, serving_process
from tests.support.traffic_recorder import Traffic, recording_traffic

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.compose_stack import Stack

pytestmark = [pytest.mark.containers, pytest.mark.timeout(600)]
# A request with and without a token, in the current revision and with the handshake of an earlier one, twice at most.
FEW_REQUESTS = 8


def programs(*found: Program) -> pytest.MarkDecorator:
    """Parametrizes a test by programs; those that `./scripts/test` does not install are in the full tier."""
    rows = [pytest.param(one, id=one.slug, marks=[pytest.mark.full] if one in FULL else []) for one in found]
    return pytest.mark.parametrize("program", rows)


ALL_BUT_GEMINI = programs(*(one for one in PROGRAMS if one is not GEMINI))
NOT_EMBEDDED = pytest.mark.parametrize("server", ["Keycloak", "Dex"], indirect=True, ids=["at-keycloak", "at-dex"])
NOT_DEX = pytest.mark.parametrize("server", ["Keycloak", "embedded"], indirect=True, ids=["at-keycloak", "embedded"])
ON_KEYCLOAK = pytest.mark.parametrize("server", ["Keycloak"], indirect=True, ids=["at-keycloak"])


@dataclass(frozen=True)
class RecordedServer:
    """A server, and what was sent to it.

    Attributes:
        provider: its identity provider.
        traffic: the exchanges with clients.
        provider_traffic: those with the provider, if they are recorded.
    """

    provider: str
    traffic: Traffic
    provider_traffic: list[Traffic] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://localhost:{self.traffic.port}/mcp"

    @property
    def calls(self) -> list[int]:
        """The statuses of the tool calls."""
        return self.traffic.statuses("/mcp", "tools/call")


@pytest.fixture(scope="module")
def keycloak_server(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RecordedServer]:
    """Starts a server beside the stack's own one: tokens name that one, so it is this server's audience."""
    target = free_port()
    with recording_traffic(target) as traffic:
        server = RecordedServer("Keycloak", traffic)
        settings = {"OAUTH_SERVER_URL": stack.issuer, "MCP_PUBLIC_URL": server.url, "JWT_AUDIENCE": stack.url}
        with serving_process(settings, tmp_path_factory.mktemp("programs") / "server.log", port=target):
            yield server


@pytest.fixture(scope="module")
def dex_server(engine: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RecordedServer]:
    target = free_port()
    with recording_traffic(target) as traffic:
        server = RecordedServer("Dex", traffic)

        @contextmanager
        def recorder(published: int, port: int) -> Iterator[None]:
            with recording_traffic(published, port) as found:
                server.provider_traffic.append(found)
                yield

        with running_dex(tmp_path_factory.mktemp("dex"), public_url=server.url, recorder=recorder) as dex:
            settings = {**dex.environment, "OAUTH_PROVIDER": "dex"}
            with serving_process(settings, dex.folder / "server.log", port=target):
                yield server


@pytest.fixture(scope="module")
def embedded_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RecordedServer]:
    """Starts a server with the identity provider of `mcp-idp demo`."""
    target, port, folder = free_port(), free_port(), tmp_path_factory.mktemp("embedded")
    access, issuer = load_access(REPOSITORY / "idp-config/access.yaml"), f"http://localhost:{port}"
    command = [sys.executable, "-m", "mcp_idp.cli.demo.provider", str(write_provider(access, port, folder)), str(port)]
    with recording_traffic(target) as traffic:
        server = RecordedServer("embedded", traffic)
        settings = {
            "OAUTH_SERVER_URL": issuer,
            "OAUTH_PROVIDER": "nanoidp",
            "MCP_PUBLIC_URL": server.url,
            "ACCESS_FILE": str(write_access(access, folder)),
        }
        provider = serving_command(
            command,
            folder,
            {**os.environ, "PYTHONPATH": str(REPOSITORY)},
            issuer,
            folder / "provider.log",
            ready="/.well-known/openid-configuration",
        )
        with provider, serving_process(settings, folder / "server.log", port=target):
            yield server


@pytest.fixture(params=["Keycloak", "Dex", "embedded"], ids=["at-keycloak", "at-dex", "embedded"])
def server(request: pytest.FixtureRequest, program: Program) -> RecordedServer:
    require_programs(full=program in FULL)
    found: RecordedServer = request.getfixturevalue(f"{request.param.lower()}_server")
    for traffic in (found.traffic, *found.provider_traffic):
        traffic.exchanges.clear()
    return found


def log_in(program: Program, server: RecordedServer, folder: Path, user: str) -> Workspace:
    """Logs in as `user` and lists the tools; some programs log in only then."""
    workspace = Workspace(folder / user, server.url, user)
    ran = program.log_in(workspace)
    assert ran.code == 0, ran.output + workspace.pages
    listed = program.list_tools(workspace)
    assert listed.code == 0, listed.output + workspace.pages
    assert program.listed in listed.output
    return workspace


@pytest.mark.requirement("clients.programs")
@ALL_BUT_GEMINI
def test_a_program_registers_logs_in_and_lists_the_tools(
    server: RecordedServer, program: Program, tmp_path: Path
) -> None:
    check_login(server, program, tmp_path)


@pytest.mark.requirement("clients.programs")
@NOT_DEX
@programs(GEMINI)
def test_a_program_that_requires_iss_registers_logs_in_and_lists_the_tools(
    server: RecordedServer, program: Program, tmp_path: Path
) -> None:
    check_login(server, program, tmp_path)


def check_login(server: RecordedServer, program: Program, folder: Path) -> None:
    """Checks that a program registers, logs in once and lists the tools."""
    steps = (("how it is known", "registers itself"), ("log in", "yes"), ("list", "yes"))
    with recorded(program, server.provider, *steps):
        workspace = log_in(program, server, folder, "writer")
        assert workspace.pages == ""
        assert len(workspace.authorizations) == 1
        client_id = workspace.authorizations[0]["client_id"]
        assert not client_id.startswith("https:"), "a metadata document"
        assert client_id != "mcp-native", "registered before"
        assert 200 in server.traffic.statuses("/mcp", "tools/list", "initialize", "server/discover")
    record_what_needs_a_model(program, server)
    check_recorded_requests(server, program, workspace)


def record_what_needs_a_model(program: Program, server: RecordedServer) -> None:
    """Records that a program has no command that calls a tool."""
    if not program.can_call:
        with recorded(program, server.provider, ("call", "needs a model"), ("step up", "needs a model")):
            pass


def check_recorded_requests(server: RecordedServer, program: Program, workspace: Workspace) -> None:
    """Compares the requests to the provider with the recorded ones, where they are seen."""
    for traffic in server.provider_traffic:
        registration = next(one for one in traffic.at("/register") if one.status == httpx.codes.CREATED)
        check_requests(program, requests_of(registration, workspace.authorizations[0]))


@pytest.mark.requirement("clients.programs")
@pytest.mark.parametrize("server", ["Dex"], indirect=True, ids=["at-dex"])
@programs(GEMINI)
def test_a_program_that_requires_iss_rejects_the_responses_of_dex(
    server: RecordedServer, program: Program, tmp_path: Path
) -> None:
    """Dex sends no `iss` and does not say that it does (RFC 9207 section 3); Gemini CLI requires it all the same."""
    words = 'Missing "iss" parameter in authorization response per RFC 9207'
    steps = (("how it is known", "registers itself"), ("log in", f"no: “{words}”"), ("list", "no login"))
    with recorded(program, server.provider, *steps):
        workspace = Workspace(tmp_path / "writer", server.url, "writer", patience=40)
        ended = program.log_in(workspace)
        assert words in " ".join(ended.output.split())
        assert "Disconnected" in program.list_tools(workspace).output
        assert len(workspace.authorizations) == 1
    check_recorded_requests(server, program, workspace)


@pytest.mark.requirement("clients.programs")
@programs(FASTMCP, INSPECTOR, MCP_REMOTE, CODEX, MCPORTER)
def test_a_program_calls_a_tool(server: RecordedServer, program: Program, tmp_path: Path) -> None:
    with recorded(program, server.provider, ("call", "yes")):
        workspace = Workspace(tmp_path / "writer", server.url, "writer")
        program.log_in(workspace)
        called = program.call(workspace, "whoami")
        assert called.code == 0, called.output + workspace.pages
        assert "mcp:notes.write" in called.output
        assert server.calls == [200]


@pytest.mark.requirement("clients.programs")
@pytest.mark.parametrize("server", ["embedded"], indirect=True, ids=["embedded"])
@programs(FASTMCP, INSPECTOR, MCP_REMOTE, CODEX, MCPORTER)
def test_the_embedded_provider_grants_all_scopes_to_an_account_without_a_role(
    server: RecordedServer, program: Program, tmp_path: Path
) -> None:
    with recorded(program, server.provider, ("refused person", "nobody is refused")):
        workspace = Workspace(tmp_path / "nobody", server.url, "nobody")
        program.log_in(workspace)
        called = program.call(workspace, "whoami")
        assert called.code == 0, called.output + workspace.pages
        assert "mcp:notes.write" in called.output


@pytest.mark.requirement("clients.programs")
@pytest.mark.parametrize("server", ["embedded"], indirect=True, ids=["embedded"])
@programs(CLAUDE_CODE, OPENCODE)
def test_an_account_without_a_role_lists_the_tools_with_the_embedded_provider(
    server: RecordedServer, program: Program, tmp_path: Path
) -> None:
    with recorded(program, server.provider, ("refused person", "nobody is refused")):
        log_in(program, server, tmp_path, "nobody")


@pytest.mark.requirement("clients.programs", "clients.step_up_ends")
@NOT_EMBEDDED
@programs(FASTMCP, INSPECTOR, MCP_REMOTE, CODEX)
def test_an_account_without_a_role_ends_after_one_login(
    server: RecordedServer, program: Program, tmp_path: Path
) -> None:
    with recorded(program, server.provider, ("refused person", "ends with our reason")):
        workspace = Workspace(tmp_path / "nobody", server.url, "nobody")
        program.log_in(workspace)
        refused = program.call(workspace, "whoami")
        assert refused.code not in {0, None}, refused.output
        assert "role" in " ".join(refused.output.split())
        assert len(workspace.authorizations) == 1
        check_few_refusals(server)


@pytest.mark.requirement("clients.programs", "clients.step_up_ends")
@NOT_EMBEDDED
@programs(MCPORTER)
def test_an_account_without_a_role_can_leave_a_login_that_waits(
    server: RecordedServer, program: Program, tmp_path: Path
) -> None:
    """mcporter waits for a second approval, which it requests from nobody, and opens no browser for it."""
    outcome = "login waits and asks nothing; call ends with our reason"
    with recorded(program, server.provider, ("refused person", outcome)):
        workspace = Workspace(tmp_path / "nobody", server.url, "nobody", patience=30)
        assert program.log_in(workspace).code is None
        refused = program.call(workspace, "whoami")
        assert refused.code not in {0, None}, refused.output
        assert "role" in " ".join(refused.output.split())
        assert len(workspace.authorizations) == 1
        check_few_refusals(server)


@pytest.mark.requirement("clients.programs", "clients.step_up_ends")
@NOT_EMBEDDED
@pytest.mark.parametrize(
    ("program", "words"),
    [
        pytest.param(CLAUDE_CODE, "Needs authentication", id="claude-code", marks=pytest.mark.full),
        pytest.param(OPENCODE, "SSE error: Non-200 status code (403)", id="opencode", marks=pytest.mark.full),
    ],
)
def test_an_account_without_a_role_ends_with_words_of_the_program(
    server: RecordedServer, program: Program, words: str, tmp_path: Path
) -> None:
    with recorded(program, server.provider, ("refused person", f"ends, without our reason: “{words}”")):
        workspace = Workspace(tmp_path / "nobody", server.url, "nobody")
        assert program.log_in(workspace).code == 0
        listed = program.list_tools(workspace)
        assert listed.code == 0
        assert words in listed.output
        assert len(workspace.authorizations) == 1
        check_few_refusals(server)


def check_few_refusals(server: RecordedServer) -> None:
    """Checks that the server refused, and that the program did not go on."""
    statuses = server.traffic.statuses("/mcp")
    assert 403 in statuses
    assert len(statuses) <= FEW_REQUESTS


@pytest.mark.requirement("clients.programs", "clients.step_up")
@ON_KEYCLOAK
@programs(FASTMCP, MCP_REMOTE)
def test_a_call_that_needs_more_asks_for_consent_to_the_union_and_continues(
    server: RecordedServer, program: Program, tmp_path: Path
) -> None:
    with recorded(program, server.provider, ("step up", "yes")):
        workspace = Workspace(tmp_path / "admin", server.url, "admin")
        called = program.call(workspace, "note_count")
        assert called.code == 0, called.output + workspace.pages
        assert '"notes"' in called.output.replace("\\", "")
        first, union = workspace.scopes
        assert union == {*first, "mcp:admin"}
        assert server.calls == [403, 200]


@pytest.mark.requirement("clients.programs", "clients.step_up_ends")
@ON_KEYCLOAK
@programs(INSPECTOR, CODEX)
def test_a_program_that_does_not_step_up_ends_with_the_refusal(
    server: RecordedServer, program: Program, tmp_path: Path
) -> None:
    with recorded(program, server.provider, ("step up", "no: ends with the refusal")):
        workspace = Workspace(tmp_path / "admin", server.url, "admin")
        program.log_in(workspace)
        refused = program.call(workspace, "note_count")
        assert refused.code not in {0, None}, refused.output
        assert len(workspace.authorizations) == 1
        assert 403 in server.calls
        assert len(server.calls) <= FEW_REQUESTS


@pytest.mark.requirement("clients.programs", "clients.step_up_ends")
@ON_KEYCLOAK
@programs(MCPORTER)
def test_a_step_up_that_the_program_does_not_use_ends_after_one_more_login(
    server: RecordedServer, program: Program, tmp_path: Path
) -> None:
    with recorded(program, server.provider, ("step up", "no: logs in for the new scope, ends with “Unauthorized”")):
        workspace = Workspace(tmp_path / "admin", server.url, "admin")
        program.log_in(workspace)
        refused = program.call(workspace, "note_count")
        assert refused.code not in {0, None}, refused.output
        assert "Unauthorized" in refused.output
        assert "mcp:admin" in workspace.scopes[1]
        assert len(workspace.authorizations) == 2
        assert server.calls == [403]


@pytest.mark.requirement("clients.programs", "clients.step_up_ends")
@pytest.mark.parametrize("server", ["Dex"], indirect=True, ids=["at-dex"])
@programs(MCP_REMOTE, CODEX, MCPORTER)
def test_a_call_that_needs_a_role_ends_at_dex_without_a_login(
    server: RecordedServer, program: Program, tmp_path: Path
) -> None:
    """Dex's scopes come from groups, so a login cannot grant more."""
    with recorded(program, server.provider, ("step up", "none at Dex: ends with our reason")):
        workspace = Workspace(tmp_path / "writer", server.url, "writer")
        program.log_in(workspace)
        refused = program.call(workspace, "note_count")
        assert refused.code not in {0, None}, refused.output
        assert "mcp-admin" in refused.output
        assert len(workspace.authorizations) == 1
        assert set(server.calls) == {403}
        assert len(server.calls) <= FEW_REQUESTS


@pytest.mark.requirement("clients.programs", "clients.step_up_ends")
@pytest.mark.parametrize("server", ["Dex"], indirect=True, ids=["at-dex"])
@programs(FASTMCP, INSPECTOR)
def test_a_program_does_not_call_a_tool_that_is_not_listed_at_dex(
    server: RecordedServer, program: Program, tmp_path: Path
) -> None:
    """The list leaves out the tools that need a role which the user does not have, and these programs look there."""
    with recorded(program, server.provider, ("step up", "none at Dex: the tool is not in the list")):
        workspace = Workspace(tmp_path / "writer", server.url, "writer")
        refused = program.call(workspace, "note_count")
        assert refused.code not in {0, None}, refused.output
        assert "not found" in " ".join(refused.output.split())
        assert len(workspace.authorizations) == 1
        assert server.calls == []


@pytest.mark.requirement("clients.programs")
@ON_KEYCLOAK
@programs(MCP_REMOTE)
def test_a_rejected_access_token_is_refreshed_at_keycloak(
    server: RecordedServer, program: Program, tmp_path: Path
) -> None:
    check_refresh(server, program, tmp_path)


@pytest.mark.requirement("clients.programs")
@programs(CODEX, CLAUDE_CODE, OPENCODE)
def test_a_rejected_access_token_is_refreshed_without_a_login(
    server: RecordedServer, program: Program, tmp_path: Path
) -> None:
    check_refresh(server, program, tmp_path)


def check_refresh(server: RecordedServer, program: Program, folder: Path) -> None:
    """Checks that a program obtains a new access token without the user."""
    with recorded(program, server.provider, ("refresh", "yes")):
        workspace = log_in(program, server, folder, "writer")
        assert invalidate_access_tokens(workspace) > 0
        server.traffic.exchanges.clear()
        ran = program.call(workspace, "whoami") if program.can_call else program.list_tools(workspace)
        assert ran.code == 0, ran.output + workspace.pages
        assert program.can_call or program.listed in ran.output
        assert len(workspace.authorizations) == 1
        assert 200 in server.traffic.statuses("/mcp", "tools/list", "tools/call")


@pytest.mark.requirement("clients.programs")
@programs(MCPORTER)
def test_a_program_that_does_not_refresh_logs_in_again(
    server: RecordedServer, program: Program, tmp_path: Path
) -> None:
    with recorded(program, server.provider, ("refresh", "no: registers and logs in again")):
        workspace = log_in(program, server, tmp_path, "writer")
        assert invalidate_access_tokens(workspace) > 0
        check_second_login(program, workspace, same_client=False)


@pytest.mark.requirement("clients.programs")
@programs(FASTMCP, INSPECTOR)
def test_a_program_that_keeps_no_token_logs_in_again(server: RecordedServer, program: Program, tmp_path: Path) -> None:
    """Inspector keeps tokens in a keyring, and there is none here."""
    outcome = "no keyring here: logs in again" if program is INSPECTOR else "keeps nothing: registers and logs in again"
    with recorded(program, server.provider, ("refresh", outcome)):
        workspace = log_in(program, server, tmp_path, "writer")
        assert invalidate_access_tokens(workspace) == 0
        check_second_login(program, workspace, same_client=program is INSPECTOR)


def check_second_login(program: Program, workspace: Workspace, *, same_client: bool) -> None:
    """Checks that a call works after a second login, by the same registered client or by another one."""
    called = program.call(workspace, "whoami")
    assert called.code == 0, called.output + workspace.pages
    first, second = workspace.authorizations
    assert (first["client_id"] == second["client_id"]) is same_client


@pytest.mark.requirement("clients.programs")
@pytest.mark.parametrize("server", ["Dex"], indirect=True, ids=["at-dex"])
@programs(MCP_REMOTE)
def test_dex_refuses_a_refresh_that_names_the_scopes_of_the_challenge(
    server: RecordedServer, program: Program, tmp_path: Path
) -> None:
    with recorded(program, server.provider, ("refresh", "no: Dex refuses the scopes that it names")):
        workspace = log_in(program, server, tmp_path, "writer")
        assert invalidate_access_tokens(workspace) > 0
        called = program.call(workspace, "whoami")
        assert called.code not in {0, None}
        assert "Requested scopes contain unauthorized scope(s)" in called.output
        assert len(workspace.authorizations) == 1


@pytest.mark.requirement("clients.programs")
@ON_KEYCLOAK
@programs(CLAUDE_CODE, CODEX, OPENCODE)
def test_a_program_deletes_its_login(server: RecordedServer, program: Program, tmp_path: Path) -> None:
    with recorded(program, server.provider, ("log out", "yes")):
        workspace = log_in(program, server, tmp_path, "writer")
        ran = program.log_out(workspace)
        assert ran.code == 0, ran.output
        assert program.listed not in program.list_tools(workspace).output


@pytest.mark.requirement("clients.programs", "registrar.portless")
@ON_KEYCLOAK
@programs(MCP_REMOTE)
def test_a_program_whose_port_is_taken_logs_in_at_another_port(
    server: RecordedServer, program: Program, tmp_path: Path
) -> None:
    workspace = log_in(program, server, tmp_path, "writer")
    for tokens in workspace.home.rglob("*_tokens.json"):
        tokens.unlink()
    (before,) = workspace.authorizations
    port = int(before["redirect_uri"].split(":")[2].split("/")[0])
    with socket.create_server(("127.0.0.1", port)):
        called = program.call(workspace, "whoami")
    assert called.code == 0, called.output + workspace.pages
    after = workspace.authorizations[-1]
    assert after["client_id"] == before["client_id"]
    assert after["redirect_uri"] != before["redirect_uri"]
