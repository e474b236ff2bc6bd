"""Runs the parts in sequence, on the same kind of event loop as the server."""

from __future__ import annotations

import asyncio
import os
import sys
import warnings
from contextlib import redirect_stderr
from pathlib import Path
from typing import TYPE_CHECKING

from mcp.shared.exceptions import MCPDeprecationWarning

from mcp_idp.observability.logging import configure_logging

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from bench.results import Figure, SampleSize

    Part = Callable[[SampleSize], Awaitable[list[Figure]]]

if sys.platform == "win32":
    new_event_loop = asyncio.new_event_loop
else:
    from uvloop import new_event_loop


def run(parts: Sequence[Part], sample_size: SampleSize) -> list[Figure]:
    """Runs the parts and returns their figures in order; prints each part's name on standard error.

    Call it once per process, because the log's destination cannot be changed later.
    """
    warnings.simplefilter("ignore", MCPDeprecationWarning)
    terminal = sys.stderr
    figures = []
    # Logging is part of the measurement, for references too, so the log is written but discarded.
    with Path(os.devnull).open("w") as nowhere, redirect_stderr(nowhere):
        configure_logging("json", "info")
        with asyncio.Runner(loop_factory=new_event_loop) as runner:
            for part in parts:
                print(f"bench: {part.__name__}", file=terminal)
                figures += runner.run(_figures(part, sample_size))
    return figures


async def _figures(part: Part, sample_size: SampleSize) -> list[Figure]:
    return await part(sample_size)
