"""The first closed connection of each kind is logged in full, the others as numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from structlog.testing import capture_logs

from mcp_idp.http_server.connection_log import ConnectionLog
from mcp_idp.http_server.connections import Connections
from mcp_idp.util.repeated_events import PERIOD_SECONDS
from tests.support.app import FakeClock

if TYPE_CHECKING:
    from collections.abc import Callable


def test_a_flood_is_one_line_of_each_kind_and_then_a_number_a_minute() -> None:
    clock = FakeClock()
    log = ConnectionLog(clock.clock.monotonic)
    with capture_logs() as lines:
        for _ in range(1000):
            log.record("connection_shed", client=("198.51.100.7", 1))
            log.record("http_request_rejected", "late", reason="late")
            log.record("http_request_rejected", "not_http", reason="not_http")
            log.report_repeated()
        clock.forward(PERIOD_SECONDS)
        log.report_repeated()
        log.report_repeated(is_last=True)
    logged = [line for line in lines if line["log_level"] == "info"]
    assert [line["event"] for line in logged] == [
        "connection_shed",
        "http_request_rejected",
        "http_request_rejected",
        "connections_closed",
    ]
    counts = {"connection_shed": 999, "http_request_rejected:late": 999, "http_request_rejected:not_http": 999}
    assert logged[-1]["counts"] == counts


def test_the_last_connection_is_followed_by_the_numbers() -> None:
    log = ConnectionLog(FakeClock().clock.monotonic)
    with capture_logs() as lines:
        for _ in range(3):
            log.record("connection_cut", unsent=1)
        log.report_repeated(is_last=True)
    assert [line.get("counts") for line in lines if line["log_level"] == "info"] == [None, {"connection_cut": 2}]


def test_connections_report_to_the_log_that_they_are_given() -> None:
    log = ConnectionLog(FakeClock().clock.monotonic)
    timers: list[Callable[[], None]] = []

    class Loop:
        def call_later(self, _seconds: float, callback: Callable[..., None], *arguments: object) -> object:
            timers.append(lambda: callback(*arguments))
            return object()

    with capture_logs() as lines:
        for _ in range(3):
            log.record("connection_cut", unsent=1)
        Connections(8, 1000, 1000, log=log).keep_measuring(Loop())  # type: ignore[arg-type] # all that it needs
        timers.pop()()  # there is no connection, so this is the last report
    assert lines[-1]["counts"] == {"connection_cut": 2}
