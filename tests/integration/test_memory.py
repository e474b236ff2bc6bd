"""The server's container, as compose runs it, under every flood: never killed, and another user notices nothing.

The server has a processor of its own, if there are two: floods and users share the other one.
"""

from __future__ import annotations

import ctypes
import os
import resource
import subprocess
import sys
import time
from collections import Counter
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest

from tests.support.compose_stack import REPOSITORY
from tests.support.memory_floods import FLOODS, Target
from tests.support.steady_caller import calling, percentile_99

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.compose_stack import Stack

pytestmark = [pytest.mark.containers, pytest.mark.timeout(900)]
# Of cgroup v2 and of v1.
_PEAK = "cat /sys/fs/cgroup/memory.peak 2>/dev/null || cat /sys/fs/cgroup/memory/memory.max_usage_in_bytes"
_NETWORK = 0x40000000  # CLONE_NEWNET
MAX_MIB = 200
# Calls of the other user during each flood, which is repeated until then: enough for a 99th percentile.
MIN_CALLS = 200
# What one round leaves behind adds up.
MIN_ROUNDS = 3
# Tokens expire after 300 seconds.
FRESH_SECONDS = 120


def peak_mib(stack: Stack) -> int:
    """The most that the container of the server ever held."""
    return int(stack.compose("exec", "-T", "mcp-server", "sh", "-c", _PEAK).stdout) >> 20


def token_of(stack: Stack, user: str) -> str:
    command = [sys.executable, "-m", "mcp_idp.cli", "token", "--url", stack.url, "--issuer", stack.issuer]
    command += ["--headless", "--user", user]
    environment = {**os.environ, "MCP_PASSWORD": user}  # the demo users' passwords are their names
    ended = subprocess.run(
        command, cwd=REPOSITORY, env=environment, capture_output=True, text=True, timeout=120, check=True
    )
    return ended.stdout.strip()


def quiet(_: Target) -> None:
    """No flood: what the others are compared with."""
    time.sleep(2)


@contextmanager
def own_processor(stack: Stack) -> Iterator[int | None]:
    """Gives the server's container the first processor alone; yields the one for everything here."""
    available = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
    if len(available) < 2:
        yield None
        return
    container = stack.compose("ps", "--quiet", "mcp-server").stdout.strip()
    subprocess.run(["docker", "update", "--cpuset-cpus", str(available[0]), container], check=True, capture_output=True)
    os.sched_setaffinity(0, {available[1]})
    try:
        yield available[1]
    finally:
        os.sched_setaffinity(0, available)


@contextmanager
def own_network(stack: Stack) -> Iterator[tuple[str, int]]:
    """Yields the address of the server, if possible from within its container's network.

    Otherwise Docker's proxy between client and server would be measured too: it shares the processor of the flood.
    """
    container = stack.compose("ps", "--quiet", "mcp-server").stdout.strip()
    inspected = subprocess.run(
        ["docker", "inspect", "--format", "{{.State.Pid}}", container], check=True, capture_output=True, text=True
    )
    set_namespace = getattr(ctypes.CDLL(None), "setns", None)  # os.setns is new in Python 3.12
    theirs, ours = (Path("/proc") / each / "ns/net" for each in (inspected.stdout.strip(), "self"))
    if set_namespace is None or os.getuid() != 0 or not theirs.exists():
        yield "127.0.0.1", stack.mcp_port
        return
    with ours.open() as back, theirs.open() as there:
        assert set_namespace(there.fileno(), _NETWORK) == 0
        try:
            yield "127.0.0.1", 3000
        finally:
            assert set_namespace(back.fileno(), _NETWORK) == 0


def test_no_flood_fills_the_container(stack: Stack, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    # The floods and the logins come from one address, and the limit of that address would spare the memory.
    stack.compose("up", "--wait", "--no-build", "--no-deps", "mcp-server", RATE_LIMIT_ADDRESS="0")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 8192), hard))
    rows = []
    failed = Counter[int]()
    tokens, issued = ("", ""), 0.0
    host = b"localhost:%d" % stack.mcp_port
    try:
        with own_processor(stack) as processor:
            for flood in (quiet, *FLOODS):
                if time.monotonic() - issued > FRESH_SECONDS:
                    tokens, issued = (token_of(stack, "reader"), token_of(stack, "writer")), time.monotonic()
                with (
                    own_network(stack) as address,
                    calling(
                        target := Target(address, host, *tokens), tmp_path / flood.__name__, processor=processor
                    ) as caller,
                ):
                    began = time.time()
                    calls: list[tuple[float, int]] = []
                    rounds = 0
                    while len(calls) < MIN_CALLS or rounds < MIN_ROUNDS:
                        flood(target)
                        rounds += 1
                        calls = caller.calls(began, time.time())
                    assert target.serves_other_user()
                rows.append((flood.__name__, peak_mib(stack), len(calls), percentile_99(calls)))
                failed.update(status for _, status in calls if status != httpx.codes.OK)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        with capsys.disabled():
            for name, mib, count, milliseconds in rows:
                ratio = milliseconds / rows[0][3]
                sys.stdout.write(
                    f"\n{name:<32} {mib:>4} MiB, {count:>4} calls, p99 {ratio:>5.1f} x quiet ({milliseconds:.0f} ms)"
                )
            sys.stdout.write(f"\nfailed calls: {dict(failed)}\n")
    containers = stack.containers()
    stack.compose("up", "--wait", "--no-build", "--no-deps", "mcp-server")
    states = [each["State"] for each in containers if "mcp-server" in each["Name"]]
    assert [(state["OOMKilled"], state["Status"]) for state in states] == [(False, "running")]
    assert [each["RestartCount"] for each in containers if "mcp-server" in each["Name"]] == [0]
    assert max(mib for _, mib, _, _ in rows) < MAX_MIB
    assert not failed
