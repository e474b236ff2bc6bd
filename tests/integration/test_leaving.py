"""A user is disabled in Keycloak: what ends at once, what within 30 seconds, and what with the token."""

from __future__ import annotations

import sys
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from tests.support.compose_stack import earlier_greeting, greeting
from tests.support.keycloak.realm import REDIRECT
from tests.support.mcp_calls import INITIALIZE
from tests.support.mcp_server_process import serving_realm

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.keycloak.realm import Json, Keycloak
    from tests.support.mcp_server_process import Server

pytestmark = [pytest.mark.containers, pytest.mark.full, pytest.mark.timeout(600)]
TOKEN_SECONDS = 45


class _User:
    """A user with a session, its open stream, and a refresh token."""

    def __init__(self, server: Server, name: str, stack: ExitStack) -> None:
        self.server, self.name = server, name
        client = server.realm.register(redirect_uris=[REDIRECT], scope="mcp:tools")
        self.client_id = str(client["client_id"])
        self.login: Json = server.realm.log_in(name, self.client_id, scope="mcp:tools")
        self.token = str(self.login["access_token"])
        self.http = stack.enter_context(httpx.Client(timeout=60, trust_env=False))
        begun = self.http.post(server.url, **{**earlier_greeting(self.token), "json": INITIALIZE})
        assert begun.status_code == 200, begun.text
        self.session = begun.headers["mcp-session-id"]
        headers = {**earlier_greeting(self.token)["headers"], "mcp-session-id": self.session}
        self.stream = stack.enter_context(self.http.stream("GET", server.url, headers=headers, timeout=120))
        assert self.stream.status_code == 200

    def disable(self) -> None:
        admin = self.server.realm.admin()
        (found,) = admin.get("users", username=self.name, exact="true")
        admin.write("PUT", ("users", found["id"]), {"enabled": False})

    def call(self) -> int:
        return self.http.post(self.server.url, **greeting(self.token)).status_code

    def statuses(self) -> dict[str, int]:
        """Returns the status of a new call, of one in the session, and of a refresh."""
        in_session = earlier_greeting(self.token)
        in_session["headers"] |= {"mcp-session-id": self.session}
        renewed = self.server.realm.token(
            grant_type="refresh_token", client_id=self.client_id, refresh_token=str(self.login["refresh_token"])
        )
        return {
            "call": self.call(),
            "session": self.http.post(self.server.url, **in_session).status_code,
            "refresh": renewed["status"],
        }


@pytest.fixture(params=["introspection", "jwt"])
def server(request: pytest.FixtureRequest, keycloak: Keycloak, tmp_path: Path) -> Iterator[Server]:
    mode: str = request.param
    with serving_realm(
        keycloak, tmp_path, AUTH_TOKEN_MODE=mode, CLOCK_LEEWAY="0s", RATE_LIMIT_ADDRESS="0", RATE_LIMIT_USER="0"
    ) as serving:
        yield serving


def test_when_a_disabled_user_s_calls_sessions_streams_and_refreshes_end(
    server: Server, request: pytest.FixtureRequest, capsys: pytest.CaptureFixture[str]
) -> None:
    mode: str = request.node.callspec.params["server"]
    server.realm.admin().write("PUT", (), {"accessTokenLifespan": TOKEN_SECONDS})
    measured: dict[str, Any] = {}
    with ExitStack() as stack:
        other = _User(server, "writer", stack)
        user = _User(server, "reader", stack)
        assert user.call() == 200
        user.disable()
        began = time.monotonic()
        first = user.statuses()
        assert first["refresh"] == 400
        assert first["call"] == first["session"] == 200  # the token is cached, or signed
        for _ in user.stream.iter_raw():
            pass
        measured["stream"] = time.monotonic() - began
        while user.call() != 401:
            pass
        measured["call"] = time.monotonic() - began
        ended = user.statuses()
        assert (ended["session"], ended["refresh"]) == (401, 400)
        if mode == "introspection":  # the other's token is as old, and still valid
            assert other.call() == 200
    with capsys.disabled():
        for what, seconds in measured.items():
            sys.stdout.write(f"\n{mode}: the {what} ended after {seconds:.1f} s")
