"""The official clients, unmodified, against our server and a real Keycloak: login, calls, progress, step-up."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.mcp_server_process import serving_realm
from tests.support.typescript_client import Transcript, run_client

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.keycloak.realm import Keycloak
    from tests.support.mcp_server_process import Server

pytestmark = pytest.mark.containers
# The clients that support step-up: a first login with fewer scopes than needed later.
NARROW = {"login_scopes": ["mcp:tools", "mcp:notes.read"]}
CALLS = [["greet", {"name": "Ada"}], ["count", {"number": 2}]]
ADD = [["note_add", {"text": "milk"}], ["note_list", {}]]
READ, WRITE = ["mcp:notes.read", "mcp:tools"], ["mcp:notes.read", "mcp:notes.write", "mcp:tools"]


@pytest.fixture(scope="module")
def server(keycloak: Keycloak, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Starts a server with default settings and the metadata mirror for old clients."""
    with serving_realm(keycloak, tmp_path_factory.mktemp("clients"), LEGACY_DISCOVERY="true") as server:
        yield server


@pytest.fixture(scope="module")
def requesting_base_scope(keycloak: Keycloak, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Starts a server whose first challenge requests the base scope only."""
    with serving_realm(keycloak, tmp_path_factory.mktemp("narrow"), access=NARROW) as server:
        yield server


def run(
    node: str, server: Server, flavour: str, calls: list[Any], user: str = "writer", **environment: str
) -> Transcript:
    """Runs a TypeScript client; `user` logs in when it requests a login."""
    return run_client(node, flavour, server.url, calls, partial(server.realm.visit, user), **environment)


@pytest.mark.parametrize(("flavour", "session"), [("sdk-1", True), ("client-2-legacy", True), ("client-2-auto", False)])
def test_an_official_typescript_client_logs_in_and_calls_tools(
    node: str,
    server: Server,
    flavour: str,
    session: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    transcript = run(node, server, flavour, CALLS)
    assert transcript.all("failed") == []
    assert transcript.all("session") == [session]
    assert {"greet", "count", "note_add"} <= set(*transcript.all("tools"))
    assert transcript.call("greet")["result"] == "Hello, Ada!"
    assert transcript.call("count")["result"] == "Counting to 2"
    assert transcript.all("progress")[-3:] == [1, 2, 2]  # in order of arrival, then their number
    assert transcript.all("logins") == [1]


@pytest.mark.requirement("clients.march_2025")
def test_a_client_of_march_2025_logs_in_with_the_mirror(node: str, server: Server) -> None:
    transcript = run(node, server, "sdk-of-2025-03", CALLS, SCOPE="mcp:tools mcp:notes.read")
    assert transcript.all("failed") == []
    assert transcript.all("granted") == [READ]
    assert transcript.call("greet")["result"] == "Hello, Ada!"
    assert transcript.call("count")["result"] == "Counting to 2"
    assert "legacy_discovery_used" in server.log


@pytest.mark.requirement("clients.march_2025")
def test_without_the_mirror_it_fails_and_the_log_lists_the_requests(node: str, requesting_base_scope: Server) -> None:
    transcript = run(node, requesting_base_scope, "sdk-of-2025-03", CALLS, SCOPE="mcp:tools")
    assert transcript.all("message") == ["Dynamic client registration failed: HTTP 404"]
    assert "LEGACY_DISCOVERY=true" in requesting_base_scope.log


@pytest.mark.requirement("clients.step_up")
@pytest.mark.parametrize("flavour", ["client-2-legacy", "client-2-auto"])
def test_a_client_that_requires_more_scopes_steps_up_once_and_continues(
    node: str, requesting_base_scope: Server, flavour: str
) -> None:
    transcript = run(node, requesting_base_scope, flavour, ADD, CLIENT_ID="mcp-native")
    assert transcript.all("failed") == []
    assert transcript.all("granted") == [READ, WRITE]
    assert transcript.call("note_add")["statuses"] == [403, 200]
    assert transcript.all("logins") == [2]


@pytest.mark.requirement("clients.step_up")
def test_the_first_typescript_client_steps_up_if_it_keeps_no_refresh_token(
    node: str, requesting_base_scope: Server
) -> None:
    transcript = run(node, requesting_base_scope, "sdk-1", ADD, CLIENT_ID="mcp-native", NO_REFRESH="1")
    assert transcript.all("failed") == []
    # It requests the scopes of the challenge, without those that it has: writing implies reading.
    assert transcript.all("granted") == [READ, ["mcp:notes.write", "mcp:tools"]]
    assert transcript.call("note_add")["statuses"] == [403, 200]
    assert transcript.all("logins") == [2]


@pytest.mark.requirement("clients.step_up_ends")
def test_with_a_refresh_token_it_ends_after_one_refresh_without_the_scope(
    node: str, requesting_base_scope: Server
) -> None:
    transcript = run(node, requesting_base_scope, "sdk-1", ADD, CLIENT_ID="mcp-native")
    assert transcript.all("granted") == [READ, READ]
    assert "403 after trying upscoping" in transcript.all("message")[0]
    assert transcript.all("logins") == [1]


@pytest.mark.requirement("clients.step_up_ends")
@pytest.mark.parametrize("flavour", ["client-2-legacy", "client-2-auto"])
def test_a_client_registered_with_fewer_scopes_gets_the_provider_s_error(
    node: str, requesting_base_scope: Server, flavour: str
) -> None:
    transcript = run(node, requesting_base_scope, flavour, ADD)
    assert transcript.all("message") == ["the provider responded invalid_scope"]
    assert transcript.all("logins") == [2]


@pytest.mark.requirement("clients.step_up_ends")
@pytest.mark.parametrize("flavour", ["sdk-1", "client-2-legacy", "client-2-auto"])
def test_a_user_who_may_not_have_the_scope_gets_the_reason_and_no_login_loop(
    node: str, requesting_base_scope: Server, flavour: str
) -> None:
    transcript = run(node, requesting_base_scope, flavour, ADD, user="reader", CLIENT_ID="mcp-native")
    assert "your account cannot obtain" in transcript.all("message")[0]
    assert transcript.all("statuses")[-1].count(403) == 1
    assert transcript.all("logins") == [1]


@pytest.mark.requirement("clients.step_up")
@pytest.mark.parametrize("flavour", ["sdk-1", "client-2-auto"])
def test_with_our_defaults_the_first_login_grants_every_scope_that_is_not_privileged(
    node: str, server: Server, flavour: str
) -> None:
    transcript = run(node, server, flavour, ADD)
    assert transcript.all("failed") == []
    assert transcript.all("granted") == [WRITE]
    assert transcript.all("logins") == [1]
