"""Executes docs/providers/keycloak.md, from an existing Keycloak to a login."""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
import subprocess
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest

from tests.support.compose_stack import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "providers" / "keycloak.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```bash\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
(DOTENV,) = re.findall(r"^```ini\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Creates a copy of the repository for the commands, with its own `.env` and secrets."""
    shutil.copytree(ROOT / "scripts", tmp_path / "scripts")  # a script runs in the directory of its file, not of a link
    for name in (".venv", "mcp_idp", "mcp_server", "idp-config", *(lock.name for lock in ROOT.glob("*.lock"))):
        (tmp_path / name).symlink_to(ROOT / name)
    return tmp_path


class Addresses:
    """Values that the reader chooses: names and addresses, here free ones of this machine."""

    def __init__(self) -> None:
        self.container = f"test-own-{secrets.token_hex(3)}"
        self.keycloak_port, self.mcp_port = free_port(), free_port()

    def put_into(self, text: str) -> str:
        """Returns `text` with these addresses. Port 8080 inside the container is kept."""
        local = {
            "--name keycloak": f"--name {self.container}",
            "KC_CLI_CLIENT_SECRET keycloak ": f"KC_CLI_CLIENT_SECRET {self.container} ",
            "127.0.0.1:8080:": f"127.0.0.1:{self.keycloak_port}:",
            "http://localhost:8080/realms": f"http://localhost:{self.keycloak_port}/realms",
            "https://login.example.com": f"http://localhost:{self.keycloak_port}",
            "https://mcp.example.com": f"http://localhost:{self.mcp_port}",
            '"temporary": true': '"temporary": false',  # the test cannot choose a new password
        }
        for written, here in local.items():
            text = text.replace(written, here)
        return text


def _run(script: str, place: Path, **variables: str) -> str:
    """Runs the commands; returns their output."""
    ended = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=place,
        env={"PATH": os.environ["PATH"], "HOME": str(place), **_engine(), **variables},
        capture_output=True,
        text=True,
        timeout=1100,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout + ended.stderr


def _engine() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name.startswith("DOCKER_")}


@contextmanager
def _serving(command: str, place: Path, url: str, port: int) -> Iterator[None]:
    """Runs the server during the block, once it has the provider's keys."""
    variables = {"PATH": os.environ["PATH"], "PORT": str(port)}
    with subprocess.Popen(
        ["bash", "-euc", command.replace("\n.venv", "\nexec .venv")], cwd=place, env=variables
    ) as server:
        try:
            deadline = time.monotonic() + 60
            while time.monotonic() < deadline and server.poll() is None:
                with suppress(httpx.TransportError):
                    if httpx.get(f"{url}/readyz").status_code == httpx.codes.OK:
                        break
                time.sleep(0.2)  # polls, because the process does not signal that it is ready
            yield
        finally:
            server.terminate()


@pytest.mark.full
@pytest.mark.containers
@pytest.mark.timeout(1200)
def test_the_page_leads_from_one_s_own_keycloak_to_a_login(place: Path, engine: None) -> None:
    addresses = Addresses()
    (place / ".env").write_text(addresses.put_into(DOTENV), encoding="utf-8")
    *before, server, login = map(addresses.put_into, BLOCKS)
    try:
        message = _run("".join(before), place)
        assert re.search(r"^plan: \d+ to create", message, re.MULTILINE)
        assert message.count("no changes, no weaknesses") == 2
        assert "the temporary administrator mcp-bootstrap: it can no longer log in" in message
        secrets = [
            path.read_text(encoding="utf-8").strip() for path in (place / ".secrets").rglob("*") if path.is_file()
        ]
        assert len(secrets) == 4  # of the server and three service accounts; that of the first apply is deleted
        assert [secret for secret in secrets if secret in message] == []
        with _serving(server, place, f"http://localhost:{addresses.mcp_port}", addresses.mcp_port):
            words = "--headless --user ada --json --call whoami"
            found = json.loads(_run(f"{login.strip()} {words} 2>/dev/null", place, MCP_PASSWORD="ada-for-now"))
        assert found["claims"]["iss"] == f"http://localhost:{addresses.keycloak_port}/realms/team"
        assert {"mcp:tools", "mcp:notes.read"} <= set(found["claims"]["scope"].split())
    finally:
        subprocess.run(["docker", "rm", "--force", "--volumes", addresses.container], capture_output=True, check=False)


def test_its_switches_and_its_image_are_those_of_the_compose_file() -> None:
    compose = (ROOT / "docker-compose.yml").read_text(encoding="utf-8")
    expected = dict(re.findall(r'^ +(KC_SPI_\w+): "?([\w-]+)"?$', compose, re.MULTILINE))
    assert dict(re.findall(r"--env (KC_SPI_\w+)=([\w-]+)", BLOCKS[0])) == expected
    assert re.findall(r"quay\.io/\S+", BLOCKS[0]) == re.findall(r"quay\.io/\S+", compose)
