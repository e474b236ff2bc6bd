"""The demo's own MCP server, for where there is no checkout: `python -m mcp_idp.cli.demo.server`.

It is a typical server: functions with decorators, by the public names of the library alone.
"""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from mcp_idp import create_server, current_principal, run, tool

if TYPE_CHECKING:
    from starlette.types import ASGIApp

    from mcp_idp import Settings

_MAX_NOTES = 20
_MAX_CHARACTERS = 500
_notes: dict[tuple[str, str | None], list[str]] = {}  # by issuer and subject, for the length of the demo


@tool(title="Who am I?")
async def whoami() -> str:
    """Return the user who is logged in, the client, and the scopes."""
    principal = current_principal()
    scopes = " ".join(sorted(principal.scopes))
    return f"subject {principal.subject}, client {principal.client}, scopes {scopes}"


@tool(title="Greet someone")
async def greet(name: str) -> str:
    """Greet someone by name."""
    return f"Hello, {name[:_MAX_CHARACTERS]}!"


@tool(title="Tell the time")
async def get_time() -> str:
    """Tell the current time (UTC)."""
    return datetime.now(UTC).isoformat(timespec="seconds")


@tool(title="Read my notes", scope="mcp:notes.read")
async def list_notes() -> list[str]:
    """Read the notes of the logged-in user."""
    principal = current_principal()
    return _notes.get((principal.issuer, principal.subject), [])


@tool(title="Write a note", scope="mcp:notes.write")
async def add_note(text: str) -> str:
    """Add a note for the logged-in user."""
    principal = current_principal()
    own = _notes.setdefault((principal.issuer, principal.subject), [])
    if len(own) >= _MAX_NOTES or len(text) > _MAX_CHARACTERS:
        return f"not written: at most {_MAX_NOTES} notes of {_MAX_CHARACTERS} characters"
    own.append(text)
    return f"{len(own)} of {_MAX_NOTES} notes"


def create_app(settings: Settings) -> ASGIApp:
    """Creates the server's ASGI application."""
    return create_server(settings, [sys.modules[__name__]])


if __name__ == "__main__":
    sys.exit(run(create_app))
