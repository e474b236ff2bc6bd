"""Runs the unmodified official TypeScript clients; a user logs in when they request it."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.support.npm_packages import install_packages

if TYPE_CHECKING:
    from collections.abc import Callable

TYPESCRIPT = Path(__file__).parents[1] / "clients" / "ts"


def install_typescript_clients(npm: str) -> None:
    """Installs the clients of the lock unless they are installed; `npm` is the path of npm."""
    install_packages(TYPESCRIPT, npm, "ci")


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
