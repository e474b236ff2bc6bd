"""The settings of the server under test: where they are found, and what in them contradicts tokens."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from mcp_idp.cli.common.clock_difference import seconds_ahead
from mcp_idp.cli.common.launcher import as_launched, for_stack
from mcp_idp.cli.common.running_stack import StackServer, find_stack_server
from mcp_idp.cli.common.server_settings import ServerSettings, find_contradictions, find_server_settings

if TYPE_CHECKING:
    from pathlib import Path

URL = "http://localhost:3100/mcp"
SERVER = {"Service": "mcp-server", "State": "running", "ID": "one"}
ENVIRONMENT = [f"MCP_PUBLIC_URL={URL}", "JWT_AUDIENCE=https://wrong.example/mcp", "JWT_ISSUER=", "AUTH_TOKEN_MODE=jwt"]


def found(*containers: Any, environment: list[str], url: str = URL) -> StackServer | None:
    lines = "\n".join(map(json.dumps, containers)).encode()
    return find_stack_server(
        {}, url, list_containers=lambda *_: lines, read_environment=lambda _, name: environment if name == "one" else []
    )


def test_the_running_container_says_what_it_was_started_with_and_no_secret() -> None:
    server = found(
        SERVER,
        {"Service": "bootstrap", "State": "exited"},
        environment=[
            *ENVIRONMENT,
            "OAUTH_CLIENT_SECRET=s3cret",
            "OAUTH_CLIENT_ID=x",
            "PATH=/bin",
            "no pair",
            "JWT_X=1",
        ],
    )
    assert server is not None
    assert server.settings == {
        "MCP_PUBLIC_URL": URL,
        "JWT_AUDIENCE": "https://wrong.example/mcp",
        "AUTH_TOKEN_MODE": "jwt",
    }
    assert server.has_bootstrap


@pytest.mark.parametrize(
    ("container", "environment", "url"),
    [
        (SERVER, ENVIRONMENT, "http://localhost:3000/mcp"),  # another server
        ({**SERVER, "State": "exited"}, ENVIRONMENT, URL),
        ({**SERVER, "Service": "other"}, ENVIRONMENT, URL),
        ({**SERVER, "ID": None}, ENVIRONMENT, URL),
        (SERVER, [], URL),
        ("no container", ENVIRONMENT, URL),
    ],
)
def test_another_container_is_not_the_server(container: Any, environment: list[str], url: str) -> None:
    assert found(container, environment=environment, url=url) is None


@pytest.mark.parametrize(
    "error",
    [
        FileNotFoundError(),
        subprocess.TimeoutExpired("docker", 1),
        subprocess.CalledProcessError(1, "docker"),
        ValueError(),
    ],
)
def test_a_docker_that_fails_means_no_stack(error: Exception) -> None:
    def fail(*_: object) -> Any:
        raise error

    assert find_stack_server({}, URL, list_containers=fail) is None
    assert (
        find_stack_server({}, URL, list_containers=lambda *_: json.dumps(SERVER).encode(), read_environment=fail)
        is None
    )


@pytest.mark.parametrize("output", ["[]", "null", "[7]", "no json", '["MCP_PUBLIC_URL=http://localhost:1/mcp"]'])
def test_docker_inspect_is_read_whatever_it_prints(tmp_path: Path, output: str) -> None:
    (tmp_path / "compose.yaml").touch()
    docker = tmp_path / "docker"
    docker.write_text(
        f"#!/bin/sh\ncase $1 in compose) echo '{json.dumps(SERVER)}';; *) echo '{output}';; esac\n", encoding="utf-8"
    )
    docker.chmod(0o755)
    variables = {"PATH": f"{tmp_path}:/usr/bin:/bin"}
    server = find_stack_server(variables, "http://localhost:1/mcp", tmp_path)
    assert (server is not None) == ("MCP_PUBLIC_URL" in output)


def test_the_container_comes_first_then_an_environment_for_the_same_server() -> None:
    in_container = StackServer({"JWT_ISSUER": "x"}, has_bootstrap=True)
    known = {
        "MCP_PUBLIC_URL": URL,
        "JWT_ISSUER": "y",
        "OAUTH_SERVER_URL": "http://localhost:1/realms/mcp",
        "PATH": "/bin",
    }
    assert find_server_settings(known, URL, find=lambda *_: in_container) == ServerSettings(
        {"JWT_ISSUER": "x"}, "its container", in_stack=True
    )
    here = find_server_settings(known, URL, find=lambda *_: None)
    assert here.values == {name: known[name] for name in ("MCP_PUBLIC_URL", "JWT_ISSUER", "OAUTH_SERVER_URL")}
    assert (here.source, here.in_stack) == ("the environment or .env", False)
    elsewhere = find_server_settings(known, "https://mcp.example.com/mcp", find=lambda *_: None)
    assert elsewhere == ServerSettings()


@pytest.mark.parametrize(
    ("values", "names"),
    [
        ({}, []),
        ({"JWT_AUDIENCE": "R"}, []),
        ({"JWT_AUDIENCE": "other"}, ["JWT_AUDIENCE"]),
        ({"JWT_AUDIENCE": "r"}, ["JWT_AUDIENCE"]),
        ({"JWT_AUDIENCE": "R/"}, ["JWT_AUDIENCE"]),
        ({"JWT_ISSUER": "I"}, []),
        ({"JWT_ISSUER": "I/"}, ["JWT_ISSUER"]),
        ({"JWT_ISSUER": "J", "JWT_AUDIENCE": "S"}, ["JWT_AUDIENCE", "JWT_ISSUER"]),
    ],
)
def test_an_override_contradicts_tokens_unless_they_have_its_value(values: dict[str, str], names: list[str]) -> None:
    contradictions = find_contradictions(ServerSettings(values, "here"), ["R", "account"], "I")
    assert [each.name for each in contradictions] == names


def test_a_contradiction_is_shown_with_both_values() -> None:
    (one,) = find_contradictions(ServerSettings({"JWT_AUDIENCE": "x"}, "here"), [], "I")
    assert str(one) == "JWT_AUDIENCE is x, but tokens have aud none"


@pytest.mark.parametrize("launcher", ["", "scripts", "compose"])
def test_in_the_stack_the_bootstrap_is_what_compose_runs(launcher: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MCP_IDP_LAUNCHER", launcher)
    text = "run mcp-idp bootstrap check, then mcp-idp login"
    in_stack = "docker compose run --rm bootstrap check"
    assert in_stack in for_stack(as_launched(text))
    assert (in_stack in as_launched(text)) == (launcher == "compose")
    assert ("./scripts/login" in as_launched(text)) == (launcher != "")


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"date": "Thu, 01 Jan 1970 00:16:50 GMT"}, 10.0),
        ({"date": "Thu, 01 Jan 1970 00:16:50 GMT", "age": "3"}, None),
        ({}, None),
        ({"date": "now"}, None),
        ({"date": "Thu, 01 Jan 99999999999 00:00:00 GMT"}, None),
    ],
)
def test_a_clock_is_compared_by_the_date_of_a_response(headers: dict[str, str], expected: float | None) -> None:
    assert seconds_ahead(headers, 1000.0) == expected
