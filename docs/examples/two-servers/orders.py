"""The MCP server `orders` of the example: `ACCESS_FILE=orders.access.yaml python orders.py`."""

import sys
from typing import TYPE_CHECKING

from mcp_idp import create_server, current_principal, run, tool

if TYPE_CHECKING:
    from starlette.types import ASGIApp

    from mcp_idp import Settings


@tool(title="List orders")
async def list_orders() -> str:
    """List the caller's orders."""
    return f"No orders of {current_principal().subject} yet."


@tool(title="Place an order", scope="orders.write", read_only=False)
async def place_order(item: str) -> str:
    """Place an order."""
    return f"Ordered: {item}"


def create_app(settings: "Settings") -> "ASGIApp":
    """Assemble the server from the tools in this file."""
    return create_server(settings, [sys.modules[__name__]])


if __name__ == "__main__":
    sys.exit(run(create_app))
