"""Our server as a process of its own in front of a real realm, for clients that need real connections."""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import httpx

from tests.integration.keycloak import Realm
from tests.integration.stack import REPOSITORY, free_port

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import Any

    from tests.integration.keycloak import Keycloak


@dataclass
class Server:
    """A server that is ready.

    Attributes:
        realm: whose tokens it takes, with its own URL as their audience.
        log_file: what it says.
    """

    realm: Realm
    log_file: Path

    @property
    def url(self) -> str:
        return self.realm.public_url

    @property
    def origin(self) -> str:
        return self.url.removesuffix("/mcp")

    @property
    def log(self) -> str:
        return self.log_file.read_text(encoding="utf-8")


@contextmanager
def serving_realm(
    keycloak: Keycloak, folder: Path, *, access: dict[str, Any] | None = None, **variables: str
) -> Iterator[Server]:
    """A fresh realm and a server for it; the server is stopped at the end.

    Args:
        keycloak: where the realm is made.
        folder: for the realm's files and the server's log.
        access: members of the access file to replace.
        variables: further settings of the server.
    """
    port = free_port()
    realm = Realm(keycloak, folder, f"clients-{secrets.token_hex(4)}", public_url=f"http://localhost:{port}/mcp")
    realm.write_access(**(access or {}))
    realm.apply()
    variables = {**realm.environment, "PORT": str(port), **variables}
    with running_server(realm.public_url, variables, folder / "server.log") as log_file:
        yield Server(realm, log_file)


@contextmanager
def running_server(url: str, variables: dict[str, str], log_file: Path) -> Iterator[Path]:
    """The server as a process with these settings, ready; what it says is in the file that this gives."""
    environment = {**os.environ, "LOG_FORMAT": "json", **variables}
    with log_file.open("w", encoding="utf-8") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "mcp_server"], cwd=REPOSITORY, env=environment, stdout=log, stderr=log
        )
    try:
        _wait_until_ready(url.removesuffix("/mcp"), process, log_file)
        yield log_file
    finally:
        process.terminate()
        process.wait(timeout=30)


def _wait_until_ready(origin: str, process: subprocess.Popen[bytes], log_file: Path) -> None:
    transport = httpx.HTTPTransport(retries=7)  # waits of 0.5 s, 1 s, 2 s … between them: until it listens
    with httpx.Client(transport=transport, timeout=60, trust_env=False) as client:
        for _ in range(200):
            assert process.poll() is None, log_file.read_text()
            if client.get(f"{origin}/readyz").status_code == httpx.codes.OK:
                return
    raise AssertionError(log_file.read_text())
