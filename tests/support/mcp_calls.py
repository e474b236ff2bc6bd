"""MCP calls of both protocol revisions, and the messages of their responses."""

from __future__ import annotations

import json
import secrets
from typing import TYPE_CHECKING, Any

from mcp_idp.testing.corpus.model import BOTH

if TYPE_CHECKING:
    import httpx

    from tests.support.app import Running

LEGACY = "2025-11-25"
INITIALIZE = {
    "jsonrpc": "2.0",
    "id": 0,
    "method": "initialize",
    "params": {"protocolVersion": LEGACY, "capabilities": {}, "clientInfo": {"name": "c", "version": "1"}},
}


def events(response: httpx.Response) -> list[dict[str, Any]]:
    """Returns the JSON-RPC messages of a response, whether an event stream or a JSON document."""
    if response.headers["content-type"].startswith("application/json"):
        return [response.json()]
    data = [line.removeprefix("data: ") for line in response.text.splitlines() if line.startswith("data: ")]
    return [json.loads(text) for text in data if text.strip()]


async def initialized(
    server: Running, token: str, version: str = "2025-11-25", *, capabilities: dict[str, Any] | None = None
) -> dict[str, str]:
    """Opens a session of the handshake revision with `token` and returns its headers."""
    headers = {"authorization": f"Bearer {token}", "accept": BOTH}
    params = {
        "protocolVersion": version,
        "capabilities": capabilities or {},
        "clientInfo": {"name": "test", "version": "1"},
    }
    opening = {"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params}
    response = await server.client.post("/mcp", json=opening, headers=headers)
    assert response.status_code == 200
    headers |= {"mcp-session-id": response.headers["mcp-session-id"], "mcp-protocol-version": version}
    done = {"jsonrpc": "2.0", "method": "notifications/initialized"}
    assert (await server.client.post("/mcp", json=done, headers=headers)).status_code == 202
    return headers


async def legacy_call(server: Running, headers: dict[str, str], tool_name: str, /, **arguments: Any) -> httpx.Response:
    params = {"name": tool_name, "arguments": arguments, "_meta": {"progressToken": "p"}}
    # A session matches responses by id, so concurrent calls must have different ids.
    document = {"jsonrpc": "2.0", "id": secrets.token_hex(4), "method": "tools/call", "params": params}
    return await server.client.post("/mcp", json=document, headers=headers)


async def post_in_session(
    server: Running, token: str, document: dict[str, Any], session: str | None = None
) -> httpx.Response:
    """Posts a message in the handshake revision, within `session` if there is one."""
    headers = {"authorization": f"Bearer {token}", "accept": BOTH}
    if session is not None:
        headers |= {"mcp-session-id": session, "mcp-protocol-version": LEGACY}
    return await server.client.post("/mcp", json=document, headers=headers)


async def open_session(server: Running, token: str) -> str:
    """Opens a session and returns its id."""
    response = await post_in_session(server, token, INITIALIZE)
    assert response.status_code == 200
    return str(response.headers["mcp-session-id"])


async def ping(server: Running, token: str, session: str) -> int:
    """Pings within `session` and returns the status."""
    return (await post_in_session(server, token, {"jsonrpc": "2.0", "id": 1, "method": "ping"}, session)).status_code
