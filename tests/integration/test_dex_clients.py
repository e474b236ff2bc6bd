"""The official TypeScript clients, unmodified and not preregistered, against our server and a real Dex."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.compose_stack import free_port
from tests.support.dex import Dex, running_dex
from tests.support.mcp_server_process import serving_process
from tests.support.typescript_client import Transcript, run_client

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.mcp_server_process import Process

pytestmark = pytest.mark.containers
CALLS = [["greet", {"name": "Ada"}], ["count", {"number": 2}]]
ADD = [["note_add", {"text": "milk"}], ["note_list", {}]]
FLAVOURS = ["sdk-1", "client-2-legacy", "client-2-auto"]


@pytest.fixture(scope="module")
def dex(engine: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dex]:
    url = f"http://localhost:{free_port()}/mcp"
    with running_dex(tmp_path_factory.mktemp("dex"), public_url=url) as server:
        yield server


@pytest.fixture(scope="module")
def server(dex: Dex) -> Iterator[Process]:
    settings = {**dex.environment, "OAUTH_PROVIDER": "dex", "LEGACY_DISCOVERY": "true"}
    with serving_process(settings, dex.folder / "server.log") as server:
        yield server


def run(  # noqa: PLR0917 - client, server, provider and user
    node: str, server: Process, dex: Dex, flavour: str, calls: list[Any], user: str = "writer", **environment: str
) -> Transcript:
    return run_client(node, flavour, server.url, calls, partial(log_in_and_consent, dex, user), **environment)


def log_in_and_consent(dex: Dex, user: str, url: str) -> None:
    """Logs in as `user`, consents, and follows the redirect to the waiting client."""
    dex.visit_client(user, url)


@pytest.mark.requirement("dex.clients")
@pytest.mark.parametrize(("flavour", "session"), [("sdk-1", True), ("client-2-legacy", True), ("client-2-auto", False)])
def test_an_official_client_registers_logs_in_and_calls_tools(
    node: str,
    server: Process,
    dex: Dex,
    flavour: str,
    session: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    transcript = run(node, server, dex, flavour, CALLS)
    assert transcript.all("failed") == []
    assert transcript.all("registered") != []
    assert transcript.all("session") == [session]
    assert {"greet", "count", "note_add"} <= set(*transcript.all("tools"))
    assert transcript.call("greet")["result"] == "Hello, Ada!"
    assert transcript.call("count")["result"] == "Counting to 2"
    assert transcript.all("logins") == [1]
    # The newer client requests offline_access if the provider's metadata lists it. The older one requests only the
    # scopes of the challenge, so it logs in again when its token expires.
    assert transcript.all("refresh") == [flavour != "sdk-1"]


@pytest.mark.requirement("dex.clients", "clients.march_2025")
def test_a_client_of_march_2025_logs_in_with_the_mirror(node: str, server: Process, dex: Dex) -> None:
    transcript = run(node, server, dex, "sdk-of-2025-03", CALLS, SCOPE="mcp:tools mcp:notes.read")
    assert transcript.all("failed") == []
    assert transcript.call("greet")["result"] == "Hello, Ada!"


@pytest.mark.requirement("dex.clients")
@pytest.mark.parametrize("flavour", FLAVOURS)
def test_what_the_group_does_not_grant_ends_at_once(node: str, server: Process, dex: Dex, flavour: str) -> None:
    transcript = run(node, server, dex, flavour, ADD, user="reader")
    assert "mcp-writer" in transcript.all("message")[0]
    assert transcript.all("statuses")[-1].count(403) == 1
    assert transcript.all("logins") == [1]


@pytest.mark.requirement("dex.clients")
@pytest.mark.parametrize("flavour", FLAVOURS)
def test_a_user_without_a_group_gets_the_reason_and_no_challenge(
    node: str, server: Process, dex: Dex, flavour: str
) -> None:
    transcript = run(node, server, dex, flavour, CALLS, user="nobody")
    # In the stateless revision the client first discovers the supported versions, and reports only the status of that.
    assert ("HTTP 403" if flavour == "client-2-auto" else "mcp-reader") in transcript.all("message")[0]
    assert transcript.all("statuses")[-1].count(403) == 1
    assert transcript.all("logins") == [1]
