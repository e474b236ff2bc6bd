"""The first of a kind, then numbers."""

from __future__ import annotations

from mcp_idp.util.repeated_events import MAX_CAUSES, MAX_KINDS, PERIOD_SECONDS, RepeatedEvents
from tests.support.app import FakeClock


def test_the_first_of_a_kind_is_written_and_the_others_are_counted() -> None:
    clock = FakeClock()
    events = RepeatedEvents(clock.clock.monotonic)
    assert [events.is_first("a"), events.is_first("a"), events.is_first("b"), events.is_first("a")] == [
        True,
        False,
        True,
        False,
    ]
    assert events.take_counts() == {"a": 2}
    assert events.take_counts() == {}


def test_what_goes_on_is_not_first_again_until_a_period_passed_without_it() -> None:
    clock = FakeClock()
    events = RepeatedEvents(clock.clock.monotonic)
    assert events.is_first("a")
    for _ in range(10):
        clock.forward(59)
        assert not events.is_first("a")
    clock.forward(60)
    assert events.is_first("a")
    assert events.take_counts() == {"a": 10}


def test_kinds_are_bounded() -> None:
    events = RepeatedEvents(FakeClock().clock.monotonic)
    first = [events.is_first(str(number)) for number in range(MAX_KINDS * 2)]
    assert sum(first) == MAX_KINDS + 1
    assert events.take_counts() == {"others": MAX_KINDS - 1}


def test_the_first_of_each_cause_is_written_and_the_others_are_counted_by_kind() -> None:
    clock = FakeClock()
    events = RepeatedEvents(clock.clock.monotonic)
    assert [events.is_first("a", cause) for cause in ("one", "two", "one", "two")] == [True, True, False, False]
    assert events.is_first("b", "one")
    assert events.take_counts() == {"a": 2}
    clock.forward(PERIOD_SECONDS)
    assert events.is_first("a", "one")


def test_causes_are_bounded_and_old_ones_are_forgotten() -> None:
    clock = FakeClock()
    events = RepeatedEvents(clock.clock.monotonic)
    first = [events.is_first("a", number) for number in range(MAX_CAUSES * 2)]
    assert sum(first) == MAX_CAUSES + 1
    assert events.take_counts() == {"a": MAX_CAUSES - 1}
    clock.forward(PERIOD_SECONDS)
    assert all(events.is_first("a", number) for number in range(MAX_CAUSES))
