"""MCP calls of both protocol revisions, and the messages of their responses."""

from __future__ import annotations

import json
import secrets
from typing import TYPE_CHECKING, Any

from tests.support.app import BOTH, Running

if TYPE_CHECKING:
    import httpx


def events(response: httpx.Response) -> list[dict[str, Any]]:
    """The JSON-RPC messages of an answer, be it a stream or one document."""
    if response.headers["content-type"].startswith("application/json"):
        return [response.json()]
    data = [line.removeprefix("data: ") for line in response.text.splitlines() if line.startswith("data: ")]
    return [json.loads(text) for text in data if text.strip()]


async def initialized(
    server: Running, token: str, version: str = "2025-11-25", *, capabilities: dict[str, Any] | None = None
) -> dict[str, str]:
    """The headers of a session of the handshake era, opened with `token`."""
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
    # A session tells answers apart by id: no two calls under way may share one.
    document = {"jsonrpc": "2.0", "id": secrets.token_hex(4), "method": "tools/call", "params": params}
    return await server.client.post("/mcp", json=document, headers=headers)
