"""The stack of docker-compose.production.yml, reached by its two host names through Caddy."""

from __future__ import annotations

import os
import socket
import ssl
import subprocess
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx

from tests.support.compose_stack import REPOSITORY, Stack, free_port, greeting
from tests.support.keycloak.realm import REDIRECT, Keycloak, Realm

if TYPE_CHECKING:
    from collections.abc import Iterator

MCP, LOGIN = "mcp.example.test", "login.example.test"
URL, ISSUER = f"https://{MCP}/mcp", f"https://{LOGIN}/realms/mcp"
USER = "ada"
UP = ("up", "--wait", "--no-build")
_READ_SECRETS = """
import pathlib
for path in pathlib.Path('/run/idp').rglob('secret'):
    print(path.parent.name, path.read_text().strip())
"""
_AUTHORITY = "/run/idp/tls/caddy/pki/authorities/local/root.crt"


@dataclass(frozen=True)
class Production(Stack):
    """The production stack; its two host names lead to a port of this machine.

    Attributes:
        folder: the operator's working directory, with `.secrets` and the output of commands of docs/production.md.
    """

    folder: Path = field(default_factory=Path)
    https_port: int = field(default_factory=free_port)
    http_port: int = field(default_factory=free_port)

    @property
    def url(self) -> str:
        return URL

    @property
    def authority(self) -> Path:
        """The file with the CA certificates to trust."""
        return self.folder / "ca.pem"

    @property
    def password_file(self) -> Path:
        """The file with the database password."""
        return self.folder / ".secrets" / "database-password"

    @property
    def realm(self) -> Realm:
        return Realm(Keycloak(f"https://{LOGIN}", "", self.request), self.folder, "mcp", URL)

    def trust_caddy(self) -> None:
        """Trusts Caddy's internal CA."""
        self.authority.write_text(self.compose("exec", "-T", "front", "cat", _AUTHORITY).stdout)

    def run(self, commands: str) -> str:
        """Runs commands of docs/production.md unchanged in `folder`; returns their output."""
        ended = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", commands],
            cwd=self.folder,
            env={
                **os.environ,
                **self.variables,
                "COMPOSE_PROJECT_NAME": self.project,
                "COMPOSE_DISABLE_ENV_FILE": "true",  # ignores a developer's .env
                "COMPOSE_FILE": os.pathsep.join(str(REPOSITORY / f) for f in self.variables["COMPOSE_FILE"].split(":")),
            },
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=self.patience,
            check=False,
        )
        assert ended.returncode == 0, f"{commands}\n{ended.stdout}\n{ended.stderr}"
        return ended.stdout

    def request(self, method: str, url: str, **parameters: Any) -> httpx.Response:
        """Sends a request to one of the two host names, through Caddy."""
        target = httpx.URL(url)
        headers = {**(parameters.pop("headers", None) or {}), "Host": target.host}
        trusting = ssl.create_default_context(cafile=self.authority)
        with httpx.Client(verify=trusting, trust_env=False, timeout=60) as client:
            here = target.copy_with(host="127.0.0.1", port=self.https_port)
            sni = {"sni_hostname": target.host}
            return client.request(method, here, headers=headers, extensions=sni, **parameters)

    @contextmanager
    def connection(self, host: str, context: ssl.SSLContext | None = None) -> Iterator[ssl.SSLSocket]:
        """Opens a TLS connection with `host` as the server name."""
        trusting = context or ssl.create_default_context(cafile=self.authority)
        with (
            socket.create_connection(("127.0.0.1", self.https_port), timeout=60) as plain,
            trusting.wrap_socket(plain, server_hostname=host) as connection,
        ):
            yield connection

    def status(self, host: str, target: str, *, named: str | None = None) -> int:
        """Sends exactly `GET target`, returns the status; `named` is the Host, if not the TLS name."""
        with self.connection(host) as connection:
            request_text = f"GET {target} HTTP/1.1\r\nHost: {named or host}\r\nConnection: close\r\n\r\n"
            connection.sendall(request_text.encode())
            return int(connection.recv(4096).split()[1])

    def log_in_by_client(self, *words: str, **variables: str) -> tuple[int, dict[str, Any]]:
        """Runs `./scripts/login` with the addresses of the host names and the CA to trust."""
        at = f"127.0.0.1:{self.https_port}"
        where = f"{MCP}:443={at},{LOGIN}:443={at}"
        environment = {
            "CONNECT_TO": where,
            "SSL_CERT_FILE": str(self.authority),
            "OAUTH_SERVER_URL": ISSUER,
            **variables,
        }
        return self.log_in(USER, *words, password=USER, **environment)

    def client(self) -> str:
        """Registers a client and returns its id."""
        return str(self.realm.register(redirect_uris=[REDIRECT], scope="mcp:tools")["client_id"])

    def log_in_with(self, client_id: str) -> dict[str, Any]:
        """Logs in with a client; returns the token response with its `status`."""
        return self.realm.log_in(USER, client_id, scope="mcp:tools")

    def tokens(self) -> tuple[str, dict[str, Any]]:
        """Registers a client and logs in; returns its id and the token response."""
        client_id = self.client()
        response = self.log_in_with(client_id)
        assert response["status"] == 200, response
        return client_id, response

    def refreshed(self, client_id: str, tokens: dict[str, Any]) -> dict[str, Any]:
        """Refreshes; returns the token response."""
        form = {"client_id": client_id, "refresh_token": tokens["refresh_token"]}
        return self.realm.token(grant_type="refresh_token", **form)

    def call(self, token: str) -> int:
        """Calls a tool and returns the status."""
        return self.request("POST", URL, **greeting(token)).status_code

    def bootstrap_users(self, *words: str, stdin: str | None = None) -> str:
        """Runs `kcadm.sh` with the service account that may manage users."""
        return self.compose("run", "--rm", "-T", "people", *words, stdin=stdin).stdout

    def secrets_of(self, service: str) -> dict[str, str]:
        """Returns the secrets in the volumes of a service, by folder."""
        words = ("run", "--rm", "--no-deps", "--entrypoint", "python", service, "-c", _READ_SECRETS)
        return dict(line.split() for line in self.compose(*words).stdout.splitlines())

    def service(self, name: str) -> dict[str, Any]:
        """Returns the output of `docker inspect` for the container of a service."""
        found = [c for c in self.containers() if c["Config"]["Labels"]["com.docker.compose.service"] == name]
        return found[0]
