"""`./scripts/bench`: measure, print, and write `bench/RESULTS.md`.

Exit codes: 0 measured; 1 with --quick, a figure misses its goal by more than its slack.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import warnings
from contextlib import redirect_stderr
from pathlib import Path

from mcp.shared.exceptions import MCPDeprecationWarning

from bench.figures import Effort, Figure, refusals, throughput, verification
from bench.keys import flood, stalls
from bench.report import markdown, text_table
from bench.sockets import over_http
from mcp_server.logs import configure_logs

if sys.platform == "win32":
    new_event_loop = asyncio.new_event_loop
else:
    from uvloop import new_event_loop

RESULTS = Path(__file__).with_name("RESULTS.md")
_FULL = Effort(rounds=300, renewals=15)
_QUICK = Effort(rounds=40, renewals=2)
_PARTS = (throughput, refusals, verification, stalls, flood)


async def run(effort: Effort, *, http: bool) -> list[Figure]:
    """Every figure, in the order of the table."""
    over_sockets = await over_http(effort) if http else []  # first: what needs processes fails soonest
    figures = []
    for part in _PARTS:
        figures += await part(effort)
    return figures + over_sockets


def main() -> int:
    """Measure as the command line says. What to exit with."""
    parser = argparse.ArgumentParser(prog="scripts/bench", description="Ratios, measured in one run.")
    parser.add_argument("--quick", action="store_true", help="under a minute; writes nothing; fails on a large loss")
    parser.add_argument("--http", action="store_true", help="also over sockets on 127.0.0.1")
    options = parser.parse_args()
    warnings.simplefilter("ignore", MCPDeprecationWarning)
    with Path(os.devnull).open("w") as nowhere, asyncio.Runner(loop_factory=new_event_loop) as runner:
        with redirect_stderr(nowhere):  # the log is part of what is measured; nobody wants to read it
            configure_logs("json", "info")
        figures = runner.run(run(_QUICK if options.quick else _FULL, http=options.http))
    print(text_table(figures))
    if not options.quick:
        RESULTS.write_text(markdown(figures), encoding="utf-8")
        return 0
    lost = [f.name for f in figures if f.goal is not None and not f.goal.tolerates(f.value.median)]
    for name in lost:
        print(f"bench: {name}: worse than its goal by more than the slack", file=sys.stderr)
    return 1 if lost else 0


if __name__ == "__main__":
    sys.exit(main())
