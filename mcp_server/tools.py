"""The demo tools: replace them with your own.

A tool is an async function decorated with `@tool` (a function that is not async runs in a thread). Its docstring tells
the model when to use it, `scope` names the scopes that a call requires in addition to the base scope, and
`current_principal()` returns the caller. The SDK passes a `Context` to a parameter of that type; it reports progress
and gives access to the `State`.
"""

from __future__ import annotations

import operator
from datetime import UTC, datetime
from math import isfinite
from typing import Annotated, Literal

import anyio
from mcp.server.mcpserver import Context
from mcp.server.mcpserver.exceptions import ToolError
from mcp_types import CallToolResult, TextContent
from pydantic import BaseModel, Field

from mcp_idp import current_principal, tool
from mcp_server.demo.notes import NoteRejected
from mcp_server.demo.state import State

_SECOND = 1.0
_OPERATIONS = {"add": operator.add, "subtract": operator.sub, "multiply": operator.mul, "divide": operator.truediv}


class CurrentTime(BaseModel):
    """The current time in four formats."""

    current_time: str
    timezone: str
    timestamp: float
    formatted: str


class WhoAmI(BaseModel):
    """Claims of the verified token, never the token itself."""

    subject: str | None
    client: str | None
    scopes: list[str]
    expires_at: str | None


class Weather(BaseModel):
    """The weather at a location."""

    location: str
    condition: str
    temperature_celsius: int


class NoteCount(BaseModel):
    """The number of stored notes, and of users with notes."""

    users: int
    notes: int


@tool(title="Greet")
async def greet(name: Annotated[str, Field(max_length=200, description="The name to greet")]) -> str:
    """Greet a person by name."""
    return f"Hello, {name}!"


@tool(title="Count")
async def count(
    number: Annotated[int, Field(ge=1, le=600, description="The number to count to, one per second")], ctx: Context
) -> str:
    """Count up to a number, one per second, and report each as progress."""
    for i in range(1, number + 1):
        await anyio.sleep(_SECOND)
        # The SDK sends the log message only to clients that accept them, and progress only if the client requested it.
        await ctx.session.send_log_message("info", f"Counted to {i}", related_request_id=ctx.request_id)
        await ctx.report_progress(i, number, f"Counted to {i}")
    return f"Counting to {number}"


@tool(title="Get the time")
async def get_time() -> CurrentTime:
    """Return the current time (UTC)."""
    now = datetime.now(UTC)
    return CurrentTime(
        current_time=now.isoformat(),
        timezone="UTC",
        timestamp=now.timestamp(),
        formatted=now.strftime("%Y-%m-%d %H:%M:%S"),
    )


@tool(title="Who am I?")
async def whoami() -> WhoAmI:
    """Return the logged-in user, the client, the scopes and the expiry of the token."""
    principal = current_principal()
    ends = principal.expires_at
    return WhoAmI(
        subject=principal.subject,
        client=principal.client,
        scopes=sorted(principal.scopes),
        expires_at=datetime.fromtimestamp(ends, UTC).isoformat() if isfinite(ends) else None,
    )


@tool(title="Calculate")
async def calculator(
    operation: Literal["add", "subtract", "multiply", "divide"],
    a: Annotated[float, Field(allow_inf_nan=False)],
    b: Annotated[float, Field(allow_inf_nan=False)],
) -> CallToolResult:
    """Add, subtract, multiply or divide two numbers."""
    try:
        result = _OPERATIONS[operation](a, b)
    except ZeroDivisionError:
        return _text_result("Error: Division by zero", error=True)
    if not isfinite(result):
        return _text_result("Error: The result is too large", error=True)
    return _text_result(f"Result of {operation} {a:.15g} and {b:.15g}: {result:.15g}")


@tool(title="Get the weather")
async def weather(location: Annotated[str, Field(max_length=200, description="The location")]) -> Weather:
    """Return the weather at a location (made up: it is the same everywhere)."""
    return Weather(location=location, condition="sandstorm", temperature_celsius=20)


@tool(title="List your notes", scope="mcp:notes.read", streaming=False)
async def note_list(ctx: Context[State]) -> list[str]:
    """List the notes of the logged-in user, oldest first."""
    return _state(ctx).notes.list_for(current_principal())


@tool(title="Add a note", scope="mcp:notes.write", read_only=False, streaming=False)
async def note_add(
    text: Annotated[str, Field(min_length=1, max_length=2000, description="What to remember")], ctx: Context[State]
) -> str:
    """Store a note for the logged-in user."""
    try:
        number = _state(ctx).notes.add(current_principal(), text)
    except NoteRejected as reason:
        raise ToolError(f"the note was not stored: {reason}") from None
    return f"Stored as note {number}"


@tool(title="Count all notes", scope="mcp:admin", streaming=False)
async def note_count(ctx: Context[State]) -> NoteCount:
    """Return the number of users with notes and of all notes, without their content."""
    users, notes = _state(ctx).notes.counts()
    return NoteCount(users=users, notes=notes)


def _state(ctx: Context[State]) -> State:
    return ctx.request_context.lifespan_context


def _text_result(text: str, *, error: bool = False) -> CallToolResult:
    """Returns a text result; raising `ToolError` would prepend the tool's name."""
    return CallToolResult(content=[TextContent(type="text", text=text)], is_error=error)
