"""Timeouts of the doctor for the bootstrap: a check has one; a probe, which must clean up, has none.

The event loop's clock is moved forward while the bootstrap waits, so the tests do not wait.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from mcp_idp.cli.doctor.bootstrap_bridge import AdminCheckResult, ProbeResult, run_admin_check, run_probe

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from pathlib import Path

OWN = "https://login.example.com/realms/mcp"
DAY = 86_400  # seconds
# Signals its start, and prints its result on command.
PROGRAM = """
import socket
socket.create_connection(("127.0.0.1", {port})).recv(1)
print('{{"cases": [], "drift": [], "weaknesses": []}}')
"""


class Leaping(asyncio.SelectorEventLoop):
    """An event loop whose clock can be moved forward, in seconds."""

    ahead = 0.0

    def time(self) -> float:
        return super().time() + self.ahead


def _after_a_day(folder: Path, look: Callable[[Path], Coroutine[Any, Any, object]]) -> object:
    """Returns the result of `look` if the bootstrap takes a day."""
    program = folder / "bootstrap.py"

    async def wait() -> object:
        there: asyncio.Queue[asyncio.StreamWriter] = asyncio.Queue()
        async with await asyncio.start_server(lambda _, writer: there.put_nowait(writer), "127.0.0.1", 0) as door:
            program.write_text(PROGRAM.format(port=door.sockets[0].getsockname()[1]))
            looking = asyncio.ensure_future(look(program))
            bootstrap = await there.get()
            loop = asyncio.get_running_loop()
            assert isinstance(loop, Leaping)
            loop.ahead = DAY
            await asyncio.sleep(0)  # lets due callbacks run
            bootstrap.write(b".")
            seen = await looking
            bootstrap.close()
            return seen

    with asyncio.Runner(loop_factory=Leaping) as runner:
        return runner.run(wait())


def test_a_probe_that_takes_a_day_is_not_killed(tmp_path: Path) -> None:
    seen = _after_a_day(tmp_path, lambda program: run_probe({"OAUTH_SERVER_URL": OWN}, OWN, program=program))
    assert seen == ProbeResult()


def test_an_admin_check_that_takes_a_day_is_aborted(tmp_path: Path) -> None:
    seen = _after_a_day(tmp_path, lambda program: run_admin_check({}, program=program))
    assert seen == AdminCheckResult(fault="no answer within 120 s")
