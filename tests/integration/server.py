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
    environment = {**os.environ, **realm.environment, "PORT": str(port), "LOG_FORMAT": "json", **variables}
    log_file = folder / "server.log"
    with log_file.open("w", encoding="utf-8") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "mcp_server"], cwd=REPOSITORY, env=environment, stdout=log, stderr=log
        )
    server = Server(realm, log_file)
    try:
        _wait_until_ready(server, process)
        yield server
    finally:
        process.terminate()
        process.wait(timeout=30)


def _wait_until_ready(server: Server, process: subprocess.Popen[bytes]) -> None:
    transport = httpx.HTTPTransport(retries=7)  # waits of 0.5 s, 1 s, 2 s … between them: until it listens
    with httpx.Client(transport=transport, timeout=60, trust_env=False) as client:
        for _ in range(200):
            assert process.poll() is None, server.log
            if client.get(f"{server.origin}/readyz").status_code == httpx.codes.OK:
                return
    raise AssertionError(server.log)
