"""Executes docs/your-own-server.md in an empty directory, with the built wheel."""

from __future__ import annotations

import os
import re
import secrets
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest

from mcp_idp.cli.init.generated_files import InitOptions, protect_lines
from tests.support.compose_stack import free_port
from tests.support.mcp_server_process import serving_command
from tests.support.wheel_install import add_dependencies, build_wheel

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

PAGE = (Path(__file__).parents[2] / "docs" / "your-own-server.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
INSTALL, INIT, DEMO, BOOTSTRAP, SERVE, READER, WRITER = [text for kind, text in BLOCKS if kind == "sh"]
pytestmark = pytest.mark.timeout(300)  # a virtual environment is made


class Place:
    """An empty directory of the reader's, in which the page's commands run, with ports that are free here."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port, self.keycloak_port = free_port(), free_port()
        self.environment = {
            **os.environ,
            "PATH": f"{folder / '.venv' / 'bin'}:{Path(sys.executable).parent}:{os.environ['PATH']}",
            "PIP_NO_INDEX": "1",
            "PIP_NO_DEPS": "1",
            "COMPOSE_PROJECT_NAME": f"test-own-{secrets.token_hex(3)}",
            "NO_COLOR": "1",
        }

    def run(
        self, block: str, options: str = "", *, timeout: float = 240, variables: Mapping[str, str] | None = None
    ) -> str:
        """Runs a block of the page, with further options at its end and variables; returns its output."""
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", f"{block.rstrip()} {options}"],
            cwd=self.folder,
            env={**self.environment, **(variables or {})},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    def init(self, framework: str, *options: str) -> str:
        ports = ["--port", str(self.port), "--keycloak-port", str(self.keycloak_port)]
        return self.run(INIT, " ".join(["--framework", framework, *ports, *options]))


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Place:
    folder = tmp_path_factory.mktemp("own")
    shutil.copy(build_wheel(tmp_path_factory.mktemp("wheel")), folder)
    place = Place(folder)
    place.run(INSTALL)
    add_dependencies(folder / ".venv")
    return place


@pytest.fixture(scope="module")
def configured(installed: Place, engine: None) -> Iterator[Place]:
    """The same place once its compose file has started Keycloak and configured it."""
    installed.init("sdk", "--force")
    try:
        output = installed.run(BOOTSTRAP, timeout=800)
        assert "reader, writer would each get the scopes of their roles" in output
        assert "no changes" in installed.run(BOOTSTRAP, "plan").splitlines()
        yield installed
    finally:
        installed.run("docker compose down --volumes --rmi local --timeout 5")


@pytest.mark.parametrize("framework", ["sdk", "fastmcp", "starlette"])
def test_the_page_leads_to_a_tool_call_with_the_embedded_provider(framework: str, installed: Place) -> None:
    output = installed.init(framework, "--force")
    assert "server.py" in output
    assert "wheels/mcp_idp-" in output  # the wheel that was installed is there for the images
    # The settings of another deployment do not reach the demo.
    elsewhere = {"OAUTH_SERVER_URL": "https://login.example.com/realms/team", "AUTH_TOKEN_MODE": "introspection"}
    output = installed.run(DEMO, f"--port {free_port()} --idp-port {free_port()}", variables=elsewhere)
    (block,) = (text for kind, text in BLOCKS if kind == "text" and "whoami" in text)
    assert [line for line in block.splitlines() if line not in output] == []


@pytest.mark.containers
@pytest.mark.timeout(900)  # an image is built
@pytest.mark.parametrize("framework", ["sdk", "fastmcp"])
def test_the_page_leads_to_a_tool_call_with_keycloak(framework: str, configured: Place, tmp_path: Path) -> None:
    configured.init(framework, "--force")
    url = f"http://localhost:{configured.port}/mcp"
    command = ["bash", "-euc", f"exec {SERVE}"]
    with serving_command(command, configured.folder, configured.environment, url, tmp_path / "log"):
        assert "You are " in configured.run(READER)
        assert ": milk" in configured.run(WRITER)
        rejected = subprocess.run(
            ["bash", "-euc", WRITER.replace("writer", "reader")],
            cwd=configured.folder,
            env=configured.environment,
            capture_output=True,
            text=True,
            check=False,
        )
    assert rejected.returncode == 7
    assert "mcp-writer" in rejected.stdout + rejected.stderr


@pytest.mark.containers
@pytest.mark.timeout(900)
def test_registrations_go_through_the_registrar(configured: Place) -> None:
    """Keycloak alone rejects this home page and never grants this client more than it registered with."""
    issuer = f"http://localhost:{configured.keycloak_port}/realms/mcp"
    document = {"redirect_uris": ["http://127.0.0.1:5/cb"], "client_uri": "https://opencode.ai", "scope": "mcp:tools"}
    response = httpx.post(f"{issuer}/clients-registrations/openid-connect", json=document)
    assert (response.status_code, response.json()["redirect_uris"]) == (201, document["redirect_uris"])
    assert "mcp:write" in response.json()["scope"].split()


def test_the_page_shows_the_lines_that_init_prints() -> None:
    (block,) = (text for kind, text in BLOCKS if kind == "python")
    lines = protect_lines(InitOptions(existing="orders.main:mcp"))
    assert [line for line in block.splitlines() if line] == [line.partition("  #")[0] for line in lines]
