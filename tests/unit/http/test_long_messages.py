"""Long messages are parsed one at a time, users in turn; short ones do not wait for them."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from mcp_idp.errors import InvalidBody
from mcp_idp.http.body import LONG_BYTES
from mcp_idp.http.long_messages import LongMessages
from mcp_idp.util.request_memory import RequestMemory

if TYPE_CHECKING:
    from starlette.types import Message

pytestmark = pytest.mark.anyio
SHORT = b'{"id": 1}'
LONG = b'{"text": "' + b"x" * LONG_BYTES + b'"}'


async def never() -> Message:
    raise AssertionError("the body was not yielded")


class Application:
    """Applications that read a body and then wait, as an application does that calls a tool."""

    def __init__(self) -> None:
        self.messages = LongMessages()
        self.read: list[str] = []
        self.go_on = asyncio.Event()
        self._changed = asyncio.Condition()

    async def serve(self, user: str, body: bytes = LONG) -> None:
        receive = self.messages.replay(body, never, user)
        assert (await receive())["body"] == body
        self.read.append(user)
        async with self._changed:
            self._changed.notify_all()
        await self.go_on.wait()

    async def until_read(self, *users: str) -> None:
        async with self._changed:
            await self._changed.wait_for(lambda: set(users) <= set(self.read))

    def begin(self, *users: str, body: bytes = LONG) -> list[asyncio.Task[None]]:
        return [asyncio.create_task(self.serve(user, body)) for user in users]


async def settle() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


async def test_users_take_turns_and_a_step_does_not_wait_for_the_end_of_a_call() -> None:
    application = Application()
    tasks = application.begin("a", "a", "a", "b", "c")
    await application.until_read("b", "c")
    assert application.read.count("a") < 3
    application.go_on.set()
    await asyncio.gather(*tasks)


async def test_a_short_message_does_not_wait_for_long_ones() -> None:
    application = Application()
    async with asyncio.timeout(60):
        parsing = asyncio.create_task(application.messages.parse(LONG, "a", RequestMemory(2**30).share()))
        tasks = application.begin("a", "b")
        short = application.begin("c", body=SHORT)
        assert await application.messages.parse(SHORT, "d", RequestMemory(2**30).share()) == {"id": 1}
        await application.until_read("c")
        assert set(application.read) == {"c"}
        application.go_on.set()
        await asyncio.gather(parsing, *tasks, *short)


async def test_only_one_long_message_is_parsed_at_a_time() -> None:
    messages, shares = LongMessages(), [RequestMemory(2**30).share() for _ in range(3)]
    tasks = [asyncio.create_task(messages.parse(LONG, name, share)) for name, share in zip("abc", shares, strict=True)]
    await settle()
    assert sum(share.size > 0 for share in shares) == 1  # memory for its values is reserved when its turn comes
    assert [found["text"] for found in await asyncio.gather(*tasks)] == ["x" * LONG_BYTES] * 3


@pytest.mark.parametrize("steps", [0, 1, 2, 3, 5])
async def test_who_leaves_gives_up_the_turn(steps: int) -> None:
    application = Application()
    first, second, third = application.begin("a", "b", "c")
    for _ in range(steps):
        await asyncio.sleep(0)
    first.cancel()
    second.cancel()
    await application.until_read("c")
    application.go_on.set()
    await asyncio.gather(first, second, third, return_exceptions=True)


async def test_a_message_that_is_rejected_gives_up_the_turn() -> None:
    messages = LongMessages()
    for _ in range(3):
        with pytest.raises(InvalidBody):
            await messages.parse(b"[" + LONG + b"]", "a", RequestMemory(2**30).share())
    assert await messages.parse(LONG, "b", RequestMemory(2**30).share())
