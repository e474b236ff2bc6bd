"""A FastMCP server behind `protect()`. Run it with `uvicorn docs.examples.fastmcp_server:app --port 3000`."""

import os

from fastmcp import FastMCP

from mcp_idp import current_principal, load_settings, protect

server = FastMCP("Orders")


@server.tool
async def my_orders() -> str:
    """List the orders of the logged-in user."""
    return f"No orders of {current_principal().subject}"


# List a tool that requires more than the base scope under `tools` in idp-config/access.yaml. Then list all others too,
# with []: unlisted tools are rejected. A tool that a listed tool runs requires the scopes of its own entry.
app = protect(server, load_settings(os.environ))
