"""The stack, started from empty volumes as in the README."""

from __future__ import annotations

import base64
import json
import re
import shutil
import subprocess
import time
from contextlib import suppress
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from tests.support.browser import log_in_by_browser
from tests.support.compose_stack import REPOSITORY, Stack, greeting
from tests.support.keycloak.realm import REDIRECT, Keycloak, Realm

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.containers, pytest.mark.timeout(600)]


def test_after_up_everything_is_ready(stack: Stack) -> None:
    base = stack.url.removesuffix("/mcp")
    assert httpx.get(f"{base}/readyz").json()["status"] == "ready"
    challenged = httpx.post(stack.url)
    assert challenged.status_code == 401
    (document_url,) = re.findall(r'resource_metadata="([^"]+)"', challenged.headers["www-authenticate"])
    document = httpx.get(document_url).json()
    assert (document["resource"], document["authorization_servers"]) == (stack.url, [stack.issuer])
    assert stack.url in httpx.get(base).text


_LIST_OF_THE_IMAGE = """
import json, os, sys
from importlib.metadata import distributions
code = {os.path.relpath(os.path.join(at, name), "/app") for at, _, names in os.walk("/app") for name in names}
print(json.dumps({"code": sorted(code), "packages": sorted({d.name.lower() for d in distributions()})}))
"""


def test_the_image_of_the_server_holds_neither_the_command_nor_its_dependencies(stack: Stack) -> None:
    listed = json.loads(stack.compose("exec", "-T", "mcp-server", "python", "-c", _LIST_OF_THE_IMAGE).stdout)
    code = [path for path in listed["code"] if "__pycache__" not in path]
    assert {path.partition("/")[0] for path in code} == {"idp-config", "mcp_idp", "mcp_server"}
    folders = {"/".join(path.split("/")[:2]) for path in code if path.startswith("mcp_") and path.count("/") > 1}
    library = {f"mcp_idp/{path.name}" for path in (REPOSITORY / "mcp_idp").iterdir() if (path / "__init__.py").exists()}
    assert folders == (library - {"mcp_idp/cli", "mcp_idp/testing"}) | {"mcp_server/demo"}
    assert not {"python-keycloak", "rich", "bcrypt", "nanoidp", "pytest", "testcontainers"}.intersection(
        listed["packages"]
    )


def test_the_bootstrap_ends_with_the_next_steps(stack: Stack) -> None:
    lines = stack.compose("logs", "--no-log-prefix", "bootstrap").stdout.splitlines()
    end = "\n".join(lines[-15:])
    for required in ("reader", "writer", "admin", "nobody", stack.url, "./scripts/login"):
        assert required in end
    assert f"127.0.0.1:{stack.keycloak_port}" not in end


def test_the_log_of_the_first_apply_is_short_and_readable(stack: Stack) -> None:
    text = stack.compose("logs", "--no-log-prefix", "bootstrap").stdout
    first, _, _ = text.partition("Next:")
    assert len(first.splitlines()) < 25
    assert re.search(r"\d+ changes: 3 roles, 4 scopes, 2 clients, 4 users,", first)
    assert not re.search(r"\\u|\\x|[{\[]\"", text)


def test_the_doctor_leaves_no_warning(stack: Stack) -> None:
    def server_log() -> list[dict[str, Any]]:
        text = stack.compose("logs", "--no-log-prefix", "mcp-server").stdout
        return [json.loads(line[line.index("{") :]) for line in text.splitlines() if "{" in line]

    before = len(server_log())
    ended = subprocess.run(
        ["./scripts/doctor", stack.url], cwd=REPOSITORY, capture_output=True, text=True, timeout=120, check=False
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    added = server_log()[before:]
    assert {line["event"] for line in added} >= {"request_rejected", "host_not_allowed"}
    assert [line for line in added if line["level"] not in {"info", "debug"}] == []


@pytest.mark.requirement("stack.login")
@pytest.mark.parametrize(
    ("user", "scopes"),
    [
        ("reader", {"mcp:tools", "mcp:notes.read"}),
        ("writer", {"mcp:tools", "mcp:notes.read", "mcp:notes.write"}),
        (
            "admin",
            {"mcp:tools", "mcp:notes.read", "mcp:notes.write"},
        ),  # no privileged scope by default
    ],
)
def test_an_unregistered_client_logs_in_and_calls_a_tool(stack: Stack, user: str, scopes: set[str]) -> None:
    code, found = stack.log_in(user, "--call", "greet", "name=Ada", "--call", "whoami")
    assert code == 0, found
    assert found["claims"]["iss"] == stack.issuer
    assert found["claims"]["aud"] == stack.url
    assert set(found["claims"]["scope"].split()) & {"mcp:tools", "mcp:notes.read", "mcp:notes.write"} == scopes
    assert "Hello, Ada!" in json.dumps(found["calls"])
    assert "greet" in json.dumps(found["tools"])


@pytest.mark.requirement("login.trusted_issuer")
def test_the_password_is_for_the_keycloak_whose_port_is_named(stack: Stack) -> None:
    named = {"OAUTH_SERVER_URL": "", "MCP_PORT": str(stack.mcp_port), "KEYCLOAK_PORT": str(stack.keycloak_port)}
    code, found = stack.log_in("reader", **named)
    assert code == 0, found
    for other in ({"KEYCLOAK_PORT": "1"}, {"KEYCLOAK_PORT": "", "DEX_PORT": str(stack.keycloak_port)}):
        code, found = stack.log_in("reader", **{**named, **other})
        assert code == 4
        assert f"the server names {stack.issuer}: nothing was sent" in found["error"]["message"]


def test_the_login_runs_inside_the_network_too(stack: Stack) -> None:
    ended = stack.compose("run", "--rm", "login", "--headless", "--user", "reader", "--json")
    found = json.loads(ended.stdout)
    assert (found["claims"]["iss"], found["claims"]["aud"]) == (stack.issuer, stack.url)


@pytest.mark.requirement("stack.browser")
def test_a_user_logs_in_through_a_browser(stack: Stack, tmp_path: Path) -> None:
    code, message, pages = log_in_by_browser(stack.url, "reader", tmp_path)
    assert code == 0, message
    login, consent, end = pages
    assert "Sign in" in login
    assert "Use the tools of this server" in consent
    assert "Signed in" in end
    assert "Hello" in message


def test_a_user_without_a_role_is_rejected_with_the_reason(stack: Stack) -> None:
    code, found = stack.log_in("nobody")
    message = json.dumps(found)
    log = stack.compose("logs", "--no-log-prefix", "mcp-server").stdout
    assert code == 6
    assert "mcp-reader" in message
    rejections = [json.loads(line) for line in log.splitlines() if '"request_rejected"' in line]
    assert rejections[-1]["reason"] == "audience"
    assert stack.url in rejections[-1]["expected"]


def test_no_more_is_open_than_required(stack: Stack) -> None:
    containers = stack.containers()
    ports = [b for c in containers for bound in (c["HostConfig"]["PortBindings"] or {}).values() for b in bound]
    assert {binding["HostIp"] for binding in ports} == {"127.0.0.1"}
    assert sorted(int(binding["HostPort"]) for binding in ports) == sorted([stack.mcp_port, stack.keycloak_port])
    for container in containers:
        service, host = container["Config"]["Labels"]["com.docker.compose.service"], container["HostConfig"]
        assert host["CapDrop"] == ["ALL"], service
        assert "no-new-privileges:true" in host["SecurityOpt"], service
        assert host["Memory"] > 0, service
        if service != "keycloak":
            assert host["ReadonlyRootfs"], service
            assert container["Config"]["User"] not in {"", "0", "root"}, service


@pytest.mark.requirement("stack.no_secret")
def test_no_configuration_and_no_log_shows_a_secret_or_a_token(stack: Stack) -> None:
    stack.log_in("reader")
    displayed = json.dumps(stack.containers()) + stack.compose("logs").stdout
    read = "import pathlib;print(*(p.read_text().strip() for p in pathlib.Path('/run/idp').rglob('secret')), sep='\\n')"
    current = stack.compose(
        "run", "--rm", "--no-deps", "--entrypoint", "python", "bootstrap", "-c", read
    ).stdout.split()
    assert len(current) == 2
    assert [secret for secret in current if secret in displayed] == []
    assert not re.search(r"eyJ[\w-]{20,}\.[\w-]{20,}", displayed)


def test_stopping_keycloak_does_not_break_known_tokens(stack: Stack, tmp_path: Path) -> None:
    known, same_key = _token(stack, tmp_path), _token(stack, tmp_path)
    assert _call(stack, known) == 200
    stack.compose("stop", "keycloak")
    try:
        during = {name: _call(stack, token) for name, token in _outage_tokens(known, same_key).items()}
    finally:
        stack.compose("up", "--wait", "--no-build", "keycloak")
    assert during == {"known": 200, "same key": 200, "unknown key": 503}
    assert _call(stack, known) == 200


def test_a_server_started_before_its_provider_waits_and_becomes_ready_by_itself(stack: Stack) -> None:
    ready = stack.url.removesuffix("/mcp") + "/readyz"
    stack.compose("stop", "keycloak", "mcp-server")
    try:
        stack.compose("up", "--detach", "--no-build", "--no-deps", "--force-recreate", "mcp-server")
        assert _eventually(ready).status_code == 503
        assert "identity_provider_unreachable" in stack.compose("logs", "mcp-server").stdout
        stack.compose("up", "--wait", "--no-build", "--no-deps", "keycloak")
        assert _eventually(ready, status=200).json()["status"] == "ready"
    finally:
        stack.compose("up", "--wait", "--no-build")


def test_the_server_stops_at_once_and_cleanly(stack: Stack) -> None:
    stack.compose("stop", "--timeout", "30", "mcp-server")
    (server,) = [c for c in stack.containers() if c["Config"]["Labels"]["com.docker.compose.service"] == "mcp-server"]
    stack.compose("up", "--wait", "--no-build")
    assert server["State"]["ExitCode"] == 0


def test_a_second_up_changes_nothing_and_after_down_v_all_works_again(stack: Stack) -> None:
    stack.compose("up", "--wait", "--no-build", "--force-recreate", "bootstrap", "mcp-server")
    assert "no changes" in stack.compose("logs", "--no-log-prefix", "bootstrap").stdout
    stack.compose("down", "--volumes", "--timeout", "5")
    stack.compose("up", "--wait", "--no-build")
    code, found = stack.log_in("reader")
    assert code == 0, found


def test_an_env_file_copied_from_the_example_changes_nothing(engine: None) -> None:
    stack = Stack()
    without_file = stack.compose("config").stdout
    assert stack.compose("--env-file", ".env.example", "config").stdout == without_file


_OFF_LOOPBACK = {
    "LOGIN_HOST": "login.example.com",
    "MCP_HOST": "mcp.example.com",
    "DEX_POSTGRES_PASSWORD": "p" * 32,
    "FRONT_CLIENT_ID": "4f0c",
    "OAUTH_SERVER_URL": "https://login.example.com",
    "JWT_ISSUER": "https://login.microsoftonline.com/4f0c/v2.0",
}


@pytest.mark.parametrize(
    "files",
    [
        "docker-compose.yml",
        "docker-compose.yml:docker-compose.upstream.yml",
        "docker-compose.yml:docker-compose.production.yml",
        "docker-compose.dex.yml",
        "docker-compose.dex.yml:docker-compose.dex.production.yml",
        "docker-compose.entra.yml",
    ],
)
def test_every_service_that_reads_the_access_file_gets_it_from_anywhere(
    engine: None, files: str, tmp_path: Path
) -> None:
    access_file = tmp_path / "team.yaml"
    stack = Stack(variables={**_OFF_LOOPBACK, "COMPOSE_FILE": files, "ACCESS_FILE": str(access_file)})
    services = json.loads(stack.compose("--profile", "tools", "config", "--format", "json").stdout)["services"]
    readers = {
        name: [volume["target"] for volume in service.get("volumes", []) if volume["source"] == str(access_file)]
        for name, service in services.items()
        if "ACCESS_FILE" in service.get("environment", {})
    }
    assert {"bootstrap", "mcp-server"} <= set(readers)
    for name, targets in readers.items():
        named = PurePosixPath("/app", services[name]["environment"]["ACCESS_FILE"])
        assert targets == [str(named)], name
    folders = {name for name, service in services.items() if "/app/idp-config" in str(service.get("volumes"))}
    assert folders <= set(readers)


def test_an_access_file_from_anywhere_counts_for_bootstrap_and_server(stack: Stack, tmp_path: Path) -> None:
    """access.production.yaml has another name for the resource, and no demo users."""
    access_file = tmp_path / "team.yaml"
    shutil.copyfile(REPOSITORY / "idp-config" / "access.production.yaml", access_file)
    try:
        stack.compose("up", "--wait", "--no-build", ACCESS_FILE=str(access_file))
        output = stack.compose("logs", "--no-log-prefix", "bootstrap").stdout
        document = httpx.get(stack.url.replace("/mcp", "/.well-known/oauth-protected-resource/mcp")).json()
        assert document["resource_name"] == "MCP server"
        assert "- user reader" in output
        assert "displayName: MCP demo server → MCP server" in output
    finally:
        stack.compose("up", "--wait", "--no-build")
    assert stack.log_in("reader")[0] == 0


def test_the_server_starts_alone_against_another_provider(engine: None) -> None:
    stack = Stack()
    try:
        issuer = "https://login.example.com/realms/team"
        stack.compose("up", "--detach", "--no-deps", "mcp-server", OAUTH_SERVER_URL=issuer)
        base = stack.url.removesuffix("/mcp")
        document = _eventually(f"{base}/.well-known/oauth-protected-resource/mcp").json()
        assert document["authorization_servers"] == [issuer]
        assert httpx.get(f"{base}/readyz").status_code == 503
        assert httpx.post(stack.url, headers={"authorization": "Bearer a.b.c"}).status_code == 503
        assert "identity_provider_unreachable" in stack.compose("logs", "mcp-server").stdout
    finally:
        stack.compose("down", "--volumes", "--timeout", "5", check=False)


def _eventually(url: str, status: int | None = None) -> httpx.Response:
    """Waits for a response from `url`, or for one with this status, and returns it."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        with suppress(httpx.TransportError):
            response = httpx.get(url)
            if status in {None, response.status_code}:
                return response
        time.sleep(0.2)  # polls, because the container does not signal that it is ready
    raise TimeoutError(url)


def _outage_tokens(known: str, same_key: str) -> dict[str, str]:
    return {"known": known, "same key": same_key, "unknown key": _by_an_unknown_key(known)}


def _token(stack: Stack, folder: Path) -> str:
    """Registers, logs in as the reader and returns the access token."""
    realm = Realm(Keycloak(f"http://localhost:{stack.keycloak_port}", ""), folder, "mcp")
    client = realm.register(redirect_uris=[REDIRECT], scope="mcp:tools")
    return str(realm.log_in("reader", client["client_id"], scope="mcp:tools")["access_token"])


def _call(stack: Stack, token: str) -> int:
    """Calls `greet` and returns the status."""
    return httpx.post(stack.url, **greeting(token), timeout=30).status_code


def _by_an_unknown_key(token: str) -> str:
    """Returns the token with an unknown `kid` in its header."""
    header = json.loads(base64.urlsafe_b64decode(token.partition(".")[0] + "=="))
    encoded = base64.urlsafe_b64encode(json.dumps({**header, "kid": "new"}).encode()).rstrip(b"=").decode()
    return f"{encoded}.{token.partition('.')[2]}"
