"""A provider whose certificate is of an authority that only we know."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import httpx
import pytest

from mcp_server.app import create_app
from mcp_server.environment import SettingsError
from mcp_server.settings import Settings
from tests.docs.example import signing
from tests.unit.running import Calls, lifespan
from tests.unit.test_doctor_cli import certificate

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.anyio


@pytest.mark.requirement("settings.authorities")
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
async def test_its_tokens_count_where_the_authority_is_named_and_the_certificate_is_good(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, days: int, *, named: bool, status: int
) -> None:
    pem = tmp_path / "server.pem"
    pem.write_bytes(certificate(name, days=days))
    monkeypatch.setenv("SSL_CERT_FILE", str(pem))  # what this process would trust says nothing
    with signing(pem) as issuer:
        variables = {"OAUTH_SERVER_URL": issuer.url, "OAUTH_CA_FILE": str(pem) if named else ""}
        app = create_app(Settings.load(variables))
        token = issuer.token(iat=time.time(), exp=time.time() + 60)
        transport = httpx.ASGITransport(app)
        async with lifespan(app), httpx.AsyncClient(transport=transport, base_url="http://localhost:3000") as client:
            answer = await Calls(client).call("whoami", token)
    assert answer.status_code == status


@pytest.mark.requirement("settings.authorities", "settings.refused")
@pytest.mark.parametrize("content", ["", "no certificate", None])
def test_a_file_that_is_missing_or_has_no_certificate_is_refused(tmp_path: Path, content: str | None) -> None:
    file = tmp_path / "authority.pem"
    if content is not None:
        file.write_text(content)
    with pytest.raises(SettingsError, match=r"OAUTH_CA_FILE=.*no certificate can be read"):
        create_app(Settings.load({"OAUTH_CA_FILE": str(file)}))
