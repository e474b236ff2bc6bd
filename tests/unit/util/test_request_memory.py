"""Requests share memory between users: no user can take all of it, and it is released."""

from __future__ import annotations

import asyncio
import json
from contextlib import ExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest

from mcp_idp.access.policy import load_access
from mcp_idp.auth.challenge import ChallengeBuilder
from mcp_idp.auth.decisions import DecisionRecorder
from mcp_idp.auth.middleware import AuthMiddleware
from mcp_idp.auth.scopes import ScopeRequirements
from mcp_idp.config.settings import Settings
from mcp_idp.errors import AuthError, BodyTooLarge, ServerFull, TooManyRequests
from mcp_idp.http.body import count_memory
from mcp_idp.http.transport_security import TransportSecurity
from mcp_idp.http_server.limits import MAX_BODY_BYTES
from mcp_idp.principal import Principal
from mcp_idp.testing.corpus.asgi_client import AsgiResponse, send_request
from mcp_idp.testing.corpus.model import Request, bearer, call
from mcp_idp.util.memory_plan import DEFAULT_MAX_MEMORY, MemoryPlan
from mcp_idp.util.request_memory import AUTHENTICATED_CALLBACK, BYTE_COST, REQUEST_BYTES, MemoryShare, RequestMemory
from mcp_idp.util.strict_json import MAX_VALUES
from tests.support.asgi_requests import OpenRequest

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.types import Message

pytestmark = [pytest.mark.anyio, pytest.mark.requirement("body.memory_per_user")]


def user(subject: str | None, client: str = "c", issuer: str = "i") -> Principal:
    return Principal(issuer, subject, client, frozenset({"mcp:tools"}), 1e12)


class Holder:
    """A budget, and users who hold parts of it until the end."""

    def __init__(self, total: int, reserved: int = 0, wait_seconds: float = 10.0) -> None:
        self.budget = RequestMemory(total * REQUEST_BYTES, reserved * REQUEST_BYTES, wait_seconds)
        self.stack = ExitStack()

    def request(self, of: Principal, size: int = 1) -> MemoryShare:
        share = self.stack.enter_context(self.budget.share())
        share.begin(of)
        share.take(size * REQUEST_BYTES)
        return share

    def fill(self, of: Principal) -> int:
        """Makes requests until one is rejected; returns the number of accepted ones."""
        for number in range(10_000):
            try:
                self.request(of)
            except AuthError:
                return number
        raise AssertionError("there is no bound")

    def ending(self, of: Principal, size: int = 1) -> MemoryShare:
        """A request that ends soon after it is cancelled."""
        share, end, loop = self.budget.share(), ExitStack(), asyncio.get_running_loop()
        share.begin(of)
        end.enter_context(share)
        end.enter_context(share.cancellable(lambda: loop.call_soon(loop.call_soon, end.close)))
        share.take(size * REQUEST_BYTES)
        return share

    async def reserve(self, of: Principal, size: int) -> MemoryShare:
        share = self.stack.enter_context(self.budget.share())
        share.begin(of)
        await share.reserve(size * REQUEST_BYTES)
        return share


def test_a_part_is_reserved_for_users_who_hold_little() -> None:
    holder = Holder(1000, 100)
    with holder.stack:
        accepted = [holder.fill(user(str(number))) for number in range(20)]
    assert accepted == [900] + [8] * 12 + [4] + [0] * 6


async def test_the_user_who_holds_most_loses_the_newest_requests() -> None:
    holder = Holder(100)
    many = [holder.ending(user("largest")) for _ in range(90)]
    few = [holder.ending(user("small")) for _ in range(8)]
    with holder.stack:
        await holder.reserve(user("other"), 30)
    assert [share.is_cancelled for share in many] == [False] * 62 + [True] * 28
    assert not any(share.is_cancelled for share in few)


async def test_of_two_large_users_each_loses_requests_until_a_third_small_one_fits() -> None:
    holder = Holder(100)
    one = [holder.ending(user("one")) for _ in range(60)]
    two = [holder.ending(user("two")) for _ in range(40)]
    with holder.stack:
        await holder.reserve(user("other"), 15)
        assert (count_left(one), count_left(two)) == (45, 40)
        await holder.reserve(user("fourth"), 10)
        assert (count_left(one), count_left(two)) == (37, 38)
        with pytest.raises(ServerFull):
            await holder.reserve(user("fifth"), 25)
        assert (count_left(one), count_left(two)) == (37, 38)


def count_left(shares: list[MemoryShare]) -> int:
    return sum(not share.is_cancelled for share in shares)


@pytest.mark.parametrize("size", [41, 60, 99])
async def test_no_request_is_cancelled_for_a_user_who_would_use_half_as_much_or_more(size: int) -> None:
    holder = Holder(100)
    with holder.stack:
        other = holder.ending(user("other"), 80)
        with pytest.raises(ServerFull):
            await holder.reserve(user("largest"), size)
        assert not other.is_cancelled


async def test_a_user_whose_other_requests_take_the_memory_gets_429() -> None:
    holder = Holder(100)
    with holder.stack:
        other = holder.ending(user("other"), 50)
        holder.request(user("largest"), 45)
        with pytest.raises(TooManyRequests):
            await holder.reserve(user("largest"), 10)
        assert not other.is_cancelled


async def test_the_largest_user_gets_429_and_cancels_nothing() -> None:
    holder = Holder(100)
    with holder.stack:
        mine = [holder.ending(user("largest")) for _ in range(60)]
        theirs = [holder.ending(user("other")) for _ in range(40)]
        with pytest.raises(TooManyRequests):
            await holder.reserve(user("largest", client="another program"), 1)
        assert not any(share.is_cancelled for share in mine + theirs)


async def test_the_wait_for_requests_that_do_not_end_is_bounded() -> None:
    holder = Holder(100, wait_seconds=0.05)
    with holder.stack:
        holder.request(user("largest"), 60)  # such as while its token is being verified
        with pytest.raises(ServerFull):
            await holder.reserve(user("other"), 50)
        stuck = holder.request(user("largest"), 40)
        with stuck.cancellable(lambda: None):
            with pytest.raises(ServerFull):
                await holder.reserve(user("other"), 20)
            assert stuck.is_cancelled


async def test_a_message_that_would_not_fit_alone_is_too_large() -> None:
    holder = Holder(100, 10)
    with holder.stack:
        mine = holder.request(user("a"), 50)
        with pytest.raises(BodyTooLarge):
            await mine.reserve(41 * REQUEST_BYTES)
        await mine.reserve(40 * REQUEST_BYTES)


def test_the_largest_message_passes_alone() -> None:
    text = b'"\\u00e9' + b"a" * (MAX_BODY_BYTES - 120_000) + b'"'
    body = b'{"a":[' + b"1," * (MAX_VALUES - 10) + text + b"]}"
    assert MAX_BODY_BYTES - 50_000 < len(body) <= MAX_BODY_BYTES
    with RequestMemory(MemoryPlan.for_total(DEFAULT_MAX_MEMORY).requests).share() as share:
        share.begin(user("a"))
        share.take(REQUEST_BYTES + 256 * 1024)
        share.take(len(body) * BYTE_COST)
        share.take(asyncio.run(count_memory(body)))


@pytest.mark.parametrize(
    ("one", "two", "same"),
    [
        (user("a"), user("a", client="d"), True),
        (user("a"), user("b"), False),
        (user("a"), user("a", issuer="j"), False),
        (user(None), user(None), True),
        (user(None), user(None, client="d"), False),
        (user("c"), user(None), False),
    ],
)
def test_memory_belongs_to_issuer_and_subject_or_client(one: Principal, two: Principal, *, same: bool) -> None:
    holder = Holder(100, 20)
    with holder.stack:
        holder.fill(one)
        assert (holder.fill(two) == 0) == same


def test_reserved_memory_is_released_once() -> None:
    holder = Holder(10)
    for _ in range(3):
        with holder.stack:
            assert holder.fill(user("a")) == 10
    budget = RequestMemory(1000, 0)
    with budget.share():
        pass
    share = budget.share()
    with share:
        share.begin(user("a"))
        share.take(7)
        with share:
            assert budget.used == 7
        assert budget.used == 7
    assert budget.used == 0
    with share:  # its call begins when its client has already left
        assert budget.used == 7
    assert budget.used == 0


# ---- in the auth middleware


class Slow:
    """An application that responds on command."""

    def __init__(self) -> None:
        self.called = asyncio.Semaphore(0)
        self.go = asyncio.Event()

    async def __call__(self, _scope: Any, _receive: Any, send: Any) -> None:
        self.called.release()
        await self.go.wait()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"{}"})


def auth_middleware(app: Any, total: int) -> AuthMiddleware:
    async def verify(token: str, _requester: object) -> Principal:
        return user(token)

    chosen = Settings()
    access = load_access(chosen.access_file)
    return AuthMiddleware(
        app,
        verify=verify,
        access=access,
        scope_requirements=ScopeRequirements(access),
        transport_security=TransportSecurity(chosen),
        decisions=DecisionRecorder(ChallengeBuilder("http://localhost:3000/x", access.login_scopes)),
        remaining_lifetime=lambda _: 60.0,
        seconds_known=lambda _: 60.0,
        budget=RequestMemory(total, 0),
        max_callers=10,
    )


@asynccontextmanager
async def holding(app: Slow, auth_middleware: AuthMiddleware, request: Request) -> AsyncIterator[None]:
    """Keeps `request` in progress during the block."""
    task = asyncio.ensure_future(send_request(auth_middleware, request))
    await app.called.acquire()
    yield
    app.go.set()
    assert (await task).status == 200


def summary(response: AsgiResponse) -> tuple[int, str, bool, bool]:
    names = [name for name, _ in response.headers]
    return response.status, json.loads(response.body)["error"], b"retry-after" in names, b"www-authenticate" in names


class Begun:
    """An application that sends the largest user the beginning of a response and then waits; others get a response."""

    def __init__(self, beginning: list[Message]) -> None:
        self.called = asyncio.Semaphore(0)
        self._beginning = beginning

    async def __call__(self, scope: Any, _receive: Any, send: Any) -> None:
        if scope["user"].principal.subject != "largest":
            for message in (START, body(b"{}", more=False)):
                await send(message)
            return
        for message in self._beginning:
            await send(message)
        self.called.release()
        await asyncio.Event().wait()


def body(content: bytes, *, more: bool) -> Message:
    return {"type": "http.response.body", "body": content, "more_body": more}


START: Message = {"type": "http.response.start", "status": 200, "headers": []}
END = body(b"", more=False)


@pytest.mark.parametrize(
    ("beginning", "expected"),
    [
        ([], 429),
        ([START], [END]),
        ([START, body(b"a", more=True)], [END]),
        ([START, body(b"a", more=False)], []),
    ],
    ids=["not begun", "started", "partly sent", "complete"],
)
async def test_a_request_that_is_cancelled_for_its_memory_ends_its_response(
    beginning: list[Message], expected: int | list[Message]
) -> None:
    app = Begun(beginning)
    behind = auth_middleware(app, 10 * REQUEST_BYTES)
    request = call("largest")
    headers = {name.decode(): value.decode() for name, value in request.headers}
    largest: list[OpenRequest] = []
    while not (largest and largest[-1].responses.done()):  # until one does not fit
        largest.append(OpenRequest(behind, "POST", headers, request.body))
        called = asyncio.ensure_future(app.called.acquire())
        await asyncio.wait({called, largest[-1].responses}, return_when=asyncio.FIRST_COMPLETED)
        called.cancel()
    del largest[-1]
    assert (await send_request(behind, call("other"))).status == 200
    waiting = [each for each in largest if not each.responses.done()]
    cancelled = largest[len(waiting) :]
    assert waiting == largest[: len(waiting)]
    assert cancelled
    for each in cancelled:
        await each.responses
        sent = each.sent[len(beginning) :]
        assert (sent if beginning else sent[0]["status"]) == expected
    for each in waiting:
        each.responses.cancel()


LARGE = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {"a": "b" * 100_000}}).encode()
MANY = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {"a": [1] * 3_000}}).encode()
WIDE = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {"a": "\u00e9" * 7_000}}).encode()


RAW = (
    json.dumps(json.loads(WIDE), ensure_ascii=False).encode().replace("\u00e9".encode(), "\u00e9\u00e9\u00e9".encode())
)


@pytest.mark.parametrize("body", [LARGE, MANY, WIDE, RAW], ids=["bytes", "values", "escapes", "wide characters"])
async def test_a_body_counts_by_its_bytes_its_values_and_the_width_of_its_characters(body: bytes) -> None:
    app = Slow()
    behind = auth_middleware(app, 1_000_000)
    greedy = call("largest", body=body)
    async with holding(app, behind, greedy):
        assert summary(await send_request(behind, greedy)) == (429, "too_many_requests", True, False)
        assert summary(await send_request(behind, call("other", body=body))) == (503, "server_full", True, False)
        other = asyncio.ensure_future(send_request(behind, call("other")))
        await app.called.acquire()
    assert (await other).status == 200
    assert (await send_request(behind, greedy)).status == 200


async def test_a_rejected_request_holds_no_memory_afterwards() -> None:
    async def app(_scope: Any, _receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"{}"})

    behind = auth_middleware(app, 4 * REQUEST_BYTES)
    for body in (LARGE, b"[" * 9999, b"{", b"", b"{}" * 9):
        assert (await send_request(behind, call("a", body=body))).status in {400, 413, 503}
    for _ in range(9):
        assert (await send_request(behind, call("a"))).status == 200


async def test_a_body_that_never_ends_counts_its_bytes_until_its_client_disconnects() -> None:
    app = Slow()
    app.go.set()
    behind = auth_middleware(app, 1_200_000)
    pieces = [{"type": "http.request", "body": b" " * 190_000, "more_body": True}]
    read, gone = asyncio.Event(), asyncio.Event()

    async def receive() -> Any:
        if pieces:
            return pieces.pop()
        read.set()
        await gone.wait()
        return {"type": "http.disconnect"}

    async def send(_message: Any) -> None:
        raise AssertionError("nobody is there to hear it")

    scope = {"type": "http", "method": "POST", "path": "/mcp", "headers": list(call("largest").headers)}
    half = asyncio.ensure_future(behind(scope, receive, send))
    await read.wait()
    assert summary(await send_request(behind, call("largest", body=b" " * 100_000)))[:2] == (429, "too_many_requests")
    assert (await send_request(behind, call("other"))).status == 200
    gone.set()
    await half
    assert (await send_request(behind, call("largest", body=call("x").body + b" " * 100_000))).status == 200


async def test_pending_bytes_of_a_connection_count_for_the_user_once_authenticated() -> None:
    calls: list[Any] = []

    def mark_authenticated(who: Any) -> int:
        calls.append(who)
        return 50 * REQUEST_BYTES

    behind = auth_middleware(None, 20 * REQUEST_BYTES)
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> Any:
        raise AssertionError("the body of what is refused is not read")

    headers = [bearer("a")]
    scope = {
        "type": "http",
        "method": "POST",
        "path": "/mcp",
        "headers": headers,
        "extensions": {AUTHENTICATED_CALLBACK: {"callback": mark_authenticated}},
    }
    await behind(scope, receive, send)
    assert (sent[0]["status"], calls) == (413, [("i", "a", None)])


def test_the_end_of_a_request_is_reported_when_the_last_that_holds_it_has_ended() -> None:
    ended: list[str] = []
    share = RequestMemory(1000, 0).share()
    share.on_release(lambda: ended.append("released"))
    with share:
        share.begin(user("a"))
        share.take(7)
        share.__enter__()  # its call, which goes on
    assert ended == []
    share.__exit__(None, None, None)
    assert ended == ["released"]
