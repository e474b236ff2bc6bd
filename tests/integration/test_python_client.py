"""The official Python client, unmodified, in both protocol revisions, against our server and a real Keycloak."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import httpx2
import pytest
from mcp import Client
from mcp.client.auth import OAuthClientProvider
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.auth import AuthorizationCodeResult, OAuthClientInformationFull, OAuthClientMetadata
from mcp.shared.exceptions import MCPError
from pydantic import AnyUrl

from tests.support.keycloak.realm import REDIRECT
from tests.support.mcp_server_process import serving_realm

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from mcp.shared.auth import OAuthToken

    from tests.support.keycloak.realm import Keycloak
    from tests.support.mcp_server_process import Server

pytestmark = [pytest.mark.containers, pytest.mark.anyio]
Mode = Literal["legacy", "auto"]
READ, WRITE = {"mcp:tools", "mcp:notes.read"}, {"mcp:tools", "mcp:notes.read", "mcp:notes.write"}


@pytest.fixture(scope="module")
def requesting_base_scope(keycloak: Keycloak, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Starts a server whose first challenge requests the base scope only."""
    access = {"login_scopes": ["mcp:tools", "mcp:notes.read"]}
    with serving_realm(keycloak, tmp_path_factory.mktemp("python"), access=access) as server:
        yield server


@dataclass
class Memory:
    """The client's storage and browser: `user` logs in at each authorization URL."""

    server: Server
    user: str
    client: OAuthClientInformationFull | None = None
    granted: list[set[str]] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)
    logins: int = 0
    _tokens: OAuthToken | None = None
    _back: dict[str, Any] = field(default_factory=dict)

    async def get_tokens(self) -> OAuthToken | None:
        return self._tokens

    async def set_tokens(self, tokens: OAuthToken) -> None:
        self._tokens = tokens
        self.granted.append(set((tokens.scope or "").split()))

    async def get_client_info(self) -> OAuthClientInformationFull | None:
        return self.client

    async def set_client_info(self, client_info: OAuthClientInformationFull) -> None:
        self.client = client_info

    async def go(self, url: str) -> None:
        self.logins += 1
        self._back = await asyncio.to_thread(self.server.realm.follow, self.user, url)

    async def come_back(self) -> AuthorizationCodeResult:
        back = self._back
        return AuthorizationCodeResult(code=back.get("code", ""), state=back.get("state"), iss=back.get("iss"))

    async def note(self, response: httpx2.Response) -> None:
        if str(response.url) == self.server.url:
            self.statuses.append(response.status_code)

    @asynccontextmanager
    async def connected(self, mode: Mode) -> AsyncIterator[Client]:
        metadata = OAuthClientMetadata(
            client_name="official Python client", redirect_uris=[AnyUrl(REDIRECT)], token_endpoint_auth_method="none"
        )
        auth = OAuthClientProvider(self.server.url, metadata, self, self.go, self.come_back)
        async with (
            httpx2.AsyncClient(auth=auth, timeout=60, event_hooks={"response": [self.note]}) as http,
            Client(streamable_http_client(self.server.url, http_client=http), mode=mode) as client,
        ):
            yield client


def known_client() -> OAuthClientInformationFull:
    """Returns `mcp-native` of the access file, a preregistered client."""
    return OAuthClientInformationFull(
        client_id="mcp-native", redirect_uris=[AnyUrl(REDIRECT)], token_endpoint_auth_method="none"
    )


@pytest.mark.parametrize("mode", ["legacy", "auto"])
async def test_the_official_python_client_logs_in_and_hears_progress(mode: Mode, requesting_base_scope: Server) -> None:
    memory = Memory(requesting_base_scope, "reader")
    heard: list[float] = []

    async def hear(progress: float, total: float | None, message: str | None) -> None:
        heard.append(progress)

    async with memory.connected(mode) as client:
        listed = await client.list_tools()
        greeting = await client.call_tool("greet", {"name": "Ada"})
        await client.call_tool("count", {"number": 2}, progress_callback=hear)
    assert {"greet", "count"} <= {tool.name for tool in listed.tools}
    assert greeting.structured_content == {"result": "Hello, Ada!"}
    assert heard == [1, 2]
    assert (memory.logins, memory.granted) == (1, [READ])


@pytest.mark.requirement("clients.step_up")
@pytest.mark.parametrize("mode", ["legacy", "auto"])
async def test_it_requires_more_scopes_steps_up_once_and_continues(mode: Mode, requesting_base_scope: Server) -> None:
    memory = Memory(requesting_base_scope, "writer", known_client())
    async with memory.connected(mode) as client:
        added = await client.call_tool("note_add", {"text": "milk"})
    assert added.is_error is False
    assert memory.granted == [READ, WRITE]
    assert memory.statuses.count(403) == 1
    assert memory.logins == 2


@pytest.mark.requirement("clients.step_up_ends")
@pytest.mark.parametrize("mode", ["legacy", "auto"])
async def test_a_user_who_may_not_have_the_scope_gets_no_challenge(mode: Mode, requesting_base_scope: Server) -> None:
    memory = Memory(requesting_base_scope, "reader", known_client())
    async with memory.connected(mode) as client:
        with pytest.raises(MCPError, match=r"your account cannot obtain.* mcp-writer, mcp-admin"):
            await client.call_tool("note_add", {"text": "milk"})
    assert memory.statuses.count(403) == 1
    assert memory.logins == 1
