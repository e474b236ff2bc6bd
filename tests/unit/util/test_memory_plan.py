"""One setting bounds all memory: the parts are in the sum, and the sum fits."""

from __future__ import annotations

import pytest

from mcp_idp.config.settings import Settings
from mcp_idp.http_server.limits import HttpLimits
from mcp_idp.util.memory_budget import REQUEST_BYTES
from mcp_idp.util.memory_plan import CONNECTION_BYTES, DEFAULT_MAX_MEMORY, MIB, MIN_MAX_MEMORY, MemoryPlan
from tests.support.app import running
from tests.support.mcp_calls import initialized

pytestmark = [pytest.mark.anyio, pytest.mark.requirement("gate.memory_plan")]
IDLE = 82 * MIB  # what the server holds at rest


@pytest.mark.parametrize("total", [MIN_MAX_MEMORY, DEFAULT_MAX_MEMORY, 512 * MIB, 1 << 30, 64 << 30])
def test_the_sum_of_all_parts_fits_and_leaves_an_eighth_of_all_but_little_unplanned(total: int) -> None:
    plan = MemoryPlan.for_total(total)
    parts = (plan.requests, plan.sessions, plan.own_tokens, plan.exchanged_tokens, plan.waiting, plan.unsent)
    assert min(parts) > 0
    assert IDLE + sum(parts) + plan.connections * CONNECTION_BYTES <= total * 88 // 100
    assert plan.requests >= 100 * REQUEST_BYTES
    assert plan.connections >= 400


def test_every_bound_grows_with_the_memory() -> None:
    small, large = (MemoryPlan.for_total(total) for total in (MIN_MAX_MEMORY, DEFAULT_MAX_MEMORY))
    names = ("requests", "sessions", "own_tokens", "exchanged_tokens", "waiting", "connections", "unsent")
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


async def test_ready_says_how_full_the_memory_is() -> None:
    async with running(max_memory=MIN_MAX_MEMORY) as server:
        before = (await server.client.get("/readyz")).json()
        for _ in range(10):
            await initialized(server, server.issuer.token())
        after = (await server.client.get("/readyz")).json()
    assert before == {"status": "ready", "memory_percent": {"requests": 0, "sessions": 0, "verified_tokens": 0}}
    assert after["memory_percent"]["sessions"] > 10
    assert after["memory_percent"]["requests"] == 0


@pytest.mark.parametrize("sub", ["ada", None])
async def test_sessions_of_all_are_bounded_and_who_holds_most_loses_the_oldest(sub: str | None) -> None:
    """Tokens without a subject that differ only in their end are of one owner: their client."""
    async with running(max_memory=MIN_MAX_MEMORY) as server:
        other = await initialized(server, server.issuer.token(sub="other"))
        for turn in range(80):
            last = await initialized(server, server.issuer.token(sub=sub, exp=server.clock.at + 600 + turn))
        ended = await server.client.post("/mcp", json={"jsonrpc": "2.0", "id": 1, "method": "ping"}, headers=other)
        mine = await server.client.post("/mcp", json={"jsonrpc": "2.0", "id": 1, "method": "ping"}, headers=last)
        used = (await server.client.get("/readyz")).json()["memory_percent"]["sessions"]
    assert (ended.status_code, mine.status_code) == (200, 200)
    assert 80 < used <= 100
