"""How each client is told about this server: the one place that knows, for `GET /` and the guides."""

from __future__ import annotations

import json
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Snippet:
    """What to type or save for one client."""

    client: str
    where: str
    text: str


def snippets(public_url: str, name: str = "demo") -> tuple[Snippet, ...]:
    """For each client, what makes it use the server at `public_url`; `name` is what the client calls it."""
    vscode = {"servers": {name: {"type": "http", "url": public_url}}}
    cursor = {"mcpServers": {name: {"url": public_url}}}
    return (
        Snippet("VS Code", "save as .vscode/mcp.json, then click Start above the entry", json.dumps(vscode, indent=2)),
        Snippet(
            "Claude Code",
            "in a terminal, then /mcp in Claude Code to log in",
            f"claude mcp add --transport http {name} {public_url}",
        ),
        Snippet("Cursor", "save as .cursor/mcp.json", json.dumps(cursor, indent=2)),
        Snippet(
            "MCP Inspector",
            "choose Streamable HTTP, paste the URL, connect",
            f"npx @modelcontextprotocol/inspector   # URL: {public_url}",
        ),
        Snippet("curl", "shows the challenge that starts a login", f"curl -i {public_url}"),
    )
