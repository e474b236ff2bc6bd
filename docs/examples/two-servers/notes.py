"""The MCP server `notes` of the example: `ACCESS_FILE=notes.access.yaml python notes.py`."""

import sys
from typing import TYPE_CHECKING

from mcp_idp import create_server, current_principal, run, tool

if TYPE_CHECKING:
    from starlette.types import ASGIApp

    from mcp_idp import Settings


@tool(title="List notes")
async def list_notes() -> str:
    """List the caller's notes."""
    return f"No notes of {current_principal().subject} yet."


@tool(title="Write a note", scope="notes.write", read_only=False)
async def write_note(text: str) -> str:
    """Write a note."""
    return f"Noted: {text}"


def create_app(settings: "Settings") -> "ASGIApp":
    """Assemble the server from the tools in this file."""
    return create_server(settings, [sys.modules[__name__]])


if __name__ == "__main__":
    sys.exit(run(create_app))
