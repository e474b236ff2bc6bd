"""A FastMCP server behind `protect()`. Run it with `uvicorn docs.examples.fastmcp_server:app --port 3000`."""

import os

from fastmcp import FastMCP

from mcp_idp import current_principal, load_settings, protect

server = FastMCP("Orders")


@server.tool
async def my_orders() -> str:
    """List the orders of the logged-in user."""
    return f"No orders of {current_principal().subject}"


# A tool that needs more than the base scope is named under `tools` in idp-config/access.yaml, and then all others too,
# with []: what is not there is refused, and what a listed tool runs is judged by its own entry.
app = protect(server, load_settings(os.environ))
