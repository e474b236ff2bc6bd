"""The demo tools: replace them with yours.

A tool is an async function with `@tool` (a plain one is run in a thread). Its docstring tells a model when to use it;
`current_principal()` says who is calling. A parameter of type `Context` is filled in by the SDK: it reports progress.
"""

from __future__ import annotations

from datetime import UTC, datetime
from math import isfinite
from typing import Annotated

import anyio
from mcp.server.mcpserver import Context
from pydantic import BaseModel, Field

from mcp_server.caller import current_principal
from mcp_server.registry import tool

_SECOND = 1.0


class CurrentTime(BaseModel):
    """The time now, in four spellings of the same moment."""

    current_time: str
    timezone: str
    timestamp: float
    formatted: str


class WhoAmI(BaseModel):
    """What the verified token says of its owner; never the token."""

    subject: str | None
    client: str | None
    scopes: list[str]
    expires_at: str | None


@tool(title="Greet somebody")
async def greet(name: Annotated[str, Field(max_length=200, description="Whom to greet")]) -> str:
    """Greet somebody by name."""
    return f"Hello, {name}!"


@tool(title="Count aloud")
async def count(
    number: Annotated[int, Field(ge=1, le=600, description="How far to count, one number a second")], ctx: Context
) -> str:
    """Count up to a number, one a second, and tell each as it comes."""
    for i in range(1, number + 1):
        await anyio.sleep(_SECOND)
        # A log line where the client takes them, progress where it asked: the SDK sends each only if it may.
        await ctx.session.send_log_message("info", f"Counted to {i}", related_request_id=ctx.request_id)
        await ctx.report_progress(i, number, f"Counted to {i}")
    return f"Counting to {number}"


@tool(title="Tell the time")
async def get_time() -> CurrentTime:
    """Tell the current time (UTC)."""
    now = datetime.now(UTC)
    return CurrentTime(
        current_time=now.isoformat(),
        timezone="UTC",
        timestamp=now.timestamp(),
        formatted=now.strftime("%Y-%m-%d %H:%M:%S"),
    )


@tool(title="Who am I?")
async def whoami() -> WhoAmI:
    """Tell who is logged in, through which client, with which scopes and until when."""
    principal = current_principal()
    ends = principal.expires_at
    return WhoAmI(
        subject=principal.subject,
        client=principal.client,
        scopes=sorted(principal.scopes),
        expires_at=datetime.fromtimestamp(ends, UTC).isoformat() if isfinite(ends) else None,
    )
