"""The first request: MCP's `server/discover`, the one question a client may ask before anything is agreed.

It is sent by itself, before the MCP client starts, so that a refusal arrives as an HTTP answer that can be explained.
"""

from __future__ import annotations

from typing import Any

from mcp.shared.inbound import MCP_METHOD_HEADER, MCP_PROTOCOL_VERSION_HEADER
from mcp_types import CLIENT_CAPABILITIES_META_KEY, CLIENT_INFO_META_KEY, PROTOCOL_VERSION_META_KEY
from mcp_types.version import LATEST_MODERN_VERSION

CLIENT_NAME = "scripts/login"


def discover_request() -> tuple[dict[str, Any], dict[str, str]]:
    """Body and headers (MCP 2026-07-28, server/discover)."""
    method = "server/discover"
    meta = {
        PROTOCOL_VERSION_META_KEY: LATEST_MODERN_VERSION,
        CLIENT_INFO_META_KEY: {"name": CLIENT_NAME, "version": "1"},
        CLIENT_CAPABILITIES_META_KEY: {},
    }
    body = {"jsonrpc": "2.0", "id": 0, "method": method, "params": {"_meta": meta}}
    headers = {
        "Accept": "application/json, text/event-stream",
        MCP_PROTOCOL_VERSION_HEADER: LATEST_MODERN_VERSION,
        MCP_METHOD_HEADER: method,
    }
    return body, headers
