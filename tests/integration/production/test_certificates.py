"""The operator's own certificates, and certificates that Caddy gets from a CA (ACME, RFC 8555)."""

from __future__ import annotations

import ssl
import subprocess
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from tests.support.cimd_server import write_certificates
from tests.support.production.deployment import LOGIN, MCP, UP
from tests.support.production.runbook import rotation

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.production.deployment import Production

pytestmark = [pytest.mark.containers, pytest.mark.full, pytest.mark.timeout(3600)]

_CA = "ca.example.test"
# It also forwards port 80 of the host names to Caddy, so that its challenge requests reach Caddy.
_AUTHORITY = f"""
{{
	admin off
	skip_install_trust
	auto_https disable_redirects
}}
{_CA} {{
	tls internal
	acme_server {{
		challenges http-01
	}}
}}
http://{MCP}, http://{LOGIN} {{
	reverse_proxy front:8080
}}
"""
_ROOT = "/data/caddy/pki/authorities/local/root.crt"
_PATIENCE = 120  # seconds


@contextmanager
def _proxy_with(production: Production, authority: Path, **variables: str) -> Iterator[None]:
    """Recreates only Caddy with these settings; restores it at the end."""
    only = (*UP, "--no-deps", "front")
    before, trusted = dict(production.variables), production.authority.read_text()
    try:
        production.variables.update(variables)
        production.compose(*only)
        production.authority.write_text(authority.read_text())
        yield
    finally:
        production.authority.write_text(trusted)
        production.variables.clear()
        production.variables.update(before)
        production.compose(*only)


def _certificate(production: Production, host: str) -> dict[str, Any]:
    """Waits for Caddy's certificate for `host` and returns it."""
    end = time.monotonic() + _PATIENCE
    while True:
        try:
            with production.connection(host) as connection:
                displayed: dict[str, Any] = connection.getpeercert() or {}
                return displayed
        except (ssl.SSLError, ConnectionError):
            if time.monotonic() > end:
                raise
            time.sleep(0.2)  # polls, because Caddy does not signal that it has a certificate


def test_a_certificate_of_ones_own_is_shown_and_its_successor_after_a_restart(
    production: Production, tmp_path: Path
) -> None:
    write_certificates(tmp_path, (MCP, LOGIN))
    files = {
        "CADDY_TLS": "/run/secrets/tls-certificate /run/secrets/tls-key",
        "TLS_CERTIFICATE_FILE": str(tmp_path / "server.pem"),
        "TLS_KEY_FILE": str(tmp_path / "server.pem"),
    }
    with _proxy_with(production, tmp_path / "ca.pem", **files):
        first = _certificate(production, MCP)
        assert production.log_in_by_client()[0] == 0
        plain = httpx.get(f"http://127.0.0.1:{production.http_port}/mcp", headers={"Host": MCP})
        assert (plain.status_code, plain.headers["location"]) == (308, production.url)
        write_certificates(tmp_path, (MCP, LOGIN))
        (command,) = rotation("certificates")
        production.run(command)
        production.authority.write_text((tmp_path / "ca.pem").read_text())
        assert _certificate(production, MCP)["serialNumber"] != first["serialNumber"]


@pytest.fixture
def authority(production: Production, tmp_path: Path) -> Iterator[Path]:
    """Starts an ACME CA in the network of the stack; yields the file with its root certificate."""
    (tmp_path / "Caddyfile").write_text(_AUTHORITY)
    name = f"{production.project}-authority"
    aliases = [word for host in (_CA, MCP, LOGIN) for word in ("--network-alias", host)]
    network = ("--network", f"{production.project}_default", *aliases)
    mounted = ("--volume", f"{tmp_path / 'Caddyfile'}:/etc/caddy/Caddyfile:ro")
    image = production.service("front")["Config"]["Image"]
    subprocess.run(["docker", "run", "--detach", "--name", name, *network, *mounted, image], check=True)
    try:
        root, end = tmp_path / "root.pem", time.monotonic() + _PATIENCE
        while not root.exists() or not root.read_text():
            assert time.monotonic() < end
            time.sleep(0.2)  # polls, because the process does not signal that it is ready
            displayed = subprocess.run(
                ["docker", "exec", name, "cat", _ROOT], capture_output=True, text=True, check=False
            )
            root.write_text(displayed.stdout)
        yield root
    finally:
        subprocess.run(["docker", "rm", "--force", "--volumes", name], check=True, capture_output=True)


@pytest.mark.requirement("production.acme")
def test_an_authority_gives_caddy_certificates_for_both_names(production: Production, authority: Path) -> None:
    output = {
        "CADDY_TLS": "operator@example.test",
        "ACME_CA": f"https://{_CA}/acme/local/directory",
        "ACME_CA_ROOT_FILE": str(authority),
    }
    with _proxy_with(production, authority, **output):
        for host in (MCP, LOGIN):
            assert ("DNS", host) in _certificate(production, host)["subjectAltName"]
        code, found = production.log_in_by_client("--call", "greet", "name=Ada")
        assert code == 0, found
