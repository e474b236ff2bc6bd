"""Persistence at Dex: keys, restarts, storage; and users of external identity providers."""

from __future__ import annotations

import base64
import datetime as dt
import json
import re
import time
from typing import TYPE_CHECKING

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from mcp_idp.cli.bootstrap.dex.commands import COMMANDS
from mcp_idp.cli.bootstrap.options import BootstrapOptions
from tests.support.dex import REDIRECT, REPOSITORY, Dex, running_dex
from tests.support.in_process import serving
from tests.support.keycloak.realm import claims
from tests.support.postgres import POSTGRES, running_postgres

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.containers

CONNECTORS = sorted(path.name for path in (REPOSITORY / "idp-config" / "dex" / "connectors").iterdir())
_PATIENCE = 120


def test_apply_verifies_the_deployment_and_check_reports_drift(
    engine: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = BootstrapOptions(wait=20)
    with running_dex(tmp_path) as dex:
        assert COMMANDS["apply"](options, dex.environment) == 0
        output = capsys.readouterr().out
        for verification in (
            "no changes",
            "verified: Dex runs with",
            "verified: every login requires PKCE",
            "verified: registration follows the profile open-dev",
        ):
            assert verification in output
        assert COMMANDS["check"](options, dex.environment) == 0
        # The file is correct, but the running Dex has loaded another one.
        dex.write_sources(registration={"profile": "loopback-only"})
        assert COMMANDS["check"](options, dex.environment) == 1
        dex.render()
        capsys.readouterr()
        assert COMMANDS["check"](options, dex.environment) == 1
        assert "has not read the current file" in capsys.readouterr().out
        dex.restart()
        assert COMMANDS["apply"](options, dex.environment) == 0


@pytest.mark.parametrize(("profile", "loopback", "vendor"), [("loopback-only", 201, 400), ("closed", 403, 403)])
def test_a_registration_profile_is_enforced_by_the_proxy_and_by_dex(
    engine: None, tmp_path: Path, profile: str, loopback: int, vendor: int
) -> None:
    with running_dex(tmp_path, registration={"profile": profile}) as dex:
        assert dex.register(redirect_uris=[REDIRECT])["status"] == loopback
        assert dex.register(redirect_uris=["https://vscode.dev/redirect"])["status"] == vendor
        url = dex.authorization_url(
            "mcp-vendor-vscode", redirect_uri="https://vscode.dev/redirect", start="/auth/local"
        )
        assert "location" not in httpx.get(url).headers
        guessed = httpx.get(dex.authorization_url("mcp-native-00", start="/auth/local"))
        assert ("location" in guessed.headers) == (profile != "closed")
        known = dex.log_in("reader", "mcp-native", redirect_uri="http://127.0.0.1:4711/callback")
        assert known["status"] == 200
        assert COMMANDS["check"](BootstrapOptions(), dex.environment) == 0


def test_a_restart_of_dex_loses_refresh_tokens_and_no_client(engine: None, tmp_path: Path) -> None:
    with running_dex(tmp_path) as dex:
        client = str(dex.register(redirect_uris=[REDIRECT])["client_id"])
        tokens = dex.log_in("reader", client)
        dex.restart()
        assert dex.refresh(client, tokens["refresh_token"])["status"] == 400
        assert dex.log_in("reader", client)["status"] == 200


def test_the_log_of_dex_has_failures_and_no_line_per_client(engine: None, tmp_path: Path) -> None:
    with running_dex(tmp_path) as dex:
        client = str(dex.register(redirect_uris=[REDIRECT])["client_id"])
        assert dex.log_in("reader", client)["status"] == 200
        # Dex looks up its key once before it has generated one.
        assert {json.loads(line)["msg"] for line in dex.logs().splitlines()} <= {"failed to get signing algorithm"}
        dex.visit("stranger", dex.authorization_url(client))
        failed = [line for line in map(json.loads, dex.logs().splitlines()) if line.get("user") == "stranger"]
        assert ["failed login" in line["msg"] for line in failed] == [True], dex.logs()


@pytest.mark.anyio
@pytest.mark.full
async def test_tokens_by_a_new_key_are_accepted_without_a_restart(engine: None, tmp_path: Path) -> None:
    signer = {"type": "local", "config": {"keysRotationPeriod": "5s"}}
    with running_dex(tmp_path, dex={"signer": signer}) as dex:
        client = str(dex.register(redirect_uris=[REDIRECT])["client_id"])
        async with serving(dex.settings()) as server:
            tokens = dex.log_in("reader", client)
            assert await server.status(tokens["access_token"]) == 200
            first = kids(dex)
            wait_for_another_key(dex, first)
            renewed = dex.refresh(client, tokens["refresh_token"])
            server.clock.at = time.time() + 20  # past the cool-down between fetches for unknown keys
            assert kids(dex) - first
            assert await server.status(renewed["access_token"]) == 200


def test_with_postgresql_refresh_tokens_and_keys_survive_a_restart(engine: None, tmp_path: Path) -> None:
    with (
        running_postgres() as database,
        running_dex(tmp_path, config=POSTGRES, env=database.for_dex, other_containers=database.other_containers) as dex,
    ):
        client = str(dex.register(redirect_uris=[REDIRECT])["client_id"])
        tokens = dex.log_in("reader", client)
        before = kids(dex)
        dex.restart()
        assert before <= kids(dex)
        renewed = dex.refresh(client, tokens["refresh_token"])
        assert claims(renewed["access_token"])["groups"] == ["mcp-reader"]
        assert database.password not in dex.logs()


def test_dex_accepts_every_example_of_a_connector(engine: None, tmp_path: Path) -> None:
    names = ",".join(f"connectors/{name}" for name in CONNECTORS)
    certificate = base64.b64encode(self_signed()).decode()
    env = {
        "LDAP_CA": certificate,
        "SAML_CERTIFICATE": certificate,
        "KEYCLOAK_URL": "http://nowhere.example:1/realms/mcp",
    }
    with running_dex(tmp_path, config=f"dex.yaml,{names}", env=env) as dex:
        page = httpx.get(dex.authorization_url("mcp-native-00"), timeout=_PATIENCE).text
        # The other two load their provider's metadata when Dex starts; it is unavailable, and Dex starts without them.
        log = dex.logs()
        for name in ("Directory", "GitHub", "Company login"):
            assert name in page
        assert "nowhere.example" in log
        assert "$" not in re.sub(r"\$2b\$", "", log)
        statuses = {name: httpx.get(f"{dex.issuer}/callback/{name}").status_code for name in ("github", "saml", "ldap")}
        assert statuses["ldap"] == 404
        assert 404 not in {statuses["github"], statuses["saml"]}


def kids(dex: Dex) -> set[str]:
    """Returns the key ids that Dex publishes."""
    return {key["kid"] for key in httpx.get(f"{dex.issuer}/keys").json()["keys"]}


def wait_for_another_key(dex: Dex, known: set[str]) -> None:
    end = time.monotonic() + _PATIENCE
    while kids(dex) <= known and time.monotonic() < end:
        time.sleep(0.5)  # polls, because Dex rotates keys twice a minute without any signal


def self_signed() -> bytes:
    """Returns a self-signed certificate as PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "login.example.com")])
    start = dt.datetime.now(dt.UTC)
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(1).not_valid_before(start).not_valid_after(start + dt.timedelta(days=1))
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
