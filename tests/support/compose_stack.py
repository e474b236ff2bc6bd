"""The compose stack as a user has it, under a project name and on ports of its own."""

from __future__ import annotations

import json
import os
import secrets
import socket
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).parents[2]


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@dataclass(frozen=True)
class Stack:
    """One project. Nothing is set but the ports, so that it can run beside a developer's own.

    Attributes:
        variables: for every command, such as COMPOSE_FILE.
        patience: seconds that one command of compose may take.
    """

    project: str = field(default_factory=lambda: f"test-{secrets.token_hex(3)}")
    mcp_port: int = field(default_factory=free_port)
    keycloak_port: int = field(default_factory=free_port)
    variables: dict[str, str] = field(default_factory=dict)
    patience: int = 500

    @property
    def url(self) -> str:
        return f"http://localhost:{self.mcp_port}/mcp"

    @property
    def issuer(self) -> str:
        return f"http://localhost:{self.keycloak_port}/realms/mcp"

    def compose(
        self, *words: str, check: bool = True, stdin: str | None = None, **variables: str
    ) -> subprocess.CompletedProcess[str]:
        """Run `docker compose` with these words and variables, without a developer's .env; `stdin` is its input."""
        ports = {"MCP_PORT": str(self.mcp_port), "KEYCLOAK_PORT": str(self.keycloak_port)}
        ended = subprocess.run(
            ["docker", "compose", "--env-file", os.devnull, "--project-name", self.project, *words],
            cwd=REPOSITORY,
            env={**os.environ, **ports, **self.variables, **variables},
            input=stdin,
            capture_output=True,
            text=True,
            timeout=self.patience,
            check=False,
        )
        assert not check or ended.returncode == 0, f"{words}\n{ended.stdout}\n{ended.stderr}"
        # Some versions of compose clear a line even where nobody looks on.
        ended.stdout = ended.stdout.replace("\x1b[2K", "")
        return ended

    def containers(self) -> list[dict[str, Any]]:
        """What `docker inspect` says of every container of the project."""
        ids = self.compose("ps", "--all", "--quiet").stdout.split()
        inspected = subprocess.run(["docker", "inspect", *ids], capture_output=True, check=True)
        found: list[dict[str, Any]] = json.loads(inspected.stdout)
        return found

    def log_in(
        self, user: str, *words: str, password: str | None = None, **variables: str
    ) -> tuple[int, dict[str, Any]]:
        """`./scripts/login --headless --json` on this machine: its exit code and what it found."""
        ended = subprocess.run(
            ["./scripts/login", "--headless", "--user", user, "--url", self.url, "--json", *words],
            cwd=REPOSITORY,
            env={**os.environ, "MCP_PASSWORD": password or user, "OAUTH_SERVER_URL": self.issuer, **variables},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert ended.stdout, ended.stderr
        return ended.returncode, json.loads(ended.stdout)


def greeting(token: str) -> dict[str, Any]:
    """A call of the tool `greet`, stateless, as the parameters of a request."""
    meta = {"io.modelcontextprotocol/protocolVersion": "2026-07-28", "io.modelcontextprotocol/clientCapabilities": {}}
    call = earlier_greeting(token)
    call["json"]["params"]["_meta"] = meta
    call["headers"] |= {"mcp-protocol-version": "2026-07-28", "mcp-method": "tools/call", "mcp-name": "greet"}
    return call


def earlier_greeting(token: str) -> dict[str, Any]:
    """The same in an earlier revision of the protocol, without a session."""
    return {
        "json": {
            "jsonrpc": "2.0",
            "id": 1,
            "method": "tools/call",
            "params": {"name": "greet", "arguments": {"name": "Ada"}},
        },
        "headers": {
            "authorization": f"Bearer {token}",
            "accept": "application/json, text/event-stream",
            "mcp-protocol-version": "2025-11-25",
        },
    }
