"""Which account a command uses, depending on the files that `replace-admin` writes."""

from __future__ import annotations

from pathlib import Path

import pytest

from mcp_idp.cli.bootstrap.errors import BootstrapError, ConfigError
from mcp_idp.cli.bootstrap.keycloak.admin_accounts import ACCOUNTS, replace_bootstrap_admin, verify_account
from mcp_idp.cli.bootstrap.keycloak.settings import KeycloakSettings, account_file
from tests.support.fake_admin_api import TOKEN, keycloak

ROOT = Path(__file__).parents[5]


def _load(folder: Path, account: str | None, **variables: str) -> KeycloakSettings:
    environment = {
        "KEYCLOAK_ADMIN_CLIENT_SECRET": "temporary",
        "KEYCLOAK_ACCOUNTS": str(folder),
        "ACCESS_FILE": str(ROOT / "idp-config" / "access.yaml"),
    }
    return KeycloakSettings.load({**environment, **variables}, account)


@pytest.mark.parametrize("account", ACCOUNTS)
def test_an_account_replaces_the_administrator_once_it_works(account: str, tmp_path: Path) -> None:
    file = account_file(tmp_path, account)
    file.parent.mkdir()
    file.with_name("secret.pending").write_text("unproven")
    before = _load(tmp_path, account)
    assert (before.admin_client_id, before.admin_client_secret) == ("bootstrap", "temporary")
    file.write_text("proven\n")
    after = _load(tmp_path, account, KEYCLOAK_ADMIN_REALM="elsewhere")
    assert (after.admin_realm, after.admin_client_id, after.admin_client_secret) == (
        "master",
        f"mcp-{account}",
        "proven",
    )
    assert _load(tmp_path, None).admin_client_id == "bootstrap"  # replace-admin itself
    assert all(_load(tmp_path, other).admin_client_id == "bootstrap" for other in ACCOUNTS if other != account)


def test_an_account_s_own_secret_is_enough(tmp_path: Path) -> None:
    file = account_file(tmp_path, "check")
    file.parent.mkdir()
    file.write_text("proven")
    assert _load(tmp_path, "check", KEYCLOAK_ADMIN_CLIENT_SECRET="").admin_client_id == "mcp-check"
    with pytest.raises(ConfigError, match="KEYCLOAK_ADMIN_CLIENT_SECRET_FILE"):
        _load(tmp_path, "apply", KEYCLOAK_ADMIN_CLIENT_SECRET="")


@pytest.mark.parametrize(
    ("variables", "named"),
    [({"KEYCLOAK_ACCOUNTS": ""}, "KEYCLOAK_ACCOUNTS"), ({"KEYCLOAK_ADMIN_REALM": "mcp"}, "master")],
)
def test_a_replace_admin_that_cannot_work_sends_no_request(
    variables: dict[str, str], named: str, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=named):
        replace_bootstrap_admin(_load(tmp_path, None, **variables), wait=0, log=lambda _: None)


@pytest.mark.parametrize("hidden", ["users", "groups"])
@pytest.mark.parametrize(
    ("account", "file", "reads"),
    [
        ("check", "access.yaml", True),
        ("check", "access.production.yaml", True),
        ("people", "access.production.yaml", True),
        ("apply", "access.yaml", True),
        ("apply", "access.production.yaml", False),
    ],
)
def test_an_account_that_should_see_users_and_does_not_is_reported(
    account: str, file: str, hidden: str, tmp_path: Path, *, reads: bool
) -> None:
    with keycloak({TOKEN: 200, f"/admin/realms/mcp/{hidden}": 403, "/admin/realms/mcp/": 200}) as base:
        access = {"ACCESS_FILE": str(ROOT / "idp-config" / file), "MCP_PUBLIC_URL": "http://localhost:3000/mcp"}
        settings = _load(tmp_path, None, OAUTH_SERVER_URL=f"{base}/realms/mcp", **access)
        with pytest.raises(BootstrapError) as rejected:
            verify_account(settings, account, "s" * 43, lambda _: None)
    unproven = f"lacks the rights it needs: the admin client 'mcp-{account}' may not GET {hidden}"
    assert (unproven in str(rejected.value)) == reads


def test_the_check_account_may_view_users_always_and_the_apply_account_only_where_there_are_some() -> None:
    assert "view-users" in ACCOUNTS["check"].roles
    assert not ACCOUNTS["check"].user_roles
    assert {role for role in ACCOUNTS["apply"].roles if role.endswith("users")} == set()
    assert ACCOUNTS["apply"].user_roles == {"manage-users"}
