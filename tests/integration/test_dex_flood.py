"""A flood of registrations at the proxy of a real Dex: neither the proxy nor Dex stores anything."""

from __future__ import annotations

import json
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection
from typing import TYPE_CHECKING

import pytest

from tests.support.dex import REDIRECT, Dex, running_dex

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = [pytest.mark.containers, pytest.mark.full]
_PROGRAMS = 8  # concurrent clients, each with a persistent connection
_BODY = json.dumps({"redirect_uris": [REDIRECT], "client_name": "one of many"}).encode()
_HEADERS = {"Content-Type": "application/json"}
_MEBIBYTE = 2**20
_FILES = "find / -xdev -newer /run/idp/front/Caddyfile -type f ; find /tmp -type f"


@pytest.fixture
def dex(engine: None, tmp_path: Path) -> Iterator[Dex]:
    with running_dex(tmp_path) as server:
        yield server


def register(dex: Dex, times: int) -> Counter[tuple[int, str]]:
    """Registers `times` times; returns the counts by status and client id."""

    def one_program(_: int) -> Counter[tuple[int, str]]:
        connection = HTTPConnection("127.0.0.1", dex.port, timeout=60)
        found: Counter[tuple[int, str]] = Counter()
        try:
            for _ in range(times // _PROGRAMS):
                connection.request("POST", "/register", _BODY, _HEADERS)
                response = connection.getresponse()
                found[response.status, json.loads(response.read()).get("client_id", "")] += 1
        finally:
            connection.close()
        return found

    with ThreadPoolExecutor(_PROGRAMS) as programs:
        return sum(programs.map(one_program, range(_PROGRAMS)), Counter())


def memory(dex: Dex, name: str) -> int:
    """Returns the bytes that a container's processes use, without the kernel's file cache."""
    current = dex.containers[name].get_wrapped_container().stats(stream=False)["memory_stats"]
    return int(current["usage"]) - int(current.get("stats", {}).get("inactive_file", 0))


def stored_objects(dex: Dex) -> tuple[object, ...]:
    """Returns everything else that could grow: files, changes in the containers' file systems, log lines."""
    proxy, behind = (dex.containers[name].get_wrapped_container() for name in ("front", "dex"))
    files = proxy.exec_run(["sh", "-c", _FILES]).output.decode().replace("\n\n", "\n")
    written = sorted(line for line in files.splitlines() if not line.startswith(("/proc", "find:")))
    return written, proxy.diff(), behind.diff(), len(dex.logs().splitlines()), len(dex.logs("front").splitlines())


def test_ten_thousand_registrations_leave_nothing_behind(dex: Dex) -> None:
    register(dex, 2_000)  # warm-up: memory that any traffic needs is allocated by then
    before, current = stored_objects(dex), {name: memory(dex, name) for name in ("front", "dex")}
    responses = register(dex, 10_000)
    assert {status for status, _ in responses} == {201}
    assert sum(responses.values()) == 10_000
    assert len(responses) == 100  # exactly the clients of the pool
    assert max(responses.values()) < 2 * min(responses.values())  # uniformly at random
    assert stored_objects(dex) == before
    grown = {name: memory(dex, name) - current[name] for name in current}
    assert grown["front"] < 16 * _MEBIBYTE, grown
    assert grown["dex"] < 4 * _MEBIBYTE, grown  # no request reached it
    assert dex.log_in("reader", "mcp-native-00")["status"] == 200
