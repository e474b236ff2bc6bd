"""One setting bounds all memory: the parts are in the sum, and the sum fits."""

from __future__ import annotations

from typing import Any

import pytest

from mcp_idp.config.settings import Settings
from mcp_idp.http_server.limits import HttpLimits
from mcp_idp.util.memory_plan import CONNECTION_BYTES, DEFAULT_MAX_MEMORY, MIB, MIN_MAX_MEMORY, MemoryPlan
from mcp_idp.util.request_memory import REQUEST_BYTES
from tests.support.app import running
from tests.support.mcp_calls import initialized

pytestmark = pytest.mark.anyio
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
