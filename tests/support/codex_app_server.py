"""Lists or calls tools with Codex, without a model: `python codex_app_server.py SERVER [TOOL]`.

`codex app-server` speaks JSON-RPC on standard input and output, one object a line, as Codex's own editors use it.
"""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from typing import IO, Any

_CLIENT = {"clientInfo": {"name": "tests", "version": "1"}, "capabilities": {"experimentalApi": True}}


@dataclass(slots=True)
class AppServer:
    """A connection to a running app-server."""

    requests: IO[str]
    responses: IO[str]
    last: int = 0

    def ask(self, method: str, **parameters: object) -> dict[str, Any]:
        """Sends a request and returns its response; accepts whatever the app-server asks meanwhile."""
        self.last += 1
        self._send(id=self.last, method=method, params=parameters)
        for line in self.responses:
            message: dict[str, Any] = json.loads(line)
            if "method" not in message and message.get("id") == self.last:
                return message
            if "method" in message and "id" in message:
                self._send(id=message["id"], result={"action": "accept", "content": {}})
        raise EOFError(method)

    def notify(self, method: str) -> None:
        """Sends a notification."""
        self._send(method=method)

    def _send(self, **message: object) -> None:
        self.requests.write(json.dumps(message) + "\n")
        self.requests.flush()


def run(server: AppServer, name: str, tool: str | None) -> dict[str, Any]:
    """Returns the response to a tool call at the MCP server `name`, or the state of all servers with their tools."""
    server.ask("initialize", **_CLIENT)
    server.notify("initialized")
    if tool is None:
        return server.ask("mcpServerStatus/list")
    thread = server.ask("thread/start", cwd="/")["result"]["thread"]["id"]
    return server.ask("mcpServer/tool/call", threadId=thread, server=name, tool=tool, arguments={})


def main(name: str, tool: str | None = None) -> int:
    """Prints the response as JSON; returns 1 if it is an error."""
    with subprocess.Popen(
        ("codex", "app-server"), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            response = run(AppServer(process.stdin, process.stdout), name, tool)
        finally:
            process.terminate()
    sys.stdout.write(json.dumps(response) + "\n")
    return int("error" in response or response["result"].get("isError") is True)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
