"""An MCP server written with the SDK alone, behind `protect()`: `uvicorn docs.examples.sdk:app --port 3000`.

It takes the place of the stack's own server, which has to be stopped. At another port, set MCP_PUBLIC_URL to the URL
that clients use; with Keycloak elsewhere, OAUTH_SERVER_URL.
"""

import os

from mcp.server.auth.middleware.auth_context import get_access_token
from mcp.server.mcpserver import MCPServer

from mcp_idp import load_settings, protect

server = MCPServer("Orders")


@server.tool()
async def my_orders() -> str:
    """List the orders of the logged-in user."""
    token = get_access_token()  # the SDK's own; its `token` is no token: a token is not passed on
    return f"No orders of {token.subject if token else 'an unknown user'}"


# A tool that needs more than the base scope is named under `tools` in idp-config/access.yaml, and then all others too,
# with []: what is not there is refused.
app = protect(server, load_settings(os.environ))
