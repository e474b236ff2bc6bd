"""The commands find the stack that runs, by environment, `.env` or published ports; and tell why a server does not."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from tests.support.compose_stack import REPOSITORY, Stack

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = [pytest.mark.containers, pytest.mark.timeout(600)]

_URLS = ("MCP_PUBLIC_URL", "OAUTH_SERVER_URL", "MCP_PORT", "KEYCLOAK_PORT", "DEX_PORT")
_HEADLESS = ("--headless", "--user", "reader")


def run(stack: Stack, folder: Path, *words: str, stdin: str = "", **variables: str) -> subprocess.CompletedProcess[str]:
    """Runs a command of `mcp-idp` in a folder, in which Docker Compose finds the stack by name."""
    environment = {name: value for name, value in os.environ.items() if name not in _URLS}
    environment |= {"COMPOSE_PROJECT_NAME": stack.project, "COMPOSE_FILE": str(REPOSITORY / "docker-compose.yml")}
    return subprocess.run(
        [sys.executable, "-m", "mcp_idp.cli", *words],
        cwd=folder,
        env={**environment, "PYTHONPATH": str(REPOSITORY), "MCP_PASSWORD": "reader", **variables},
        input=stdin,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.mark.parametrize("source", ["environment", "file", "docker"])
def test_the_commands_find_the_stack(stack: Stack, source: str, tmp_path: Path) -> None:
    ports = {"MCP_PORT": str(stack.mcp_port), "KEYCLOAK_PORT": str(stack.keycloak_port)}
    if source == "file":
        (tmp_path / ".env").write_text("".join(f"{name}={port}\n" for name, port in ports.items()))
    named = ports if source == "environment" else {}
    access = {"ACCESS_FILE": str(REPOSITORY / "idp-config" / "access.yaml")}

    login = run(stack, tmp_path, "login", *_HEADLESS, "--json", **named)
    assert login.returncode == 0, login.stderr
    claims = json.loads(login.stdout)["claims"]
    assert (claims["iss"], claims["aud"]) == (stack.issuer, stack.url)

    token = run(stack, tmp_path, "token", *_HEADLESS, **named)
    assert token.returncode == 0, token.stderr
    inspected = run(stack, tmp_path, "inspect", stdin=token.stdout, **named, **access)
    assert inspected.returncode == 0, inspected.stdout + inspected.stderr

    doctor = run(stack, tmp_path, "doctor", "--json", **named)
    assert doctor.returncode == 0, doctor.stderr
    assert json.loads(doctor.stdout)["url"] == stack.url


def test_the_login_in_a_container_recreates_nothing_whatever_ports_are_named(stack: Stack) -> None:
    before = {container["Id"] for container in stack.containers()}
    for mcp_port, keycloak_port in (("", ""), ("1", "2")):
        ended = stack.compose(
            "run", "--rm", "login", *_HEADLESS, "--json", MCP_PORT=mcp_port, KEYCLOAK_PORT=keycloak_port
        )
        claims = json.loads(ended.stdout)["claims"]
        assert (claims["iss"], claims["aud"]) == (stack.issuer, stack.url)
    assert {container["Id"] for container in stack.containers()} == before


@contextmanager
def _server_with(stack: Stack, name: str, value: str) -> Iterator[None]:
    """Runs the stack's server with another setting, which only its container knows."""
    words = ("up", "--detach", "--wait", "--no-build", "--no-deps", "mcp-server")
    replace(stack, variables={**stack.variables, name: value}).compose(*words)
    try:
        yield
    finally:
        stack.compose(*words)


@pytest.mark.parametrize(
    ("name", "value"),
    [("JWT_AUDIENCE", "https://wrong.example/mcp"), ("JWT_ISSUER", "http://localhost:8080/realms/other")],
)
def test_a_setting_because_of_which_the_server_rejects_every_token_is_named(
    stack: Stack, name: str, value: str, tmp_path: Path
) -> None:
    ports = {"MCP_PORT": str(stack.mcp_port), "KEYCLOAK_PORT": str(stack.keycloak_port)}
    with _server_with(stack, name, value):
        plain = run(stack, tmp_path, "doctor", "--json", **ports)
        with_token = run(stack, tmp_path, "doctor", "--json", "--login", *_HEADLESS, **ports)
        login = run(stack, tmp_path, "login", *_HEADLESS, **ports)
    (finding,) = json.loads(plain.stdout)["findings"]
    assert (plain.returncode, finding["finding"]) == (1, "setting_contradicts")
    assert finding["observed"].startswith(f"{name} is {value}, but tokens have")
    assert json.loads(with_token.stdout)["findings"][0]["fix"].startswith(f"unset {name} (from its container)")
    assert login.returncode == 6
    assert f"login: {name} is {value}, but tokens have" in login.stderr
    assert f"unset {name} and restart the server" in login.stderr


def test_without_the_admin_secret_the_doctor_names_the_container_that_has_it(stack: Stack, tmp_path: Path) -> None:
    ended = run(stack, tmp_path, "doctor", "--json", "--inside", "--probe", MCP_PORT=str(stack.mcp_port))
    fixes = {finding["finding"]: finding["fix"] for finding in json.loads(ended.stdout)["findings"]}
    assert fixes["provider_not_checked"].startswith("run docker compose run --rm bootstrap check: ")
    assert fixes["provider_not_probed"].startswith("run docker compose run --rm bootstrap probe: ")
    checked = stack.compose("run", "--rm", "-T", "bootstrap", "check")
    assert "no changes" in checked.stdout + checked.stderr


def _restarts(stack: Stack) -> int:
    """Returns how often the engine has restarted the server."""
    return sum(
        int(container["RestartCount"])
        for container in stack.containers()
        if container["Config"]["Labels"]["com.docker.compose.service"] == "mcp-server"
    )


@contextmanager
def _server_that_crashes(stack: Stack) -> Iterator[None]:
    try:
        stack.compose("up", "--detach", "--no-build", "--no-deps", "mcp-server", CLOCK_LEEWAY="1h")
        assert any(_restarts(stack) for _ in range(200)), "the engine did not restart the server"
        yield
    finally:
        stack.compose("up", "--wait", "--no-build")


@pytest.mark.parametrize(
    "words", [("login", *_HEADLESS), ("token", *_HEADLESS), ("doctor",)], ids=lambda words: words[0]
)
def test_a_server_that_keeps_crashing_is_told_from_one_that_was_stopped(
    stack: Stack, words: tuple[str, ...], tmp_path: Path
) -> None:
    with _server_that_crashes(stack):
        crashing = run(stack, tmp_path, *words, MCP_PORT=str(stack.mcp_port))
        stack.compose("stop", "mcp-server")
        stopped = run(stack, tmp_path, *words, MCP_PORT=str(stack.mcp_port))
        log = stack.compose("logs", "--no-log-prefix", "mcp-server").stdout
    assert (crashing.returncode, stopped.returncode) == (3, 3)
    hint = "docker compose logs mcp-server shows why"
    assert crashing.stderr.endswith(f"{words[0]}: the container mcp-server keeps crashing: {hint}\n")
    assert stopped.stderr.endswith(f"{words[0]}: the container mcp-server has ended: {hint}\n")
    assert "CLOCK_LEEWAY=3600s: at most 300s" in log
