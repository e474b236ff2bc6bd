"""The compose stack with default settings, under a project name and ports of its own."""

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
    """Returns a free port."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@dataclass(frozen=True)
class Stack:
    """A compose project. Only the ports are set, so that it can run next to a developer's own stack.

    Attributes:
        variables: environment variables of every command, such as COMPOSE_FILE.
        patience: the timeout of a compose command in seconds.
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
        """Runs `docker compose` with these arguments and variables and the given input, ignoring a developer's .env."""
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
        # Some versions of compose write escape sequences even without a terminal.
        ended.stdout = ended.stdout.replace("\x1b[2K", "")
        return ended

    def containers(self) -> list[dict[str, Any]]:
        """Returns the output of `docker inspect` for every container of the project."""
        ids = self.compose("ps", "--all", "--quiet").stdout.split()
        inspected = subprocess.run(["docker", "inspect", *ids], capture_output=True, check=True)
        found: list[dict[str, Any]] = json.loads(inspected.stdout)
        return found

    def log_in(
        self, user: str, *words: str, password: str | None = None, **variables: str
    ) -> tuple[int, dict[str, Any]]:
        """Runs `./scripts/login --headless --json` on this machine; returns exit code and result."""
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
    """Returns the parameters of a request that calls the tool `greet`, stateless."""
    meta = {"io.modelcontextprotocol/protocolVersion": "2026-07-28", "io.modelcontextprotocol/clientCapabilities": {}}
    call = earlier_greeting(token)
    call["json"]["params"]["_meta"] = meta
    call["headers"] |= {"mcp-protocol-version": "2026-07-28", "mcp-method": "tools/call", "mcp-name": "greet"}
    return call


def earlier_greeting(token: str) -> dict[str, Any]:
    """Returns the same call in an earlier protocol revision, without a session."""
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
