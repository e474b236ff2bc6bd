"""Our server as a process, with a real provider, for clients that need real connections."""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import httpx

from tests.support.compose_stack import REPOSITORY, free_port
from tests.support.keycloak.realm import Realm

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path
    from typing import Any

    from tests.support.keycloak.realm import Keycloak


@dataclass
class Process:
    """A server process that is ready.

    Attributes:
        url: its URL, which is the audience of its tokens.
        log_file: its log.
    """

    url: str
    log_file: Path

    @property
    def origin(self) -> str:
        return self.url.removesuffix("/mcp")

    @property
    def log(self) -> str:
        return self.log_file.read_text(encoding="utf-8")


@dataclass
class Server(Process):
    """A server process that accepts the tokens of a Keycloak realm."""

    realm: Realm


@contextmanager
def serving_realm(
    keycloak: Keycloak, folder: Path, *, access: dict[str, Any] | None = None, **variables: str
) -> Iterator[Server]:
    """Creates a realm and starts a server for it; stops the server at the end.

    Args:
        keycloak: the server in which the realm is created.
        folder: the folder for the realm's files and the server's log.
        access: members of the access file to replace.
        variables: further settings of the server.
    """
    port = free_port()
    realm = Realm(keycloak, folder, f"clients-{secrets.token_hex(4)}", public_url=f"http://localhost:{port}/mcp")
    realm.write_access(**(access or {}))
    realm.apply()
    with serving_process({**realm.environment, **variables}, folder / "server.log") as process:
        yield Server(process.url, process.log_file, realm)


@contextmanager
def serving_process(settings: Mapping[str, str], log_file: Path, *, port: int | None = None) -> Iterator[Process]:
    """Starts our server with these settings, at `port` or that of MCP_PUBLIC_URL; stops it at the end."""
    public = urlsplit(settings["MCP_PUBLIC_URL"])
    port = port or public.port
    environment = {**os.environ, "PORT": str(port), "LOG_FORMAT": "json", **settings}
    command = [sys.executable, "-m", "mcp_server"]
    url = f"http://localhost:{port}{public.path}"
    with serving_command(command, REPOSITORY, environment, url, log_file) as server:
        yield server


@contextmanager
def serving_command(
    command: Sequence[str],
    folder: Path,
    environment: Mapping[str, str],
    url: str,
    log_file: Path,
    *,
    ready: str = "/readyz",
) -> Iterator[Process]:
    """Runs a command that serves at `url`, in `folder`, once it responds at `ready`; stops it at the end."""
    with log_file.open("w", encoding="utf-8") as log:
        process = subprocess.Popen(command, cwd=folder, env=dict(environment), stdout=log, stderr=log)
    server = Process(url, log_file)
    try:
        _wait_until_ready(server, process, ready)
        yield server
    finally:
        process.terminate()
        process.wait(timeout=30)


def _wait_until_ready(server: Process, process: subprocess.Popen[bytes], path: str) -> None:
    transport = httpx.HTTPTransport(retries=7)  # waits 0.5 s, 1 s, 2 s … until the server listens
    with httpx.Client(transport=transport, timeout=60, trust_env=False) as client:
        for _ in range(200):
            assert process.poll() is None, server.log
            if client.get(f"{server.origin}{path}").status_code == httpx.codes.OK:
                return
    raise AssertionError(server.log)
