"""Instructions for adding this server to each MCP client: the single source for the landing page and the guides."""

from __future__ import annotations

import json
from base64 import b64encode
from dataclasses import dataclass
from urllib.parse import quote


@dataclass(frozen=True, slots=True)
class Snippet:
    """How to add the server to one client.

    Attributes:
        client: the client's name.
        instructions: what to do with `text`.
        text: a command or the content of a configuration file.
        link: a URL that opens the client, which then offers to add the server; None if the client has no such link.
    """

    client: str
    instructions: str
    text: str
    link: str | None = None


def client_snippets(public_url: str, name: str = "demo") -> tuple[Snippet, ...]:
    """Returns a snippet for each client.

    Args:
        public_url: the URL of the MCP endpoint.
        name: the name of the server in the client's configuration.
    """
    vscode = {"type": "http", "url": public_url}
    cursor = {"url": public_url}
    remote = {"command": "npx", "args": ["mcp-remote", public_url]}
    return (
        Snippet(
            "VS Code",
            "save as .vscode/mcp.json, then click Start above the entry",
            json.dumps({"servers": {name: vscode}}, indent=2),
            vscode_link(name, vscode),
        ),
        Snippet(
            "Claude Code",
            "in a terminal, then /mcp in Claude Code to log in",
            f"claude mcp add --transport http {name} {public_url}",
        ),
        Snippet(
            "Cursor",
            "save as .cursor/mcp.json",
            json.dumps({"mcpServers": {name: cursor}}, indent=2),
            cursor_link(name, cursor),
        ),
        Snippet("Codex", "in a terminal; it finds the login by itself", f"codex mcp add {name} --url {public_url}"),
        Snippet(
            "MCP Inspector",
            "choose Streamable HTTP, paste the URL, connect",
            f"npx @modelcontextprotocol/inspector   # URL: {public_url}",
        ),
        Snippet(
            "mcp-remote",
            "for programs that can only start a server as a command",
            json.dumps({"mcpServers": {name: remote}}, indent=2),
        ),
        Snippet("curl", "shows the challenge that starts a login", f"curl -i {public_url}"),
    )


def vscode_link(name: str, server: dict[str, str]) -> str:
    """Returns the link that adds a server to VS Code: name and entry as one JSON object, percent-encoded.

    Source: VS Code, "MCP developer guide", section "MCP URL handler".

    Args:
        name: the name of the server in VS Code.
        server: the server's entry in `mcp.json`.
    """
    return f"vscode:mcp/install?{quote(_compact({'name': name, **server}), safe='')}"


def cursor_link(name: str, server: dict[str, str]) -> str:
    """Returns the link that adds a server to Cursor: the entry as JSON in base64.

    The base64 text is percent-encoded, because in a query "+" stands for a space. Source: Cursor, "MCP Install Links".

    Args:
        name: the name of the server in Cursor.
        server: the server's entry in `mcp.json`.
    """
    config = b64encode(_compact(server).encode()).decode("ascii")
    return f"cursor://anysphere.cursor-deeplink/mcp/install?name={quote(name, safe='')}&config={quote(config, safe='')}"


def _compact(document: dict[str, str]) -> str:
    return json.dumps(document, separators=(",", ":"))
