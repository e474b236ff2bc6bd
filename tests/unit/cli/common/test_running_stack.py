"""Where commands find the running stack: the environment, `.env`, then what Docker Compose reports."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from mcp_idp.cli.common.running_stack import (
    RunningStack,
    crash_hint,
    find_stack,
    stack_environment,
    stack_variables,
)
from mcp_idp.cli.common.server_env import with_urls

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from mcp_idp.cli.common.running_stack import State

SERVER = {"Service": "mcp-server", "State": "running", "Publishers": [{"TargetPort": 3000, "PublishedPort": 3100}]}
KEYCLOAK = {
    "Service": "keycloak",
    "State": "running",
    "Publishers": [{"TargetPort": 9000, "PublishedPort": 0}, {"TargetPort": 8080, "PublishedPort": 8180}],
}
REGISTRATION_PROXY = {
    "Service": "front",
    "State": "running",
    "Publishers": [{"TargetPort": 5556, "PublishedPort": 5600}],
}
KEYCLOAK_PROXY = {"Service": "front", "State": "running", "Publishers": [{"TargetPort": 8088, "PublishedPort": 8180}]}
PRODUCTION_PROXY = {"Service": "front", "State": "running", "Publishers": [{"TargetPort": 8080, "PublishedPort": 80}]}
HERE = RunningStack({"MCP_PORT": "3100", "KEYCLOAK_PORT": "8180"}, "running")


def reported(*containers: Any, lines: bool = True) -> RunningStack:
    """What is found where `docker compose ps` prints these containers."""
    output = "\n".join(map(json.dumps, containers)) if lines else json.dumps(containers)
    return find_stack({}, list_containers=lambda *_: output.encode(), count_restarts=lambda *_: 0)


@pytest.mark.parametrize("lines", [True, False])
def test_published_ports_are_read_from_lines_and_from_an_array(*, lines: bool) -> None:
    assert reported(SERVER, KEYCLOAK, lines=lines) == HERE
    assert dict(reported(REGISTRATION_PROXY, lines=lines).ports) == {"DEX_PORT": "5600"}
    assert reported(SERVER, KEYCLOAK_PROXY, lines=lines) == HERE
    assert dict(reported(PRODUCTION_PROXY, lines=lines).ports) == {}


@pytest.mark.parametrize(
    "output",
    [b"", b"no json", b"\xff", b"null", b'"text"', b"[1, null]", b'{"Service": "mcp-server", "Publishers": null}'],
)
def test_what_docker_prints_otherwise_is_nothing(output: bytes) -> None:
    assert dict(find_stack({}, list_containers=lambda *_: output).ports) == {}


@pytest.mark.parametrize(
    "error", [FileNotFoundError(), subprocess.TimeoutExpired("docker", 1), subprocess.CalledProcessError(1, "docker")]
)
def test_a_docker_that_fails_is_nothing(error: Exception) -> None:
    def fail(*_: object) -> bytes:
        raise error

    assert find_stack({}, list_containers=fail) == RunningStack({}, "absent")


def test_without_a_compose_file_docker_is_not_queried(tmp_path: Path) -> None:
    assert find_stack({"PATH": "/usr/bin:/bin"}, tmp_path) == RunningStack({}, "absent")
    (tmp_path / "compose.yaml").touch()
    assert find_stack({}, tmp_path) == RunningStack({}, "absent")
    docker = tmp_path / "docker"
    docker.write_text(f"#!/bin/sh\necho '{json.dumps(SERVER)}'\n")
    docker.chmod(0o755)
    assert dict(find_stack({"PATH": str(tmp_path)}, tmp_path).ports) == {"MCP_PORT": "3100"}


@pytest.mark.parametrize(
    ("variables", "dotenv", "server", "provider"),
    [
        ({}, "", "http://localhost:3100/mcp", "http://localhost:8180/realms/mcp"),
        ({}, "MCP_PORT=3200\n", "http://localhost:3200/mcp", "http://localhost:8180/realms/mcp"),
        ({"MCP_PORT": "3300"}, "MCP_PORT=3200\n", "http://localhost:3300/mcp", "http://localhost:8180/realms/mcp"),
        ({"MCP_PORT": ""}, "", "http://localhost:3100/mcp", "http://localhost:8180/realms/mcp"),
        ({"MCP_PUBLIC_URL": "https://a/mcp"}, "", "https://a/mcp", "http://localhost:8180/realms/mcp"),
        ({"DEX_PORT": "5600"}, "", "http://localhost:3100/mcp", "http://localhost:5600"),
        ({}, "KEYCLOAK_PORT=8280\n", "http://localhost:3100/mcp", "http://localhost:8280/realms/mcp"),
        ({"OAUTH_SERVER_URL": "https://b/"}, "", "http://localhost:3100/mcp", "https://b/"),
    ],
)
def test_the_environment_then_the_file_then_docker(
    variables: dict[str, str], dotenv: str, server: str, provider: str, tmp_path: Path
) -> None:
    path = tmp_path / ".env"
    path.write_text(dotenv)
    found = with_urls(stack_variables(variables, path, find=lambda _: HERE))
    assert (found["MCP_PUBLIC_URL"], found["OAUTH_SERVER_URL"]) == (server, provider)


def test_docker_is_queried_only_for_unknown_ports(tmp_path: Path) -> None:
    queries: list[Mapping[str, str]] = []

    def find(variables: Mapping[str, str]) -> RunningStack:
        queries.append(variables)
        return HERE

    nowhere = tmp_path / ".env"
    assert stack_variables({}, nowhere, needs=[], find=find) == {}
    known = {"MCP_PORT": "1", "OAUTH_SERVER_URL": "https://b/"}
    assert stack_variables(known, nowhere, find=find) == known
    assert queries == []
    assert stack_variables({}, nowhere, needs=["server"], find=find) == {"MCP_PORT": "3100"}
    assert stack_environment(known, nowhere) == {**known, "MCP_PUBLIC_URL": "http://localhost:1/mcp"}


@pytest.mark.parametrize(
    ("state", "hint"), [("restarting", "keeps crashing"), ("exited", "has ended"), ("dead", "has ended")]
)
def test_a_crashed_server_is_distinguished_from_an_absent_one(state: str, hint: str) -> None:
    line = crash_hint({}, find=lambda _: reported({**SERVER, "State": state}))
    assert hint in line
    assert "docker compose logs mcp-server" in line
    assert crash_hint({}, find=lambda _: reported(SERVER)) == ""
    assert crash_hint({}, find=lambda _: reported(KEYCLOAK)) == ""
    assert crash_hint({}, find=lambda _: reported()) == ""


@pytest.mark.parametrize(
    ("health", "restarts", "state"),
    [
        ("starting", 0, "running"),
        ("starting", 1, "crashing"),
        ("unhealthy", 7, "crashing"),
        ("", 2, "crashing"),
        ("healthy", 3, "running"),
    ],
)
def test_a_server_that_is_shown_as_running_between_two_crashes_keeps_crashing(
    health: str, restarts: int, state: State
) -> None:
    asked: list[str] = []

    def count(_: Mapping[str, str], container: str) -> int:
        asked.append(container)
        return restarts

    output = json.dumps({**SERVER, "ID": "abc", "Health": health}).encode()
    found = find_stack({}, list_containers=lambda *_: output, count_restarts=count)
    assert found == RunningStack({"MCP_PORT": "3100"}, state)
    assert asked == ([] if health == "healthy" else ["abc"])


@pytest.mark.parametrize(
    "error",
    [OSError(), ValueError(), subprocess.TimeoutExpired("docker", 1), subprocess.CalledProcessError(1, "docker")],
)
def test_without_a_count_of_restarts_the_server_counts_as_running(error: Exception) -> None:
    def fail(*_: object) -> int:
        raise error

    output = json.dumps(SERVER).encode()
    assert find_stack({}, list_containers=lambda *_: output, count_restarts=fail).server == "running"


def test_the_restarts_are_read_from_docker(tmp_path: Path) -> None:
    (tmp_path / "compose.yaml").touch()
    docker = tmp_path / "docker"
    listed = json.dumps({**SERVER, "ID": "abc"})
    docker.write_text(f"#!/bin/sh\ncase $1 in compose) echo '{listed}' ;; inspect) echo 4 ;; esac\n")
    docker.chmod(0o755)
    assert find_stack({"PATH": str(tmp_path)}, tmp_path).server == "crashing"
