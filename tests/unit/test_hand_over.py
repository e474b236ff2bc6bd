"""Which account a verb runs as: what the files of a hand-over say."""

from __future__ import annotations

from pathlib import Path

import pytest

from scripts.bootstrap.failures import SettingsFailure
from scripts.bootstrap.keycloak.accounts import ACCOUNTS
from scripts.bootstrap.keycloak.hand_over import hand_over
from scripts.bootstrap.settings import BootstrapSettings, account_file

ROOT = Path(__file__).parents[2]


def _load(folder: Path, account: str | None, **variables: str) -> BootstrapSettings:
    environment = {
        "KEYCLOAK_ADMIN_CLIENT_SECRET": "temporary",
        "KEYCLOAK_ACCOUNTS": str(folder),
        "ACCESS_FILE": str(ROOT / "idp-config" / "access.yaml"),
    }
    return BootstrapSettings.load({**environment, **variables}, account)


@pytest.mark.requirement("hand_over.files")
@pytest.mark.parametrize("account", ACCOUNTS)
def test_an_account_takes_the_administrator_s_place_once_it_works(account: str, tmp_path: Path) -> None:
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
    assert _load(tmp_path, None).admin_client_id == "bootstrap"  # the hand-over itself
    assert all(_load(tmp_path, other).admin_client_id == "bootstrap" for other in ACCOUNTS if other != account)


@pytest.mark.requirement("hand_over.files")
def test_an_account_s_own_secret_is_enough(tmp_path: Path) -> None:
    file = account_file(tmp_path, "check")
    file.parent.mkdir()
    file.write_text("proven")
    assert _load(tmp_path, "check", KEYCLOAK_ADMIN_CLIENT_SECRET="").admin_client_id == "mcp-check"
    with pytest.raises(SettingsFailure, match="KEYCLOAK_ADMIN_CLIENT_SECRET_FILE"):
        _load(tmp_path, "apply", KEYCLOAK_ADMIN_CLIENT_SECRET="")


@pytest.mark.requirement("hand_over.files")
@pytest.mark.parametrize(
    ("variables", "named"),
    [({"KEYCLOAK_ACCOUNTS": ""}, "KEYCLOAK_ACCOUNTS"), ({"KEYCLOAK_ADMIN_REALM": "mcp"}, "master")],
)
def test_a_hand_over_that_cannot_work_asks_nobody(variables: dict[str, str], named: str, tmp_path: Path) -> None:
    with pytest.raises(SettingsFailure, match=named):
        hand_over(_load(tmp_path, None, **variables), wait=0, say=lambda _: None)
