"""A user who calls a tool at a steady rate, in a process of its own, and what each call took."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from statistics import quantiles
from typing import TYPE_CHECKING

from mcp_idp.testing.corpus.model import call
from tests.support.compose_stack import REPOSITORY
from tests.support.memory_floods import Target

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.raw_http import Connection

_PAUSE_SECONDS = 0.02
_PRIORITY = -10  # before the flood, with which it shares a processor; needs the rights of root


@dataclass
class SteadyCaller:
    """The calls of a user: each a line `[time, milliseconds, status]`; status 0 if there was no response."""

    file: Path

    def calls(self, since: float, until: float) -> list[tuple[float, int]]:
        """Returns milliseconds and status of each call that began in this time (`time.time`)."""
        lines = [json.loads(line) for line in self.file.read_text(encoding="ascii").splitlines() if line.endswith("]")]
        return [(milliseconds, status) for began, milliseconds, status in lines if since <= began < until]


def percentile_99(calls: list[tuple[float, int]]) -> float:
    """Returns the 99th percentile in milliseconds, or the maximum of very few calls."""
    measured = [milliseconds for milliseconds, _ in calls]
    return quantiles(measured, n=100, method="inclusive")[-1] if len(measured) > 1 else max(measured, default=0.0)


@contextmanager
def calling(target: Target, file: Path, *, processor: int | None = None) -> Iterator[SteadyCaller]:
    """Calls as `target.other` until the end, on this processor only if it is given."""
    words = [target.address[0], str(target.address[1]), target.host.decode(), str(file), str(processor or 0)]
    command = [sys.executable, "-m", "tests.support.steady_caller", *words]
    environment = {**os.environ, "TOKEN": target.other}
    process = subprocess.Popen(command, cwd=REPOSITORY, env=environment, stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None
        process.stdout.readline()  # it calls
        yield SteadyCaller(file)
    finally:
        process.terminate()
        process.communicate(timeout=30)


def main(host: str, port: str, name: str, path: str, processor: str) -> None:
    """Calls until the process is ended, on one connection for as long as it lasts, as MCP clients do."""
    if int(processor):
        os.sched_setaffinity(0, {int(processor)})
    with suppress(PermissionError):
        os.setpriority(os.PRIO_PROCESS, 0, _PRIORITY)
    target = Target((host, int(port)), name.encode(), "", os.environ["TOKEN"])
    request = target.to_bytes(call(target.other))
    connection: Connection | None = None
    with open(path, "w", encoding="ascii", buffering=1) as file:  # noqa: PTH123 - line by line
        first = True
        while True:
            began, clock = time.time(), time.perf_counter()
            status = 0
            try:
                connection = connection or target.connect()
                status = connection.send(request).read_response().status
            except (OSError, IndexError, ValueError):
                connection = None
            milliseconds = 1000 * (time.perf_counter() - clock)
            file.write(json.dumps([began, round(milliseconds, 3), status]) + "\n")
            if first:
                print(flush=True)  # noqa: T201 - tells `calling` that the calls have begun
                first = False
            time.sleep(_PAUSE_SECONDS)


if __name__ == "__main__":
    main(*sys.argv[1:])
