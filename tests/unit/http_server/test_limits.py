"""The limits that the page states, and which request targets are accepted."""

from __future__ import annotations

from pathlib import Path

import pytest

from mcp_idp.http_server.limits import (
    BAD_TARGET,
    CONNECT,
    MAX_BODY_BYTES,
    TARGET_HOST,
    HttpLimits,
    HttpRejection,
    RequestRejected,
    origin_form,
)

PAGE = (Path(__file__).parents[3] / "docs" / "your-own-server.md").read_text(encoding="utf-8")
HEADERS = [(b"accept", b"*/*"), (b"host", b"localhost:3000")]


def test_the_defaults_are_those_that_the_page_states() -> None:
    limits = HttpLimits()
    assert (limits.body_bytes, MAX_BODY_BYTES) == (4 * 1024 * 1024, 4 * 1024 * 1024)
    for row in (
        (
            f"| request line and headers | {limits.header_bytes // 1024} kB, {limits.header_count} fields, "
            f"{limits.header_seconds:g} seconds |"
        ),
        f"| the time for a body | {limits.body_seconds:g} seconds |",
        f"| the time for which a client may leave a response unread | {limits.write_seconds:g} seconds |",
        f"| requests that wait on one connection | {limits.pipelined} |",
        (
            f"| the time for which a rejected client is still read from | {limits.linger_seconds:g} seconds, "
            f"{limits.linger_bytes // 1024 // 1024} MiB |"
        ),
    ):
        assert row in PAGE.splitlines()


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        (b"/mcp?a=1", b"/mcp?a=1"),
        (b"//mcp", b"//mcp"),
        (b"http://localhost:3000/mcp", b"/mcp"),
        (b"HTTP://LOCALHOST:3000/mcp?a=1", b"/mcp?a=1"),
        (b"https://localhost:3000", b"/"),
        (b"http://localhost:3000?a", b"/?a"),
    ],
)
def test_a_target_becomes_its_path_and_query(target: bytes, expected: bytes) -> None:
    assert origin_form(b"GET", target, HEADERS) == expected


@pytest.mark.parametrize(
    ("method", "target", "rejection"),
    [
        (b"GET", b"ftp://localhost:3000/mcp", BAD_TARGET),
        (b"GET", b"http:///mcp", BAD_TARGET),
        (b"GET", b"http:/mcp", BAD_TARGET),
        (b"GET", b"mcp", BAD_TARGET),
        (b"GET", b"*", BAD_TARGET),
        (b"GET", b"/mcp#part", BAD_TARGET),
        (b"GET", b"http://localhost:3000/mcp#part", BAD_TARGET),
        (b"GET", b"http://localhost:3001/mcp", TARGET_HOST),
        (b"GET", b"http://user@localhost:3000/mcp", TARGET_HOST),
        (b"CONNECT", b"localhost:3000", CONNECT),
    ],
)
def test_another_target_is_rejected(method: bytes, target: bytes, rejection: HttpRejection) -> None:
    with pytest.raises(RequestRejected) as caught:
        origin_form(method, target, HEADERS)
    assert caught.value.rejection is rejection


def test_the_target_of_options_may_be_the_server() -> None:
    assert origin_form(b"OPTIONS", b"*", HEADERS) == b"*"
