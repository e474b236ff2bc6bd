"""`mcp-idp doctor --as NAME` at a real Keycloak: alone, and in the compose stack behind the registrar."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from mcp_idp.cli.doctor.client_profiles import find_profile
from tests.support.compose_stack import REPOSITORY
from tests.support.keycloak.examined_realm import findings

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.compose_stack import Stack
    from tests.support.keycloak.realm import Realm

pytestmark = [pytest.mark.containers, pytest.mark.anyio]

# What Keycloak alone refuses, by client; the registrar and the proxy in front of it let all of them in.
AT_KEYCLOAK = {
    "codex": [],
    "claude-code": [],
    "vscode": [],  # it registers a URI without a port too, so another port works
    "cursor": [],
    "copilot": [],
    "gemini": [],
    "mcpjam": [],
    "python-sdk": [],
    "opencode": ["client_cannot_register"],  # its home page is on no trusted host
    "qwen": ["client_finds_no_metadata"],
    "mcp-remote": ["client_redirect_rejected"],  # another port, if its own is taken
    "inspector": ["client_redirect_rejected"],  # page and command line share one registration
}


@pytest.mark.parametrize("name", AT_KEYCLOAK)
async def test_a_client_at_keycloak_alone_gets_as_far_as_was_recorded(standing_realm: Realm, name: str) -> None:
    before = {client["id"] for client in standing_realm.admin().get("clients")}
    found = await findings(standing_realm, client=name)
    assert [finding.kind.name for finding in found] == AT_KEYCLOAK[name]
    assert all(finding.observed.startswith(find_profile(name).label) for finding in found)
    assert {client["id"] for client in standing_realm.admin().get("clients")} == before


@pytest.mark.parametrize("name", ["vscode", "codex", "claude-code"])
def test_a_client_in_the_stack_uses_the_server_after_the_login(stack: Stack, name: str, tmp_path: Path) -> None:
    report = doctor(stack, tmp_path, "--as", name, "--login", "--headless", "--user", "reader")
    assert [finding["finding"] for finding in report["findings"]] == []
    assert report["client"]["name"] == name
    skipped = {check["check"] for check in report["checks"] if check["skipped"] or check["blocked_by"]}
    assert not skipped & {"client connection", "client login", "client session"}


@pytest.mark.parametrize("name", AT_KEYCLOAK)
def test_a_client_in_the_stack_gets_the_login_page(stack: Stack, name: str, tmp_path: Path) -> None:
    report = doctor(stack, tmp_path, "--as", name)
    assert [finding["finding"] for finding in report["findings"]] == []


def doctor(stack: Stack, folder: Path, *words: str) -> dict[str, Any]:
    """Runs the doctor against the stack; returns the object of `--json`."""
    urls = {"MCP_PUBLIC_URL": stack.url, "OAUTH_SERVER_URL": stack.issuer}
    ended = subprocess.run(
        [sys.executable, "-m", "mcp_idp.cli", "doctor", "--json", *words],
        cwd=folder,
        env={**os.environ, **urls, "PYTHONPATH": str(REPOSITORY), "MCP_PASSWORD": "reader"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ended.stdout, ended.stderr
    report: dict[str, Any] = json.loads(ended.stdout)
    return report
