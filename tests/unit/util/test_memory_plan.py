"""One setting bounds all memory: the parts are in the sum, and the sum fits."""

from __future__ import annotations

import gc
import tracemalloc
from typing import Any

import pytest

from mcp_idp.auth.rate_limiting.limits import WINDOW_SECONDS
from mcp_idp.auth.rate_limiting.server_limits import RateLimits
from mcp_idp.config.settings import Settings
from mcp_idp.http_server.limits import HttpLimits
from mcp_idp.principal import Principal
from mcp_idp.testing.issuer import NOW
from mcp_idp.util.memory_plan import (
    CONNECTION_BYTES,
    DEFAULT_MAX_MEMORY,
    MIB,
    MIN_MAX_MEMORY,
    TOKEN_BYTES,
    MemoryPlan,
)
from mcp_idp.util.request_memory import REQUEST_BYTES
from tests.support.app import FakeClock, running
from tests.support.mcp_calls import initialized

pytestmark = pytest.mark.anyio
IDLE = 82 * MIB  # what the server holds at rest


@pytest.mark.parametrize("total", [MIN_MAX_MEMORY, DEFAULT_MAX_MEMORY, 512 * MIB, 1 << 30, 64 << 30])
def test_the_sum_of_all_parts_fits_and_leaves_an_eighth_of_all_but_little_unplanned(total: int) -> None:
    plan = MemoryPlan.for_total(total)
    parts = (
        plan.requests,
        plan.sessions,
        plan.own_tokens,
        plan.exchanged_tokens,
        plan.waiting,
        plan.unsent,
        plan.limits,
    )
    assert min(parts) > 0
    assert IDLE + sum(parts) + plan.connections * CONNECTION_BYTES <= total * 88 // 100
    assert plan.requests >= 100 * REQUEST_BYTES
    assert plan.connections >= 400
    assert plan.limit_keys(tools=0) >= 300
    assert plan.limit_keys(tools=10) <= plan.limit_keys(tools=0)


def test_every_bound_grows_with_the_memory() -> None:
    small, large = (MemoryPlan.for_total(total) for total in (MIN_MAX_MEMORY, DEFAULT_MAX_MEMORY))
    names = ("requests", "sessions", "own_tokens", "exchanged_tokens", "waiting", "connections", "unsent", "limits")
    assert all(getattr(small, name) < getattr(large, name) for name in names)


def test_the_http_server_has_the_bounds_of_the_plan() -> None:
    plan = Settings(max_memory=MIN_MAX_MEMORY).memory_plan
    limits = HttpLimits.for_memory(plan)
    assert (limits.connections, limits.waiting_bytes, limits.unsent_bytes) == (
        plan.connections,
        plan.waiting,
        plan.unsent,
    )
    assert HttpLimits() == HttpLimits.for_memory(MemoryPlan.for_total(DEFAULT_MAX_MEMORY))


async def test_readyz_reports_the_memory_usage() -> None:
    async with running(max_memory=MIN_MAX_MEMORY) as server:
        before = (await server.client.get("/readyz")).json()
        for _ in range(10):
            await initialized(server, server.issuer.token())
        after = (await server.client.get("/readyz")).json()
    assert before == {"status": "ready", "memory_percent": {"requests": 0, "sessions": 0, "verified_tokens": 0}}
    assert after["memory_percent"]["sessions"] > 10
    assert after["memory_percent"]["requests"] == 0


PING = {"jsonrpc": "2.0", "id": 1, "method": "ping"}


async def test_sessions_of_all_are_bounded_and_who_holds_most_loses_the_oldest() -> None:
    async with running(max_memory=MIN_MAX_MEMORY) as server:
        other = await initialized(server, server.issuer.token(sub="other"))
        few = [await initialized(server, server.issuer.token(sub="bob")) for _ in range(20)]
        many = [await initialized(server, server.issuer.token(sub="ada")) for _ in range(60)]
        statuses = [
            (await server.client.post("/mcp", json=PING, headers=session)).status_code
            for session in (other, *few, many[0], many[-1])
        ]
        used = (await server.client.get("/readyz")).json()["memory_percent"]["sessions"]
        for session in many[-40:]:
            assert (await server.client.delete("/mcp", headers=session)).status_code == 200
        left = (await server.client.get("/readyz")).json()["memory_percent"]["sessions"]
    assert statuses == [200] * 21 + [404, 200]
    assert 95 < used <= 100
    assert left < 45


async def test_a_session_that_begins_with_much_counts_for_more() -> None:
    async with running(max_memory=MIN_MAX_MEMORY) as server:
        token = server.issuer.token()
        sizes = []
        values: tuple[Any, ...] = ([], [{}] * 1000, "\u00e9" * 2000)
        for value in values:
            before = (await server.client.get("/readyz")).json()["memory_percent"]["sessions"]
            await initialized(server, token, capabilities={"experimental": {"x": {"k": value}}})
            sizes.append((await server.client.get("/readyz")).json()["memory_percent"]["sessions"] - before)
    assert sizes[0] < sizes[2] < sizes[1]


@pytest.mark.parametrize("changes", [{}, {"jti": 1}, {"scope": "mcp:tools"}, {"mcp_roles": ["x"]}, {"iat": 1}])
async def test_tokens_without_a_subject_share_the_sessions_of_their_client(changes: dict[str, Any]) -> None:
    async with running(max_memory=DEFAULT_MAX_MEMORY) as server:
        sessions = []
        for turn in range(66):
            varied: dict[str, Any] = {n: server.clock.at - turn if n == "iat" else v for n, v in changes.items()}
            varied |= {"jti": str(turn)} if "jti" in changes else {}
            token = server.issuer.token(sub=..., exp=server.clock.at + 600 + turn, **varied)
            sessions.append(await initialized(server, token))
        statuses = [
            (await server.client.post("/mcp", json=PING, headers=session)).status_code for session in sessions[:4]
        ]
        of_other_user = {**sessions[5], "mcp-session-id": sessions[6]["mcp-session-id"]}
        assert (await server.client.post("/mcp", json=PING, headers=of_other_user)).status_code == 404
    assert statuses == [404, 404, 200, 200]


def principal_of(subject: str) -> Principal:
    client = f"0a1b2c3d-0000-4000-8000-{subject[-12:]}"
    return Principal("https://login.example.com/realms/company", subject, client, frozenset(), NOW + 300.0)


def test_the_tables_of_the_limits_take_no_more_than_the_plan_says_however_many_users_there_are() -> None:
    clock = FakeClock()
    plan = MemoryPlan.for_total(MIN_MAX_MEMORY)
    gc.collect()
    tracemalloc.start()
    limits = RateLimits(Settings(max_memory=MIN_MAX_MEMORY), {}, clock.clock)
    for _ in range(2):
        for number in range(3 * plan.limit_keys(tools=0)):
            principal = principal_of(f"00000000-0000-4000-8000-{number:012}")
            usage = limits.users.usage.of(principal)
            limits.users.requests.take(usage)
            limits.users.new_tokens.take(usage)
        clock.forward(WINDOW_SECONDS)
    gc.collect()
    used, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert plan.limits // 4 < used < plan.limits


def test_as_many_tokens_are_known_as_the_plan_has_memory_for() -> None:
    clock = FakeClock()
    limits = RateLimits(Settings(max_memory=MIN_MAX_MEMORY), {}, clock.clock)
    for number in range(10_000):
        limits.known.add(b"Bearer %d" % number, principal_of(str(number)))
    assert len(limits.known) == MemoryPlan.for_total(MIN_MAX_MEMORY).own_tokens // TOKEN_BYTES
