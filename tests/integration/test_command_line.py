"""Output and exit codes of the bootstrap command with a real Keycloak."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from mcp_idp.cli.bootstrap.errors import AdminAuthError, ProviderUnreachable
from tests.support.keycloak.bootstrap_commands import command_line
from tests.support.keycloak.realm import PUBLIC_URL, Realm

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.keycloak.realm import Keycloak

pytestmark = pytest.mark.containers


def test_a_wrong_admin_secret_ends_with_one_line_that_says_what_to_do(keycloak: Keycloak, tmp_path: Path) -> None:
    realm = Realm(keycloak, tmp_path, "test-refused")
    realm.write_access()
    code, out, error = command_line(realm, "apply", KEYCLOAK_ADMIN_CLIENT_SECRET="wrong-wrong-wrong")
    assert (code, out) == (AdminAuthError.exit_code, "")
    assert error.count("\n") == 1
    assert "docker compose down -v" in error
    assert "wrong-wrong" not in error


def test_the_command_line_ends_with_who_can_log_in_and_what_to_type_next(standing_realm: Realm) -> None:
    code, out, error = command_line(standing_realm, "apply")
    assert (code, error) == (0, "")
    assert out.endswith(
        "Demo users (name / password):\n"
        "  reader / reader  mcp:tools mcp:notes.read\n"
        "  writer / writer  mcp:tools mcp:notes.read mcp:notes.write\n"
        "  admin  / admin   mcp:tools mcp:notes.read mcp:notes.write mcp:admin\n"
        "  nobody / nobody  no role, so no scope\n"
        f"Account page:  {standing_realm.issuer}/account\n"
        f"MCP server:    {PUBLIC_URL}\n"
        f"Next:          ./scripts/login {PUBLIC_URL}\n"
    )
    assert standing_realm.client_secret not in out


def test_a_provider_that_does_not_answer_ends_with_exit_code_three(standing_realm: Realm) -> None:
    nowhere = f"http://127.0.0.1:1/realms/{standing_realm.name}"
    code, out, error = command_line(standing_realm, "apply", "--wait", "1", OAUTH_INTERNAL_URL=nowhere)
    assert code == ProviderUnreachable.exit_code
    assert "waiting for Keycloak" in out
    assert error.count("\n") == 1
    assert "OAUTH_INTERNAL_URL" in error
