"""A call is counted until it ends, whether or not its client still waits, and ends when it takes too long."""

from __future__ import annotations

import asyncio
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest
from mcp.server.mcpserver import Context  # noqa: TC002 - the SDK reads the annotation of a tool

from mcp_idp.access.policy import AccessFileError
from mcp_idp.config.settings import Settings
from mcp_idp.mcp_protocol.registry import tool
from mcp_idp.util.memory_plan import DEFAULT_MAX_MEMORY
from mcp_server import tools
from mcp_server.app import create_app
from tests.support.access_files import access_file
from tests.support.app import running
from tests.support.mcp_calls import events, initialized, legacy_call

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    import httpx

    from tests.support.app import Running

pytestmark = pytest.mark.anyio
MIB = 1024 * 1024
REQUEST_TIMEOUT = -32001


class Holding:
    """Tools that end when they are let go: in the loop or in a thread, with a context (a stream) or without."""

    def __init__(self) -> None:
        self.started = asyncio.Semaphore(0)
        self.go = asyncio.Event()
        self.thread_started = threading.Event()
        self.thread_go = threading.Event()
        self.cancelled = 0

    async def hold(self) -> str:
        self.started.release()
        try:
            await self.go.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        return "done"


@pytest.fixture
def holding(monkeypatch: pytest.MonkeyPatch) -> Iterator[Holding]:
    state = Holding()

    @tool(title="Hold")
    async def hold(text: str = "") -> str:
        """Hold a text."""
        return await state.hold()

    @tool(title="Hold and report")
    async def hold_and_report(ctx: Context, text: str = "") -> str:
        """Hold a text in a tool that could report progress."""
        return await state.hold()

    @tool(title="Hold in a thread")
    def hold_in_thread(text: str = "") -> str:
        """Hold a text in a thread."""
        state.thread_started.set()
        state.thread_go.wait(30)
        return "done"

    for function in (hold, hold_and_report, hold_in_thread):
        monkeypatch.setattr(tools, function.__name__, function, raising=False)
    yield state
    state.thread_go.set()


async def percent(server: Running) -> int:
    """How much of the memory for requests is held."""
    used_percent: int = (await server.client.get("/readyz")).json()["memory_percent"]["requests"]
    return used_percent


async def settled(server: Running, expected: Callable[[int], bool]) -> int:
    """The same, as soon as it is as expected; else the test takes too long."""
    for _ in range(100_000):
        if expected(used_percent := await percent(server)):
            return used_percent
        await asyncio.sleep(0)  # nothing above yields to other tasks
    raise AssertionError(used_percent)


async def in_session(server: Running, subject: str, name: str, text: str) -> httpx.Response:
    session = await initialized(server, server.issuer.token(sub=subject))
    return await legacy_call(server, session, name, text=text)


async def in_session_stream(server: Running, subject: str, name: str, text: str) -> httpx.Response:
    session = await initialized(server, server.issuer.token(sub=subject))
    return await legacy_call(
        server, {**session, "mcp-protocol-version": "2025-03-26", "accept": "*/*"}, name, text=text
    )


async def modern(server: Running, subject: str, name: str, text: str) -> httpx.Response:
    return await server.call(name, server.issuer.token(sub=subject), {"text": text})


IN_EVERY_WAY = pytest.mark.parametrize(
    ("call", "name"),
    [
        (in_session, "hold"),
        (in_session_stream, "hold"),
        (in_session, "hold_and_report"),
        (modern, "hold"),
        (modern, "hold_and_report"),
    ],
    ids=["session", "stream", "session, telling", "modern", "modern, telling"],
)


async def test_a_call_in_a_session_is_counted_until_it_ends_after_its_client_has_left(holding: Holding) -> None:
    async with running(max_memory=DEFAULT_MAX_MEMORY) as server:
        left = asyncio.ensure_future(in_session(server, "ada", "hold_and_report", "a" * MIB))
        await holding.started.acquire()
        used_percent = await percent(server)
        left.cancel()
        with suppress(asyncio.CancelledError):
            await left
        for _ in range(5):
            assert await percent(server) == used_percent > 0
        holding.go.set()
        assert await settled(server, lambda now: now == 0) == 0
        assert holding.cancelled == 0


async def test_calls_of_disconnected_clients_are_cancelled_for_other_users(holding: Holding) -> None:
    async with running(max_memory=DEFAULT_MAX_MEMORY) as server:
        for _ in range(12):
            left = asyncio.ensure_future(in_session(server, "greedy", "hold_and_report", "a" * MIB))
            await holding.started.acquire()
            left.cancel()
            with suppress(asyncio.CancelledError):
                await left
        rejected = await in_session(server, "greedy", "hold_and_report", "a" * MIB)
        assert (rejected.status_code, rejected.json()["error"]) == (429, "too_many_requests")
        other = asyncio.ensure_future(in_session(server, "other", "hold_and_report", "a" * (2 * MIB)))
        await holding.started.acquire()
        assert holding.cancelled == 2
        holding.go.set()
        assert not events(await other)[-1]["result"]["isError"]


@pytest.mark.parametrize("seconds", [0, 60])
@IN_EVERY_WAY
async def test_the_largest_users_newest_calls_are_cancelled_with_an_error(
    holding: Holding, call: Any, name: str, seconds: int
) -> None:
    async with running(max_memory=DEFAULT_MAX_MEMORY, tool_timeout=seconds) as server:
        calls = []
        for _ in range(12):
            calls.append(asyncio.ensure_future(call(server, "greedy", name, "a" * MIB)))
            await holding.started.acquire()
        assert await percent(server) > 80
        other = asyncio.ensure_future(call(server, "other", name, "a" * (2 * MIB)))
        await holding.started.acquire()
        lost = [events(response)[-1] for response in await asyncio.gather(*calls[-2:])]
        assert [message["error"]["code"] for message in lost] == [-32029] * 2
        assert "use all the memory that one user may use" in lost[0]["error"]["message"]
        assert holding.cancelled == 2
        holding.go.set()
        for response in await asyncio.gather(other, *calls[:-2]):
            assert not events(response)[-1]["result"]["isError"]


@IN_EVERY_WAY
async def test_a_tool_that_does_not_end_is_cancelled_with_an_error(holding: Holding, call: Any, name: str) -> None:
    async with running(tool_timeout=0.05, max_memory=DEFAULT_MAX_MEMORY) as server:
        error = events(await call(server, "ada", name, "a"))[-1]["error"]
        assert error["code"] == REQUEST_TIMEOUT
        assert error["message"] == "The tool was cancelled: it did not end within 0.05 s."
        while not holding.cancelled:
            assert events(await call(server, "ada", "greet", "a"))[-1]["result"]
        assert holding.cancelled == 1


@pytest.mark.parametrize("call", [in_session, in_session_stream, modern])
async def test_a_tool_in_a_thread_times_out_and_is_counted_until_it_ends(holding: Holding, call: Any) -> None:
    async with running(tool_timeout=0.05, max_memory=DEFAULT_MAX_MEMORY) as server:
        response = await call(server, "ada", "hold_in_thread", "a" * MIB)
        assert events(response)[-1]["error"]["code"] == REQUEST_TIMEOUT
        assert holding.thread_started.is_set()
        assert await percent(server) > 0
        holding.thread_go.set()
        assert await settled(server, lambda now: now == 0) == 0


@pytest.mark.parametrize(
    ("setting", "declared", "listed", "ends"),
    [
        (0, None, None, False),
        (0.05, None, None, True),
        (0.05, 0, None, False),
        (0, 0.05, None, True),
        (0, 0.05, 0, False),
        (0, 60, 0.05, True),
        (60, None, 0.05, True),
        (0.05, 0.05, 0, False),
    ],
)
async def test_the_access_file_goes_before_the_tool_and_the_tool_before_the_setting(  # noqa: PLR0917 - a row's columns
    setting: float,
    declared: float | None,
    listed: float | None,
    ends: bool,  # noqa: FBT001 - a column
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    state = Holding()

    @tool(title="Hold", timeout=declared)
    async def hold() -> str:
        """Hold."""
        return await state.hold()

    monkeypatch.setattr(tools, "hold", hold, raising=False)
    async with running(
        tool_timeout=setting,
        access_file=access_file(tmp_path, tool_timeouts={} if listed is None else {"hold": listed}),
    ) as server:
        call = asyncio.ensure_future(server.call("hold", server.issuer.token()))
        await state.started.acquire()
        if not ends:
            for _ in range(10):
                await asyncio.sleep(0.01)
            state.go.set()
        message = (await call).json()
    assert ("error" in message, state.cancelled == 1) == (ends, ends)


@pytest.mark.parametrize(
    ("timeouts", "fault"),
    [
        ({"no_such_tool": 5}, "tool_timeouts.no_such_tool: there is no such tool"),
        ({"greet": -1}, "tool_timeouts.greet"),
        ({"greet": 1e9}, "tool_timeouts.greet"),
        ({"greet": float("inf")}, "tool_timeouts.greet"),
        ({"greet": "soon"}, "tool_timeouts.greet"),
        ({"greet": True}, "tool_timeouts.greet"),
    ],
)
def test_a_timeout_that_cannot_work_stops_the_start(timeouts: dict[str, Any], fault: str, tmp_path: Path) -> None:
    with pytest.raises(AccessFileError, match=fault):
        create_app(Settings(access_file=access_file(tmp_path, tool_timeouts=timeouts)))
