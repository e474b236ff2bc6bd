"""A provider whose certificate was issued by a private CA."""

from __future__ import annotations

import io
import time
from typing import TYPE_CHECKING

import httpx
import httpx2
import pytest

from mcp_idp.access.policy import load_access
from mcp_idp.cli.common.safe_http import SafeHttpClient
from mcp_idp.cli.doctor.context import CheckContext
from mcp_idp.cli.doctor.token_evaluation import settings_for
from mcp_idp.cli.inspect.evaluation import evaluate_token
from mcp_idp.cli.inspect.offline_verifier import open_verifiers
from mcp_idp.cli.subcommands import run
from mcp_idp.config import load_settings
from mcp_idp.config.env import SettingsError
from mcp_idp.testing.issuer import Issuer
from mcp_idp.util.clock import Clock
from mcp_server.app import create_app
from tests.support.app import Calls, lifespan
from tests.support.certificates import certificate
from tests.support.example_server import signing

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.anyio


@pytest.mark.requirement("settings.ca_file")
@pytest.mark.parametrize(
    ("name", "days", "named", "status"),
    [
        ("localhost", 30, True, 200),
        ("localhost", 30, False, 503),
        ("other.example", 30, True, 503),
        ("localhost", -1, True, 503),
    ],
    ids=["named", "not named", "another host's", "run out"],
)
async def test_its_tokens_are_accepted_where_the_authority_is_configured_and_the_certificate_valid(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, days: int, *, named: bool, status: int
) -> None:
    pem = tmp_path / "server.pem"
    pem.write_bytes(certificate(name, days=days))
    monkeypatch.setenv("SSL_CERT_FILE", str(pem))  # must have no effect
    with signing(pem) as issuer:
        variables = {"OAUTH_SERVER_URL": issuer.url, "OAUTH_CA_FILE": str(pem) if named else ""}
        app = create_app(load_settings(variables))
        token = issuer.token(iat=time.time(), exp=time.time() + 60)
        transport = httpx.ASGITransport(app)
        async with lifespan(app), httpx.AsyncClient(transport=transport, base_url="http://localhost:3000") as client:
            response = await Calls(client).call("whoami", token)
    assert response.status_code == status


@pytest.mark.requirement("settings.ca_file")
@pytest.mark.parametrize(
    ("content", "reason"),
    [("", "NO_CERTIFICATE"), ("no certificate", "NO_CERTIFICATE"), (None, "No such file or directory")],
)
def test_a_file_that_is_missing_or_has_no_certificate_is_rejected(
    tmp_path: Path, content: str | None, reason: str
) -> None:
    file = tmp_path / "authority.pem"
    if content is not None:
        file.write_text(content)
    with pytest.raises(SettingsError, match=rf"OAUTH_CA_FILE=.*no certificate can be read from it \(.*{reason}"):
        create_app(load_settings({"OAUTH_CA_FILE": str(file)}))


@pytest.mark.requirement("settings.ca_file")
@pytest.mark.parametrize("named", [True, False])
async def test_a_token_is_evaluated_with_the_certificate_authority_that_the_server_trusts(
    tmp_path: Path, *, named: bool
) -> None:
    pem = tmp_path / "server.pem"
    pem.write_bytes(certificate("localhost"))
    with signing(pem) as issuer:
        variables = {"OAUTH_SERVER_URL": issuer.url, "OAUTH_CA_FILE": str(pem) if named else ""}
        settings = load_settings(variables)
        access, clock = load_access(settings.access_file), Clock()
        token = issuer.token(iat=time.time(), exp=time.time() + 60)
        async with open_verifiers(settings, access, clock) as trusted:
            evaluation = await evaluate_token(token, trusted, access, clock)
    assert (evaluation.accepted, bool(evaluation.unavailable)) == (named, not named)


@pytest.mark.requirement("settings.ca_file")
def test_a_token_is_not_evaluated_where_the_authority_file_is_unreadable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("OAUTH_CA_FILE", str(tmp_path / "nowhere.pem"))
    monkeypatch.setattr("sys.stdin", io.StringIO(Issuer().token()))
    assert run(["inspect", "--env-file", str(tmp_path / ".env")]) == 2
    assert "no certificate can be read from it" in capsys.readouterr().err


@pytest.mark.requirement("settings.ca_file")
async def test_settings_with_an_unreadable_authority_file_evaluate_no_token(tmp_path: Path) -> None:
    variables = {"OAUTH_CA_FILE": str(tmp_path / "nowhere.pem"), "OAUTH_CLIENT_ID": "another"}
    settings = load_settings(variables)
    async with httpx2.AsyncClient() as http:
        case = CheckContext(settings.public_url, SafeHttpClient(http, settings.public_url), issuer=settings.server_url)
    assert settings_for(case, {"OAUTH_CLIENT_ID": "another"}).client_id == "another"
    assert settings_for(case, variables).client_id == case.url
