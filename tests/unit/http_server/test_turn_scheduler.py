"""The turn scheduler by itself, and in the server: one client's thousand requests do not delay another user's."""

from __future__ import annotations

from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING

import pytest

from mcp_idp.http_server.limits import HttpLimits
from mcp_idp.http_server.turn_scheduler import TurnScheduler
from tests.support.raw_http import HOST, served

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.raw_http import Connection, Served

GET = b"GET /%s HTTP/1.1\r\n" + HOST + b"\r\n"


class Turns:
    """The part of an event loop that the queue uses; `run` runs one turn."""

    def __init__(self) -> None:
        self.scheduled: list[Callable[[], object]] = []

    def call_soon(self, call: Callable[..., object], *args: object) -> None:
        self.scheduled.append(lambda: call(*args))

    def run(self) -> None:
        scheduled, self.scheduled = self.scheduled, []
        for each in scheduled:
            each()


def full_turn(turns: Turns, per_turn: int) -> TurnScheduler:
    scheduler = TurnScheduler(per_turn)
    assert [scheduler.begin_now(turns) for _ in range(per_turn + 1)] == [True] * per_turn + [False]  # type: ignore[arg-type]
    return scheduler


def test_owners_take_turns_and_each_keeps_its_order() -> None:
    turns, begun = Turns(), list[str]()

    def begin(name: str) -> bool:
        begun.append(name)
        return True

    scheduler = full_turn(turns, 2)
    for name in ("a1", "a2", "a3", "a4", "b1", "c1", "c2"):
        scheduler.wait(name[0], partial(begin, name))
    steps = []
    while turns.scheduled:
        before = len(begun)
        turns.run()
        steps.append(begun[before:])
    assert steps == [["a1", "b1"], ["c1", "a2"], ["c2", "a3"], ["a4"], []]


def test_who_has_left_takes_no_place() -> None:
    turns, begun = Turns(), list[bool]()

    def begin(is_here: bool) -> bool:  # noqa: FBT001
        begun.append(is_here)
        return is_here

    scheduler = full_turn(turns, 1)
    for is_here in (False, False, False, True, True):
        scheduler.wait("gone", partial(begin, is_here))
    turns.run()
    assert begun == [False, False, False, True]


def test_nothing_is_scheduled_while_nothing_happens_and_a_turn_has_all_its_places_again() -> None:
    turns = Turns()
    scheduler = full_turn(turns, 3)
    turns.run()
    assert turns.scheduled == []
    assert [scheduler.begin_now(turns) for _ in range(4)] == [True, True, True, False]  # type: ignore[arg-type]
    assert len(turns.scheduled) == 1


@pytest.mark.parametrize("requests", [1, 2], ids=["one request each", "pipelined requests"])
@pytest.mark.parametrize("is_new", [False, True], ids=["kept connections", "new connections"])
def test_a_user_is_served_before_the_crowd_of_another_client(requests: int, *, is_new: bool) -> None:
    with served(HttpLimits()) as server, ExitStack() as stack:
        user = stack.enter_context(server.connect())
        assert user.send(GET % b"known/as/bob").read_response().status == 200
        crowd = [] if is_new else [connected(stack, server) for _ in range(100)]
        blocked = stack.enter_context(server.connect()).send(GET % b"block")
        while "/block" not in server.app.seen:
            pass
        if is_new:
            crowd = [stack.enter_context(server.connect()) for _ in range(60)]  # more do not fit into the backlog
        for each in crowd:
            each.send((GET % b"crowd") * requests)
        user.send(GET % b"known/as/bob")
        server.app.go_on.set()
        assert user.read_response().status == 200
        assert blocked.read_response().status == 200
        for each in crowd:
            for _ in range(requests):
                assert each.read_response().status == 200
    after_block = server.app.seen[server.app.seen.index("/block") + 1 :]
    assert after_block.count("/crowd") == requests * len(crowd)
    assert after_block.index("/known/as/bob") < 20


def connected(stack: ExitStack, server: Served) -> Connection:
    connection = stack.enter_context(server.connect())
    assert connection.send(GET % b"first").read_response().status == 200
    return connection


def test_a_connection_that_waits_and_leaves_is_not_served() -> None:
    with served(HttpLimits()) as server, ExitStack() as stack:
        blocked = stack.enter_context(server.connect()).send(GET % b"block")
        while "/block" not in server.app.seen:
            pass
        for _ in range(50):
            with server.connect() as leaving:
                leaving.send((GET % b"left") * 5)
        server.app.go_on.set()
        assert blocked.read_response().status == 200
        assert server.once(GET % b"after").status == 200
    assert server.app.seen.count("/left") < 50 * 5
