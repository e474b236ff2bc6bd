"""Every part, one after the other, on the event loop that the server runs on."""

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
    """The figures of all parts, in their order; says on standard error which part is under way.

    Once in a process: our log keeps writing to where it was told to at first.
    """
    warnings.simplefilter("ignore", MCPDeprecationWarning)
    terminal = sys.stderr
    figures = []
    # The log is part of what is measured, that of references too; nobody wants to read it.
    with Path(os.devnull).open("w") as nowhere, redirect_stderr(nowhere):
        configure_logging("json", "info")
        with asyncio.Runner(loop_factory=new_event_loop) as runner:
            for part in parts:
                print(f"bench: {part.__name__}", file=terminal)
                figures += runner.run(_figures(part, sample_size))
    return figures


async def _figures(part: Part, sample_size: SampleSize) -> list[Figure]:
    return await part(sample_size)
