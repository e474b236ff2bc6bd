"""Runs the unmodified official TypeScript clients; a user logs in when they request it."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

TYPESCRIPT = Path(__file__).parents[1] / "clients" / "ts"


def install_typescript_clients(npm: str) -> None:
    """Installs the clients of the lock unless they are installed; one process at a time, and others wait.

    `npm ci` first deletes what is installed, also while another process uses it.

    Args:
        npm: the path of npm.
    """
    lock = (TYPESCRIPT / "package-lock.json").read_bytes()
    stamp = TYPESCRIPT / "node_modules" / ".installed"
    digest = hashlib.sha256(lock).hexdigest()
    with (TYPESCRIPT / "package-lock.json").open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        if not stamp.exists() or stamp.read_text(encoding="ascii") != digest:
            subprocess.run([npm, "ci"], cwd=TYPESCRIPT, check=True, capture_output=True, timeout=300)
            stamp.write_text(digest, encoding="ascii")


@dataclass
class Transcript:
    """The output of a client, one JSON object per line."""

    messages: list[dict[str, Any]]

    def all(self, name: str) -> list[Any]:
        return [line[name] for line in self.messages if name in line]

    def call(self, tool: str) -> dict[str, Any]:
        (line,) = (line for line in self.messages if line.get("tool") == tool)
        return line


def run_client(
    node: str, flavour: str, url: str, calls: list[Any], visit: Callable[[str], object], **environment: str
) -> Transcript:
    """Runs a client of `flavour` that makes `calls` at the server `url`; `visit` performs a login at a URL."""
    words = [node, "client.mjs", flavour, url, json.dumps(calls)]
    messages: list[dict[str, Any]] = []
    with subprocess.Popen(
        words, cwd=TYPESCRIPT, env={**os.environ, **environment}, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            messages.append(json.loads(line))
            if "authorize" in messages[-1]:
                visit(messages[-1]["authorize"])
    return Transcript(messages)
