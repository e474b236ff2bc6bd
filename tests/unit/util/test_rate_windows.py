"""Counting in sliding windows, with time that passes only when told to."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mcp_idp.util.rate_windows import RateWindows
from tests.support.app import FakeClock

START = 1_000.0  # where a window of ten seconds begins


def windows(limit: int, window: float = 10, **options: int) -> tuple[RateWindows, FakeClock]:
    clock = FakeClock(at=START)
    return RateWindows(limit, window, clock.clock.now, **options), clock


def count_accepted(counted: RateWindows, key: object, times: int) -> int:
    return sum(counted.hit(key) == 0 for _ in range(times))


def test_each_key_has_its_own_limit() -> None:
    counted, _ = windows(5)
    assert count_accepted(counted, "a", 9) == 5
    assert count_accepted(counted, "b", 9) == 5


def test_zero_means_no_limit() -> None:
    counted, _ = windows(0)
    assert count_accepted(counted, "a", 1000) == 1000
    assert len(counted) == 0


@pytest.mark.parametrize(("later", "more"), [(9.9, 0), (10, 0), (15, 5), (19, 9), (20, 10), (35, 10)])
def test_requests_are_admitted_again_as_old_ones_leave_the_window(later: float, more: int) -> None:
    counted, clock = windows(10)
    assert count_accepted(counted, "a", 10) == 10
    clock.forward(later)
    assert count_accepted(counted, "a", 50) == more


@pytest.mark.parametrize(("first", "limit"), [(0.0, 10), (3.0, 10), (9.9, 10), (5.0, 1), (0.0, 1), (7.5, 3)])
def test_a_request_is_admitted_after_the_returned_wait_and_not_before(first: float, limit: int) -> None:
    counted, clock = windows(limit)
    clock.forward(first)
    count_accepted(counted, "a", limit)
    wait = counted.hit("a")
    assert 0 < wait <= 20
    clock.forward(wait - 0.001)
    assert counted.hit("a") > 0
    clock.forward(0.002)
    assert counted.hit("a") == 0


@settings(max_examples=200, derandomize=True, deadline=None, database=None)
@given(st.lists(st.tuples(st.floats(0, 12), st.integers(1, 20)), max_size=30), st.integers(1, 12))
def test_two_consecutive_windows_admit_at_most_twice_the_limit(steps: list[tuple[float, int]], limit: int) -> None:
    counted, clock = windows(limit)
    times: list[float] = []
    for pause, tries in steps:
        clock.forward(pause)
        times += [clock.at] * count_accepted(counted, "a", tries)
    for start in times:
        # A sliding counter assumes that a window was used evenly; it can be wrong by one limit, never by more.
        assert sum(start <= at < start + 10 for at in times) <= 2 * limit
        assert sum(at // 10 == start // 10 for at in times) <= limit


def test_rejected_requests_do_not_count() -> None:
    counted, clock = windows(2)
    count_accepted(counted, "a", 1000)
    clock.forward(20)
    assert counted.hit("a") == 0


@pytest.mark.parametrize("back", [1, 10, 3600])
def test_a_clock_that_is_set_back_does_not_reject_requests(back: float) -> None:
    counted, clock = windows(2)
    count_accepted(counted, "a", 2)
    clock.forward(-back)
    assert counted.hit("a") == 0


@pytest.mark.parametrize("keys", [101, 1000, 20_000])
def test_the_table_is_bounded_and_keeps_the_keys_with_most_requests(keys: int) -> None:
    counted, clock = windows(10, max_keys=100)
    assert count_accepted(counted, "greedy", 11) == 10
    for n in range(keys):
        counted.hit(n)
    assert counted.hit("greedy") > 0
    assert len(counted) <= 101
    clock.forward(10)
    for n in range(keys):
        counted.hit(n)
    assert len(counted) <= 202


def test_the_sum_of_all_replicas_counts() -> None:
    counted, clock = windows(10)
    counted.share(1, lambda: None)
    count_accepted(counted, "a", 3)
    index, counts = counted.take_unshared(10)
    assert counts == {"a": 3}
    counted.hit("a")
    counted.merge("a", index, 8)  # 3 of ours and 5 of others; one more of ours is not in it yet
    assert count_accepted(counted, "a", 10) == 1
    clock.forward(10)
    counted.hit("b")
    counted.merge("b", index, 10)
    clock.forward(5)
    assert count_accepted(counted, "b", 10) == 4
    counted.merge("b", index - 7, 1_000)
    assert counted.hit("b") > 0


def test_only_the_keys_with_most_requests_are_shared() -> None:
    counted, clock = windows(100)
    notifications: list[int] = []
    counted.share(10, lambda: notifications.append(1))
    for key, times in (("a", 1), ("b", 20), ("c", 30), ("d", 40)):
        count_accepted(counted, key, times)
    assert len(notifications) == 3
    assert dict(counted.take_unshared(2)[1]) == {"c": 30, "d": 40}
    assert dict(counted.take_unshared(2)[1]) == {"b": 20}
    assert dict(counted.take_unshared(2)[1]) == {}
    count_accepted(counted, "a", 9)
    assert dict(counted.take_unshared(2)[1]) == {"a": 10}
    count_accepted(counted, "a", 9)
    clock.forward(10)
    assert dict(counted.take_unshared(2)[1]) == {}
    assert len(notifications) == 4
