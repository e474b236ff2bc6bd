"""A FastMCP server behind `protect()`. Run it with `uvicorn docs.examples.fastmcp_server:app --port 3000`."""

import os

from fastmcp import FastMCP

from mcp_idp import current_principal, load_settings, protect

server = FastMCP("Orders")


@server.tool  # type: ignore[untyped-decorator]  # where FastMCP is not installed
async def my_orders() -> str:
    """List the orders of the logged-in user."""
    return f"No orders of {current_principal().subject}"


# A tool that needs more than the base scope is named under `tools` in idp-config/access.yaml, and then all others too,
# with []: what is not there is refused. Of the search transform list search_tools, not call_tool, which runs any tool.
settings = load_settings(os.environ)
app = protect(server.http_app(path=settings.public_path), settings)
