"""Refusals are told once, then once a minute with their number."""

from __future__ import annotations

import pytest

from mcp_idp.auth.refusal_summary import SECONDS, RefusalSummary
from tests.support.app import FakeClock

pytestmark = pytest.mark.requirement("limits.log")


def test_the_first_is_told_at_once_and_the_rest_once_a_minute() -> None:
    clock = FakeClock()
    summary = RefusalSummary(clock.clock.monotonic)
    assert [summary.count("a") for _ in range(5)] == [1, 0, 0, 0, 0]
    assert summary.count("b") == 1
    clock.forward(SECONDS - 1)
    assert summary.count("a") == 0
    clock.forward(1)
    assert summary.count("a") == 6
    assert summary.count("a") == 0
    clock.forward(10 * SECONDS)
    assert summary.count("a") == 2


def test_however_many_there_are_it_tells_a_bounded_number() -> None:
    clock = FakeClock()
    summary = RefusalSummary(clock.clock.monotonic)
    told = [summary.count(n) for n in range(100_000)]
    assert sum(map(bool, told)) == 1001
    assert len(vars(summary)["_since"]) == 1001
    clock.forward(SECONDS)
    assert summary.count(5) == 1
    assert summary.count(100_001) > 0
    assert len(vars(summary)["_since"]) == 2
