"""A tool call as an HTTP request, for the tests of a server."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

_REVISION = "2026-07-28"


def tool_call(tool: str, token: str | None = None, arguments: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Returns a `tools/call` of protocol revision 2026-07-28, which needs no session.

    Args:
        tool: The name of the tool.
        token: The access token; None for a call without credentials.
        arguments: The tool's arguments.

    Returns:
        `headers` and `json`, the arguments of the function `post` of an HTTP client.
    """
    meta = {
        "io.modelcontextprotocol/protocolVersion": _REVISION,
        "io.modelcontextprotocol/clientCapabilities": {},
    }
    headers = {
        "accept": "application/json, text/event-stream",
        "mcp-protocol-version": _REVISION,
        "mcp-method": "tools/call",
        "mcp-name": tool,
    }
    if token is not None:
        headers["authorization"] = f"Bearer {token}"
    params = {"name": tool, "arguments": dict(arguments or {}), "_meta": meta}
    return {"headers": headers, "json": {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}}
