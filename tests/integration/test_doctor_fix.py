"""The doctor's `--probe` and `--fix` on the command line, with a real Keycloak and a server that uses it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.compose_stack import REPOSITORY
from tests.support.keycloak.bootstrap_commands import check, clients_of
from tests.support.keycloak.manual_changes import TAMPERINGS
from tests.support.mcp_server_process import serving_realm

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.keycloak.realm import Keycloak
    from tests.support.mcp_server_process import Server

pytestmark = pytest.mark.containers


def doctor(server: Server, *words: str, **variables: str) -> tuple[int, dict[str, Any], str]:
    """Runs `scripts/doctor URL --json`; returns exit code, report and standard error."""
    done = subprocess.run(
        [sys.executable, "-m", "mcp_idp.cli", "doctor", server.url, "--json", *words],
        cwd=REPOSITORY,
        env={"PATH": os.environ["PATH"], **server.realm.environment, **variables},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    return done.returncode, json.loads(done.stdout), done.stderr


def names(report: dict[str, Any]) -> list[str]:
    return [finding["finding"] for finding in report["findings"]]


def test_a_drifted_realm_is_reported_fixed_and_probed(keycloak: Keycloak, tmp_path: Path) -> None:
    with serving_realm(keycloak, tmp_path) as server:
        admin = server.realm.admin()
        TAMPERINGS["scope mcp:admin.roles"](admin)
        TAMPERINGS["client policies.mcp-code-only.enabled"](admin)
        drifted = check(server.realm).names
        before = clients_of(server.realm)

        code, report, _ = doctor(server, "--inside")
        assert (code, names(report)[0]) == (1, "provider_drift")
        # Without a terminal for the confirmation, the fix is shown but not applied.
        _, _, output = doctor(server, "--fix")
        assert "client policies" in output
        assert "not confirmed" in output
        assert check(server.realm).names == drifted
        # Otherwise another server's URL would become the audience.
        _, _, output = doctor(server, "--fix", "--yes", MCP_PUBLIC_URL="http://localhost:9/mcp")
        assert "nothing was written" in output
        assert check(server.realm).names == drifted

        code, report, output = doctor(server, "--fix", "--yes", "--inside", "--probe")
        assert (code, names(report)) == (0, []), output
        assert "~ client policies: set mcp-code-only" in output
        assert check(server.realm).clean
        assert clients_of(server.realm) == before
        assert server.realm.server.admin_secret not in json.dumps(report) + output


def test_without_the_admin_client_nothing_is_probed(keycloak: Keycloak, tmp_path: Path) -> None:
    with serving_realm(keycloak, tmp_path) as server:
        before = clients_of(server.realm)
        _, report, _ = doctor(server, "--probe", KEYCLOAK_ADMIN_CLIENT_SECRET="guessed")
        assert names(report) == ["provider_not_probed"]
        _, report, _ = doctor(server, "--probe", OAUTH_SERVER_URL="http://localhost:9/realms/mcp")
        assert "nothing was probed" in report["findings"][0]["observed"]
        assert clients_of(server.realm) == before
