"""Counting in sliding windows, with time that passes only when told to."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mcp_idp.util.rate_windows import RateWindows
from tests.support.app import FakeClock

pytestmark = pytest.mark.requirement("limits.windows")
START = 1_000.0  # where a window of ten seconds begins


def windows(limit: int, window: float = 10, **options: int) -> tuple[RateWindows, FakeClock]:
    clock = FakeClock(at=START)
    return RateWindows(limit, window, clock.clock.now, **options), clock


def admitted(counted: RateWindows, key: object, times: int) -> int:
    return sum(counted.hit(key) == 0 for _ in range(times))


def test_a_key_has_its_limit_and_others_have_theirs() -> None:
    counted, _ = windows(5)
    assert admitted(counted, "a", 9) == 5
    assert admitted(counted, "b", 9) == 5


def test_zero_is_no_limit_and_counts_nobody() -> None:
    counted, _ = windows(0)
    assert admitted(counted, "a", 1000) == 1000
    assert len(counted) == 0


@pytest.mark.parametrize(("later", "more"), [(9.9, 0), (10, 0), (15, 5), (19, 9), (20, 10), (35, 10)])
def test_what_was_used_comes_back_as_it_leaves_the_last_seconds(later: float, more: int) -> None:
    counted, clock = windows(10)
    assert admitted(counted, "a", 10) == 10
    clock.forward(later)
    assert admitted(counted, "a", 50) == more


@pytest.mark.parametrize(("first", "limit"), [(0.0, 10), (3.0, 10), (9.9, 10), (5.0, 1), (0.0, 1), (7.5, 3)])
def test_who_waits_as_long_as_told_is_admitted_and_just_before_is_not(first: float, limit: int) -> None:
    counted, clock = windows(limit)
    clock.forward(first)
    admitted(counted, "a", limit)
    wait = counted.hit("a")
    assert 0 < wait <= 20
    clock.forward(wait - 0.001)
    assert counted.hit("a") > 0
    clock.forward(0.002)
    assert counted.hit("a") == 0


@settings(max_examples=200, derandomize=True, deadline=None, database=None)
@given(st.lists(st.tuples(st.floats(0, 12), st.integers(1, 20)), max_size=30), st.integers(1, 12))
def test_no_two_windows_in_a_row_hold_more_than_twice_the_limit(steps: list[tuple[float, int]], limit: int) -> None:
    counted, clock = windows(limit)
    times: list[float] = []
    for pause, tries in steps:
        clock.forward(pause)
        times += [clock.at] * admitted(counted, "a", tries)
    for start in times:
        # A sliding counter assumes that a window was used evenly; it can be wrong by one limit, never by more.
        assert sum(start <= at < start + 10 for at in times) <= 2 * limit
        assert sum(at // 10 == start // 10 for at in times) <= limit


def test_being_refused_costs_nothing() -> None:
    counted, clock = windows(2)
    admitted(counted, "a", 1000)
    clock.forward(20)
    assert counted.hit("a") == 0


@pytest.mark.parametrize("back", [1, 10, 3600])
def test_a_clock_that_is_set_back_locks_nobody_out(back: float) -> None:
    counted, clock = windows(2)
    admitted(counted, "a", 2)
    clock.forward(-back)
    assert counted.hit("a") == 0


@pytest.mark.parametrize("keys", [101, 1000, 20_000])
def test_however_many_keys_come_the_table_is_bounded_and_who_used_most_stays(keys: int) -> None:
    counted, clock = windows(10, max_keys=100)
    assert admitted(counted, "greedy", 11) == 10
    for n in range(keys):
        counted.hit(n)
    assert counted.hit("greedy") > 0
    assert len(counted) <= 101
    clock.forward(10)
    for n in range(keys):
        counted.hit(n)
    assert len(counted) <= 202


def test_what_replicas_counted_together_counts_here() -> None:
    counted, clock = windows(10)
    counted.share(1, lambda: None)
    admitted(counted, "a", 3)
    index, counts = counted.take_unshared(10)
    assert counts == {"a": 3}
    counted.hit("a")
    counted.merge("a", index, 8)  # 3 of ours and 5 of others; one more of ours is not in it yet
    assert admitted(counted, "a", 10) == 1
    clock.forward(10)
    counted.hit("b")
    counted.merge("b", index, 10)
    clock.forward(5)
    assert admitted(counted, "b", 10) == 4
    counted.merge("b", index - 7, 1_000)
    assert counted.hit("b") > 0


def test_keys_that_use_little_are_not_shared_and_those_that_use_most_come_first() -> None:
    counted, clock = windows(100)
    told: list[int] = []
    counted.share(10, lambda: told.append(1))
    for key, times in (("a", 1), ("b", 20), ("c", 30), ("d", 40)):
        admitted(counted, key, times)
    assert len(told) == 3
    assert dict(counted.take_unshared(2)[1]) == {"c": 30, "d": 40}
    assert dict(counted.take_unshared(2)[1]) == {"b": 20}
    assert dict(counted.take_unshared(2)[1]) == {}
    admitted(counted, "a", 9)
    assert dict(counted.take_unshared(2)[1]) == {"a": 10}
    admitted(counted, "a", 9)
    clock.forward(10)
    assert dict(counted.take_unshared(2)[1]) == {}
    assert len(told) == 4
