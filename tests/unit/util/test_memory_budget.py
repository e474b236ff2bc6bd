"""What requests may hold is shared between people: nobody takes it all, and what was held is given back."""

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
from mcp_idp.errors import AuthError, ServerFull, TooManyRequests
from mcp_idp.http.body import MAX_BODY_BYTES, parse_json_object
from mcp_idp.http.transport_security import TransportSecurity
from mcp_idp.principal import Principal
from mcp_idp.util.memory_budget import AUTHENTICATED_CALLBACK, BYTE_COST, REQUEST_BYTES, MemoryBudget, MemoryShare
from mcp_idp.util.strict_json import MAX_VALUES
from tests.corpus.model import Request, bearer, call
from tests.corpus.targets import Answer, ask

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

pytestmark = [pytest.mark.anyio, pytest.mark.requirement("gate.person_bound")]


def person(subject: str | None, client: str = "c", issuer: str = "i") -> Principal:
    return Principal(issuer, subject, client, frozenset({"mcp:tools"}), 1e12)


class Holder:
    """A budget, and people who hold of it until the end."""

    def __init__(self, total: int, kept: int = 0) -> None:
        self._budget = MemoryBudget(total * REQUEST_BYTES, kept * REQUEST_BYTES)
        self.stack = ExitStack()

    def request(self, of: Principal) -> MemoryShare:
        share = self.stack.enter_context(self._budget.share())
        share.begin(of, 0)
        return share

    def fill(self, of: Principal) -> int:
        """Requests until no more pass; how many did."""
        for number in range(10_000):
            try:
                self.request(of)
            except AuthError:
                return number
        raise AssertionError("there is no bound")


def test_one_person_holds_nearly_all_a_second_finds_something_and_many_find_what_is_kept() -> None:
    holder = Holder(1000, 100)
    with holder.stack:
        held = [holder.fill(person(str(number))) for number in range(20)]
    assert held[:2] == [847, 49]
    assert held[2:] == [8] * 13 + [0] * 5
    assert sum(held) == 1000


def test_the_largest_message_passes_alone() -> None:
    text = b'"\\u00e9' + b"a" * (MAX_BODY_BYTES - 120_000) + b'"'
    body = b'{"a":[' + b"1," * (MAX_VALUES - 10) + text + b"]}"
    assert MAX_BODY_BYTES - 50_000 < len(body) <= MAX_BODY_BYTES
    with MemoryBudget().share() as share:
        share.begin(person("a"), 256 * 1024)
        share.take(len(body) * BYTE_COST)
        parse_json_object(body, share)


def test_a_person_is_told_429_for_other_requests_of_theirs_and_503_for_those_of_others() -> None:
    holder = Holder(100)
    with holder.stack:
        holder.fill(person("greedy"))
        with pytest.raises(TooManyRequests):
            holder.request(person("greedy"))
        other = holder.request(person("other"))
        with pytest.raises(ServerFull):
            other.take(80 * REQUEST_BYTES)  # would pass alone, but it is the other one's requests that are in the way
        with pytest.raises(TooManyRequests):
            holder.request(person("greedy", client="another program"))
    with holder.stack:
        alone = holder.request(person("a"))
        alone.take(93 * REQUEST_BYTES)
        with pytest.raises(ServerFull):
            alone.take(REQUEST_BYTES)


@pytest.mark.parametrize(
    ("one", "two", "same"),
    [
        (person("a"), person("a", client="d"), True),
        (person("a"), person("b"), False),
        (person("a"), person("a", issuer="j"), False),
        (person(None), person(None), True),
        (person(None), person(None, client="d"), False),
        (person("c"), person(None), False),
    ],
)
def test_whose_it_is_follows_from_issuer_and_subject_or_client(one: Principal, two: Principal, *, same: bool) -> None:
    holder = Holder(100)
    with holder.stack:
        holder.fill(one)
        assert (holder.fill(two) == 0) == same


def test_what_was_held_is_given_back_once() -> None:
    holder = Holder(10)
    for _ in range(3):
        with holder.stack:
            assert holder.fill(person("a")) == 9
    share = MemoryBudget().share()
    with share:
        pass
    with share:
        share.begin(person("a"), 7)
    with share:
        share.begin(person("a"), 7)


# ---- in the gate


class Slow:
    """An application that answers when it is let go."""

    def __init__(self) -> None:
        self.called = asyncio.Semaphore(0)
        self.go = asyncio.Event()

    async def __call__(self, _scope: Any, _receive: Any, send: Any) -> None:
        self.called.release()
        await self.go.wait()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"{}"})


def gate(app: Any, total: int) -> AuthMiddleware:
    async def verify(token: str) -> Principal:
        return person(token)

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
        budget=MemoryBudget(total, 0),
    )


@asynccontextmanager
async def held(app: Slow, gate: AuthMiddleware, request: Request) -> AsyncIterator[None]:
    """While `request` is being answered."""
    task = asyncio.ensure_future(ask(gate, request))
    await app.called.acquire()
    yield
    app.go.set()
    assert (await task).status == 200


def said(answer: Answer) -> tuple[int, str, bool, bool]:
    names = [name for name, _ in answer.headers]
    return answer.status, json.loads(answer.body)["error"], b"retry-after" in names, b"www-authenticate" in names


LARGE = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {"a": "b" * 100_000}}).encode()
MANY = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {"a": [1] * 3_000}}).encode()
WIDE = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {"a": "\u00e9" * 7_000}}).encode()


@pytest.mark.parametrize("body", [LARGE, MANY, WIDE], ids=["bytes", "values", "escapes"])
async def test_a_body_counts_by_its_bytes_its_values_and_the_width_of_its_characters(body: bytes) -> None:
    app = Slow()
    behind = gate(app, 1_000_000)
    greedy = call("greedy", body=body)
    async with held(app, behind, greedy):
        assert said(await ask(behind, greedy)) == (429, "too_many_requests", True, False)
        assert said(await ask(behind, call("other", body=body))) == (503, "server_full", True, False)
        other = asyncio.ensure_future(ask(behind, call("other")))
        await app.called.acquire()
    assert (await other).status == 200
    assert (await ask(behind, greedy)).status == 200


async def test_what_is_refused_holds_nothing_afterwards() -> None:
    async def app(_scope: Any, _receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"{}"})

    behind = gate(app, 4 * REQUEST_BYTES)
    for body in (LARGE, b"[" * 9999, b"{", b"", b"{}" * 9):
        assert (await ask(behind, call("a", body=body))).status in {400, 413, 503}
    for _ in range(9):
        assert (await ask(behind, call("a"))).status == 200


async def test_a_body_that_never_ends_holds_what_has_come_until_its_client_leaves() -> None:
    app = Slow()
    app.go.set()
    behind = gate(app, 1_200_000)
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

    scope = {"type": "http", "method": "POST", "path": "/mcp", "headers": list(call("greedy").headers)}
    half = asyncio.ensure_future(behind(scope, receive, send))
    await read.wait()
    assert said(await ask(behind, call("greedy", body=b" " * 100_000)))[:2] == (429, "too_many_requests")
    assert (await ask(behind, call("other"))).status == 200
    gone.set()
    await half
    assert (await ask(behind, call("greedy", body=call("x").body + b" " * 100_000))).status == 200


async def test_what_waited_in_the_connection_is_the_persons_from_then_on() -> None:
    told: list[Any] = []

    def let_in(user: Any) -> int:
        told.append(user)
        return 50 * REQUEST_BYTES

    behind = gate(None, 20 * REQUEST_BYTES)
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
        "extensions": {AUTHENTICATED_CALLBACK: {"tell": let_in}},
    }
    await behind(scope, receive, send)
    assert (sent[0]["status"], told) == (503, [("i", False, "a")])
