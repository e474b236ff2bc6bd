"""The server with a file that says, once a second, what the process holds."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mcp_idp import run
from mcp_server.app import create_app

if TYPE_CHECKING:
    from starlette.types import ASGIApp

    from mcp_idp import Settings

_SECONDS = 1.0


def _usage() -> str:
    """Returns resident memory in KiB, open file descriptors and asyncio tasks."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    (resident,) = (line.split()[1] for line in status.splitlines() if line.startswith("VmRSS:"))
    return f"{resident} {len(os.listdir('/proc/self/fd'))} {len(asyncio.all_tasks())}"  # noqa: PTH208 - counted only


class _Reporter:
    """Writes the usage to a file while the application runs."""

    def __init__(self, app: ASGIApp, path: Path) -> None:
        self._app = app
        self._path = path

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            self._report(asyncio.get_running_loop())
        await self._app(scope, receive, send)

    def _report(self, loop: asyncio.AbstractEventLoop) -> None:
        loop.call_later(_SECONDS, self._report, loop)
        task = loop.create_task(self._write())
        task.add_done_callback(lambda done: done.result())

    async def _write(self) -> None:
        beside = self._path.with_suffix(".new")
        beside.write_text(_usage(), encoding="ascii")
        beside.replace(self._path)


def main(path: Path) -> int:
    """Serves until it is stopped; `path` is the file for the usage."""

    def create(settings: Settings) -> ASGIApp:
        return _Reporter(create_app(settings), path)

    return run(create)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
