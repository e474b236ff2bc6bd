"""The registrar keeps nothing of a registration."""

from __future__ import annotations

import gc

import anyio.lowlevel
import pytest
from structlog.testing import capture_logs

from tests.support.registrar import Bench

pytestmark = pytest.mark.anyio
MANY = 10_000


def _document(number: int) -> dict[str, object]:
    name = f"state-of-registration-{number}"
    return {"redirect_uris": [f"http://localhost:7001/{name}"], "client_name": name, "scope": name, name: name}


async def _register(bench: Bench, number: int) -> int:
    """Registers one client from an address of its own and forgets what the test itself recorded."""
    answer = await bench.send(_document(number), client=f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}")
    bench.requests.clear()
    await anyio.lowlevel.checkpoint()  # the event loop forgets the timers of requests that have ended
    return answer.status


@pytest.mark.requirement("registrar.no_state")
async def test_ten_thousand_registrations_leave_no_state() -> None:
    bench = Bench(quota=60)
    with capture_logs() as lines:
        for number in range(200):  # caches of the modules fill
            await _register(bench, number)
        lines.clear()
        gc.collect()
        before = len(gc.get_objects())
        for number in range(200, 200 + MANY):
            assert await _register(bench, number) == 201
            lines.clear()
        bench.now += 300  # the counters of the addresses end with their windows
        await _register(bench, 0)
        lines.clear()
        gc.collect()
    assert len(gc.get_objects()) - before < MANY // 10
