"""docker-compose.production.yml, brought up as docs/production.md says, with Caddy's own authority."""

from __future__ import annotations

import json
import re
import secrets
import socket
import ssl
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import jwt
import pytest

from tests.integration.keycloak import REDIRECT, Keycloak, Realm, claims
from tests.integration.stack import Stack, free_port, greeting

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.containers, pytest.mark.full, pytest.mark.timeout(3600)]

MCP, LOGIN = "mcp.example.test", "login.example.test"
URL, ISSUER = f"https://{MCP}/mcp", f"https://{LOGIN}/realms/mcp"
PERSON = "ada"
_AUTHORITY = "/run/idp/tls/caddy/pki/authorities/local/root.crt"
_UP = ("up", "--wait", "--no-build")
_SERVER_ERROR = 500
_TRIES = 10  # each takes the seconds that Keycloak gives the node that is lost
_SECRETS = (
    "import pathlib; print(*(p.read_text().strip() for p in pathlib.Path('/run/idp').rglob('secret')), sep='\\n')"
)


@dataclass(frozen=True)
class Production(Stack):
    """The stack of the two files; its two names lead to a port of this machine."""

    folder: Path = field(default_factory=Path)
    https_port: int = field(default_factory=free_port)
    http_port: int = field(default_factory=free_port)

    @property
    def url(self) -> str:
        return URL

    @property
    def authority(self) -> Path:
        """The certificate of Caddy's own authority."""
        return self.folder / "authority.pem"

    def request(self, method: str, url: str, **parameters: Any) -> httpx.Response:
        """A request to one of the two names, through Caddy."""
        target = httpx.URL(url)
        headers = {**(parameters.pop("headers", None) or {}), "Host": target.host}
        trusting = ssl.create_default_context(cafile=self.authority)
        with httpx.Client(verify=trusting, trust_env=False, timeout=60) as client:
            here = target.copy_with(host="127.0.0.1", port=self.https_port)
            sni = {"sni_hostname": target.host}
            return client.request(method, here, headers=headers, extensions=sni, **parameters)

    def status(self, host: str, target: str) -> int:
        """The status of `GET target`, sent byte for byte."""
        trusting = ssl.create_default_context(cafile=self.authority)
        with (
            socket.create_connection(("127.0.0.1", self.https_port), timeout=60) as plain,
            trusting.wrap_socket(plain, server_hostname=host) as connection,
        ):
            connection.sendall(f"GET {target} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
            return int(connection.recv(4096).split()[1])

    def log_in_by_client(self, *words: str, **variables: str) -> tuple[int, dict[str, Any]]:
        """`./scripts/login`, told where the names lead and which authority to trust."""
        at = f"127.0.0.1:{self.https_port}"
        where = f"{MCP}:443={at},{LOGIN}:443={at}"
        told = {"CONNECT_TO": where, "SSL_CERT_FILE": str(self.authority), **variables}
        return self.log_in(PERSON, *words, password=PERSON, **told)

    @property
    def realm(self) -> Realm:
        return Realm(Keycloak(f"https://{LOGIN}", "", self.request), self.folder, "mcp", URL)

    def tokens(self) -> tuple[str, dict[str, Any]]:
        """A client's id, and what its login brought."""
        realm = self.realm
        client = realm.register(redirect_uris=[REDIRECT], scope="mcp:tools")
        answer = realm.log_in(PERSON, client["client_id"], scope="mcp:tools")
        assert answer["status"] == 200, answer
        return client["client_id"], answer

    def refreshed(self, client_id: str, tokens: dict[str, Any]) -> dict[str, Any]:
        """What the refresh token brings."""
        form = {"client_id": client_id, "refresh_token": tokens["refresh_token"]}
        return self.realm.token(grant_type="refresh_token", **form)

    def refreshed_in_time(self, client_id: str, tokens: dict[str, Any]) -> dict[str, Any]:
        """The same, asked for again while the node that is left still waits for the one that is lost."""
        answers = (self.refreshed(client_id, tokens) for _ in range(_TRIES))
        return next((answer for answer in answers if answer["status"] < _SERVER_ERROR), {"status": 0})

    def call(self, token: str) -> int:
        """The status of a tool call."""
        return self.request("POST", URL, **greeting(token)).status_code

    def people(self, *words: str, given: str | None = None) -> str:
        """`kcadm.sh`, with the account that may make people."""
        return self.compose("run", "--rm", "-T", "people", *words, given=given).stdout


@pytest.fixture(scope="module")
def production(engine: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Production]:
    folder = tmp_path_factory.mktemp("production")
    password = folder / "database-password"
    password.write_text(secrets.token_hex(32))
    password.chmod(0o444)  # read by users of two images; the folder lets nobody else in
    stack = Production(folder=folder, patience=1800)
    stack.variables.update(
        COMPOSE_FILE="docker-compose.yml:docker-compose.production.yml",
        MCP_HOST=MCP,
        LOGIN_HOST=LOGIN,
        HTTPS_PORT=f"127.0.0.1:{stack.https_port}",
        HTTP_PORT=f"127.0.0.1:{stack.http_port}",
        DATABASE_PASSWORD_FILE=str(password),
        KEYCLOAK_HEAP="-Xms64m -Xmx384m",
    )
    try:
        stack.compose("build")
        stack.compose(*_UP)
        stack.authority.write_text(stack.compose("exec", "-T", "front", "cat", _AUTHORITY).stdout)
        login = {"type": "password", "value": PERSON, "temporary": False}
        names = {"firstName": "Ada", "lastName": "L", "email": "ada@example.test", "emailVerified": True}
        person = {"username": PERSON, "enabled": True, "credentials": [login], **names}
        stack.people("create", "users", "-r", "mcp", "-f", "-", given=json.dumps(person))
        stack.people("add-roles", "-r", "mcp", "--uusername", PERSON, "--rolename", "mcp-reader")
        yield stack
    finally:
        down = ("down", "--volumes", "--remove-orphans", "--rmi", "local", "--timeout", "5")
        stack.compose("--profile", "tools", *down, check=False)


@pytest.mark.requirement("production.login")
def test_a_client_logs_in_and_calls_a_tool_over_tls(production: Production) -> None:
    code, found = production.log_in_by_client("--call", "greet", "name=Ada")
    assert code == 0, found
    assert (found["claims"]["iss"], found["claims"]["aud"]) == (ISSUER, URL)
    assert "Hello, Ada!" in json.dumps(found["calls"])
    assert production.log_in_by_client(SSL_CERT_FILE="")[0] != 0  # an authority that nobody knows
    answer = httpx.get(f"http://127.0.0.1:{production.http_port}/mcp", headers={"Host": MCP})
    assert (answer.status_code, answer.headers["location"]) == (308, URL)
    metadata = production.request("GET", f"{ISSUER}/.well-known/openid-configuration").json()
    addresses = {value for name, value in metadata.items() if name.endswith(("_endpoint", "_uri"))}
    assert {address.startswith(f"{ISSUER}/") for address in addresses} == {True}


@pytest.mark.requirement("production.hidden")
@pytest.mark.parametrize(
    "target",
    [
        "/",
        "/admin/",
        "/admin/realms/mcp",
        "/admin/master/console/",
        "/realms/master",
        "/realms/master/protocol/openid-connect/token",
        "/realms/mcp/../master",
        "/realms/mcp/%2e%2e/master",
        "/realms/mcp/..%2fmaster",
        "/realms/mcp/..;/master",
        "/realms/mcp;x/..;/master",
        "//realms/master",
        "/realms/mcp//../master",
        "/resources/../admin/realms",
        "/metrics",
        "/health/ready",
        "/realms/mcp/clients-registrations/default/-",
        "/realms/mcp/clients-registrations/install/-",
        "/realms/mcp/clients-registrations/saml2-entity-descriptor/-",
    ],
)
def test_of_keycloak_only_the_realm_of_people_is_passed_on(production: Production, target: str) -> None:
    assert production.status(LOGIN, target) == 404


@pytest.mark.requirement("production.hidden")
@pytest.mark.parametrize("target", ["/readyz", "/livez", "/%72eadyz", "//readyz", "/metrics", "/admin"])
def test_of_the_server_its_own_health_is_not_passed_on(production: Production, target: str) -> None:
    assert production.status(MCP, target) == 404


@pytest.mark.requirement("production.least")
def test_the_temporary_administrator_is_gone_and_check_runs_with_a_reader(production: Production) -> None:
    said = production.compose("logs", "--no-log-prefix", "hand-over").stdout
    assert "- the temporary administrator bootstrap: it can no longer log in" in said
    assert production.compose("run", "--rm", "check").stdout.endswith("no changes, no holes\n")
    for _ in range(2):
        assert "no changes" in production.compose("run", "--rm", "--no-deps", "bootstrap", "apply").stdout
    again = production.compose("run", "--rm", "--no-deps", "hand-over").stdout
    assert "no changes: the accounts work" in again
    written = production.compose("run", "--rm", "check", "apply", check=False)
    assert written.returncode == 2  # it has no secret for that


@pytest.mark.requirement("production.published", "production.hardened", "production.no_secret")
def test_nothing_is_open_that_need_not_be_and_no_secret_is_shown(production: Production) -> None:
    containers = production.containers()
    bound = {
        c["Config"]["Labels"]["com.docker.compose.service"]: sorted(
            b["HostPort"] for ports in (c["HostConfig"]["PortBindings"] or {}).values() for b in ports
        )
        for c in containers
    }
    assert bound.pop("front") == sorted([str(production.https_port), str(production.http_port)])
    assert set(map(tuple, bound.values())) == {()}
    for container in containers:
        service, host = container["Config"]["Labels"]["com.docker.compose.service"], container["HostConfig"]
        assert host["ReadonlyRootfs"], service
        assert host["CapDrop"] == ["ALL"], service
        assert "no-new-privileges:true" in host["SecurityOpt"], service
        assert container["Config"]["User"] not in {"", "0", "root"}, service
    read = ("run", "--rm", "--no-deps", "--entrypoint", "python", "hand-over", "-c", _SECRETS)
    held = production.compose(*read).stdout.split()
    assert len(held) == 4  # the administrator's that is gone, and three accounts'
    held.append((production.folder / "database-password").read_text())
    shown = json.dumps(containers) + production.compose("logs").stdout
    assert [secret for secret in held if secret in shown] == []
    assert not re.search(r"eyJ[\w-]{20,}\.[\w-]{20,}", shown)


@pytest.mark.requirement("production.node_lost")
@pytest.mark.parametrize(("node", "replica"), [("keycloak", "mcp-server-2"), ("keycloak-2", "mcp-server")])
def test_with_a_node_and_a_replica_killed_logins_and_calls_go_on(
    production: Production, node: str, replica: str
) -> None:
    client_id, tokens = production.tokens()
    production.compose("kill", node, replica)
    try:
        assert [production.call(tokens["access_token"]) for _ in range(4)] == [200] * 4
        renewed = production.refreshed_in_time(client_id, tokens)
        assert renewed["status"] == 200, renewed
        assert production.call(renewed["access_token"]) == 200
        code, found = production.log_in_by_client("--call", "greet", "name=Ada")
        assert code == 0, found
    finally:
        production.compose("start", replica)
        production.compose(*_UP, node)
    assert production.refreshed(client_id, renewed)["status"] == 200


@pytest.mark.requirement("production.restart")
def test_tokens_survive_a_restart_of_everything(production: Production) -> None:
    client_id, tokens = production.tokens()
    production.compose("stop", "--timeout", "60")
    production.compose(*_UP)
    assert "no changes" in production.compose("logs", "--no-log-prefix", "bootstrap").stdout
    renewed = production.refreshed(client_id, tokens)
    assert renewed["status"] == 200, renewed
    assert production.call(renewed["access_token"]) == 200
    # Signed by the key of before: what has not ended still counts.
    if claims(tokens["access_token"])["exp"] > time.time() + 60:
        assert production.call(tokens["access_token"]) == 200
    jwks = production.request("GET", f"{ISSUER}/protocol/openid-connect/certs").json()["keys"]
    assert jwt.get_unverified_header(tokens["access_token"])["kid"] in {jwk["kid"] for jwk in jwks}
    assert claims(renewed["access_token"])["sid"] == claims(tokens["access_token"])["sid"]
