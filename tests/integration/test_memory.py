"""The server's container, as compose runs it, under every flood: never killed, and others are served meanwhile."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.support.compose_stack import REPOSITORY
from tests.support.memory_floods import FLOODS, Target

if TYPE_CHECKING:
    from tests.support.compose_stack import Stack

pytestmark = [pytest.mark.containers, pytest.mark.timeout(900)]
# Of cgroup v2 and of v1.
_PEAK = "cat /sys/fs/cgroup/memory.peak 2>/dev/null || cat /sys/fs/cgroup/memory/memory.max_usage_in_bytes"
MAX_MIB = 200


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


def test_no_flood_fills_the_container(stack: Stack, capsys: pytest.CaptureFixture[str]) -> None:
    # The floods and the logins come from one address, and the limit of that address would spare the memory.
    stack.compose("up", "--wait", "--no-build", "--no-deps", "mcp-server", RATE_LIMIT_ADDRESS="0")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 8192), hard))
    peaks = {"at rest": peak_mib(stack)}
    address, host = ("127.0.0.1", stack.mcp_port), b"localhost:%d" % stack.mcp_port
    try:
        for flood in FLOODS:
            target = Target(address, host, token_of(stack, "reader"), token_of(stack, "writer"))
            flood(target)
            assert target.serves_other_user()
            peaks[flood.__name__] = peak_mib(stack)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        with capsys.disabled():
            sys.stdout.write("".join(f"\n{name:<32} {mib:>4} MiB" for name, mib in peaks.items()) + "\n")
    containers = stack.containers()
    stack.compose("up", "--wait", "--no-build", "--no-deps", "mcp-server")
    states = [each["State"] for each in containers if "mcp-server" in each["Name"]]
    assert [(state["OOMKilled"], state["Status"]) for state in states] == [(False, "running")]
    assert [each["RestartCount"] for each in containers if "mcp-server" in each["Name"]] == [0]
    assert max(peaks.values()) < MAX_MIB
