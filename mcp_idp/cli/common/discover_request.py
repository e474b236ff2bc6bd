"""The first request to the MCP server: `server/discover` (MCP 2026-07-28), which needs no earlier negotiation.

It is sent before the MCP client starts, so that an error arrives as an HTTP response that can be explained.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mcp.shared.inbound import MCP_METHOD_HEADER, MCP_PROTOCOL_VERSION_HEADER
from mcp_types import CLIENT_CAPABILITIES_META_KEY, CLIENT_INFO_META_KEY, PROTOCOL_VERSION_META_KEY
from mcp_types.version import LATEST_MODERN_VERSION

from mcp_idp.cli.common.errors import ProviderError, ServerUnreachable

if TYPE_CHECKING:
    import httpx2

CLIENT_NAME = "mcp-idp login"


def discover_request() -> tuple[dict[str, Any], dict[str, str]]:
    """Returns the JSON-RPC body and the HTTP headers of a `server/discover` request (MCP 2026-07-28)."""
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


def check_response(response: httpx2.Response, url: str, *, logged_in: bool) -> None:
    """Checks that a response comes from a working MCP server. The caller handles 401 and 403 first.

    Args:
        response: The response to the `server/discover` request.
        url: The MCP server's URL.
        logged_in: Whether a login happened. Without one, 404, 405 and 421 mean that `url` is not an MCP server.

    Raises:
        ProviderError: The server cannot reach its identity provider (503).
        ServerUnreachable: There is no MCP server at `url`.
    """
    status = response.status_code
    if status == 503:  # noqa: PLR2004 - Service Unavailable
        raise ProviderError(
            "the server cannot validate tokens at the moment (503): it cannot reach its provider",
            "the server's log names the URL that it requests; set OAUTH_INTERNAL_URL to the URL at which the server "
            "reaches the provider",
        )
    if status >= 500 or (not logged_in and status in {404, 405, 421}):  # noqa: PLR2004 - server errors
        raise ServerUnreachable(
            f"what responds at {url} is not the MCP server ({status} {response.reason_phrase})",
            "use exactly the server's public URL, path included: its page at / shows it",
        )
