"""Replacing the administrator of Keycloak's start with service accounts of one realm.

The replaced administrator belongs to the test and is marked like that of Keycloak's start, which other tests need.
"""

from __future__ import annotations

import re
import secrets
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from mcp_idp.cli.bootstrap.errors import (
    AdminAuthError,
    BootstrapError,
    ConfigError,
    PermissionDenied,
    VerificationError,
)
from mcp_idp.cli.bootstrap.keycloak.admin_accounts import ACCOUNTS, ADMIN_REALM, replace_bootstrap_admin
from mcp_idp.cli.bootstrap.keycloak.admin_client import AdminClient
from mcp_idp.cli.bootstrap.keycloak.settings import KeycloakSettings, account_file
from mcp_idp.cli.bootstrap.keycloak.state.managed import MANAGED_MARKER
from tests.support.keycloak.bootstrap_commands import check, command_line
from tests.support.keycloak.realm import REDIRECT, REPOSITORY
from tests.support.recording_proxy import recording

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.keycloak.realm import Realm

pytestmark = pytest.mark.containers

_WRITES = 21  # writes of a complete replace-admin, including the rejected test requests
_FEW = (9, 21)


def temporary(realm: Realm, **attributes: str) -> dict[str, str]:
    """Creates an administrator like that of Keycloak's first start; returns the settings for replace-admin."""
    master = _master(realm)
    name, secret = f"temporary-{secrets.token_hex(4)}", secrets.token_urlsafe(32)
    attributes = attributes or {"is_temporary_admin": "true"}
    user = _client(master, name, secret, attributes)
    master.write("POST", ("users", user, "role-mappings", "realm"), [master.get("roles", "admin")])
    return {
        "KEYCLOAK_ADMIN_CLIENT_ID": name,
        "KEYCLOAK_ADMIN_CLIENT_SECRET": secret,
        "KEYCLOAK_ACCOUNTS": str(realm.folder / "accounts"),
    }


def _client(master: AdminClient, name: str, secret: str, attributes: dict[str, str]) -> str:
    """Creates a client of the master realm; returns the id of its service account."""
    client = {"clientId": name, "secret": secret, "serviceAccountsEnabled": True, "attributes": attributes}
    master.write("POST", ("clients",), client)
    found = master.get("clients", clientId=name)[0]
    return str(master.get("clients", found["id"], "service-account-user")["id"])


def _master(realm: Realm) -> AdminClient:
    session = AdminClient(KeycloakSettings.load(realm.environment), realm=ADMIN_REALM)
    session.log_in(30)
    return session


def _settings(realm: Realm, admin: dict[str, str], account: str | None = None) -> KeycloakSettings:
    return KeycloakSettings.load({**realm.environment, **admin}, account)


def _can_log_in(realm: Realm, admin: dict[str, str]) -> bool:
    try:
        AdminClient(_settings(realm, admin)).log_in(0)
    except AdminAuthError:
        return False
    return True


def test_after_replace_admin_apply_and_check_work_and_the_administrator_is_rejected(realm: Realm) -> None:
    admin = temporary(realm)
    code, out, error = command_line(realm, "replace-admin", **admin)
    assert (code, error) == (0, "")
    assert not _can_log_in(realm, admin)
    files = [account_file(realm.folder / "accounts", name) for name in ACCOUNTS]
    assert {file.stat().st_mode & 0o777 for file in files} == {0o600}
    current = [admin["KEYCLOAK_ADMIN_CLIENT_SECRET"], *(file.read_text().strip() for file in files)]
    assert [secret for secret in current if secret in out] == []

    code, out, _ = command_line(realm, "apply", **admin)
    assert code == 0
    assert "no changes" in out
    assert command_line(realm, "check", **admin)[:2] == (0, "no changes, no weaknesses\n")
    realm.admin().write("PUT", (), {"accessTokenLifespan": 86400})
    assert "accessTokenLifespan" in command_line(realm, "check", **admin)[1]
    assert "accessTokenLifespan: 86400 → 300" in command_line(realm, "apply", **admin)[1]
    assert check(realm).clean
    assert command_line(realm, "prune", "--delete", **admin)[0] == 0
    code, out, _ = command_line(realm, "replace-admin", **admin)
    assert code == 0
    assert "no changes" in out


_SERVICE_CLIENT = {"name": "An importer", "roles": ["mcp-reader"], "jwks_url": "https://keys.example/jwks"}


def test_accounts_of_a_realm_with_service_clients_manage_those_too(realm: Realm) -> None:
    realm.write_access(machine_clients={"importer": _SERVICE_CLIENT})
    realm.apply()
    admin = temporary(realm)
    assert command_line(realm, "replace-admin", **admin)[0] == 0
    assert "no changes" in command_line(realm, "apply", **admin)[1]
    code, out, _ = command_line(realm, "check", **admin)
    # The warning about permissions of anonymous clients comes first, because service clients open their grant.
    assert (code, out.splitlines()[1:]) == (0, ["no changes, no weaknesses"])
    assert "KC_FEATURES_DISABLED" in out.splitlines()[0]
    realm.write_access(
        machine_clients={"importer": _SERVICE_CLIENT, "other": {**_SERVICE_CLIENT, "roles": ["mcp-writer"]}}
    )
    code, out, _ = command_line(realm, "apply", **admin)
    assert (code, "client other: add mcp-writer" in out) == (0, True)


def test_accounts_of_a_realm_with_groups_manage_those_too_and_users_are_added(realm: Realm) -> None:
    realm.write_access(groups={"engineering": ["mcp-writer"]}, demo_users={})
    realm.apply()
    admin = temporary(realm)
    assert command_line(realm, "replace-admin", **admin)[0] == 0
    assert "no changes" in command_line(realm, "apply", **admin)[1]
    assert command_line(realm, "check", **admin)[:2] == (0, "no changes, no weaknesses\n")
    users = AdminClient(_settings(realm, admin, "people"))
    users.log_in(30)
    users.write("POST", ("users",), {"username": "ada", "enabled": True, "groups": ["/engineering"]})
    (ada,) = users.get("users", username="ada", exact="true")
    assert [group["path"] for group in users.get("users", ada["id"], "groups")] == ["/engineering"]
    realm.write_access(groups={"engineering": ["mcp-reader"], "operations": ["mcp-writer"]}, demo_users={})
    code, out, _ = command_line(realm, "apply", **admin)
    assert (code, "group operations: create" in out, "group engineering: add mcp-reader" in out) == (0, True, True)


def test_an_account_with_the_roles_of_the_page_may_replace_the_administrator_of_an_existing_realm(realm: Realm) -> None:
    """Keycloak lets an account grant only the rights that it has itself."""
    realm.write_access(demo_users={})
    realm.apply()
    page = (REPOSITORY / "docs" / "providers" / "keycloak.md").read_text(encoding="utf-8")
    (named,) = re.findall(r"--cclientid team-realm((?:[ \\\n]+--rolename [a-z-]+)+)", page)
    master = _master(realm)
    name, secret = f"temporary-{secrets.token_hex(4)}", secrets.token_urlsafe(32)
    user = _client(master, name, secret, {"is_temporary_admin": "true"})
    rights = {
        "master-realm": {"manage-clients", "manage-users"},
        f"{realm.name}-realm": set(re.findall(r"--rolename ([a-z-]+)", named)),
    }
    for client, roles in rights.items():
        path = ("clients", master.get("clients", clientId=client)[0]["id"])
        granted = [role for role in master.get(*path, "roles") if role["name"] in roles]
        master.write("POST", ("users", user, "role-mappings", *path), granted)
    admin = {
        "KEYCLOAK_ADMIN_CLIENT_ID": name,
        "KEYCLOAK_ADMIN_CLIENT_SECRET": secret,
        "KEYCLOAK_ACCOUNTS": str(realm.folder / "accounts"),
    }
    replace_bootstrap_admin(_settings(realm, admin), wait=30, log=lambda _: None)
    assert not _can_log_in(realm, admin)


@pytest.mark.requirement("weaknesses.default_group")
def test_the_check_account_sees_a_default_group_where_the_file_names_no_users(realm: Realm) -> None:
    realm.write_access(demo_users={})
    realm.apply()
    admin = temporary(realm)
    assert command_line(realm, "replace-admin", **admin)[0] == 0
    assert command_line(realm, "check", **admin)[:2] == (0, "no changes, no weaknesses\n")
    session = realm.admin()
    session.write("POST", ("groups",), {"name": "all"})
    group = session.get("group-by-path", "all")["id"]
    session.write("POST", ("groups", group, "role-mappings", "realm"), [session.get("roles", "mcp-admin")])
    session.write("PUT", ("default-groups", group), {})
    code, out, _ = command_line(realm, "check", **admin)
    assert (code, "drift: realm.default groups is" in out) == (1, True)
    code, out, _ = command_line(realm, "apply", **admin)
    assert (code, "default groups were not checked" in out) == (0, True)


def test_an_account_that_cannot_manage_service_clients_changes_nothing(realm: Realm) -> None:
    realm.write_access(demo_users={})
    realm.apply()
    admin = temporary(realm)
    assert command_line(realm, "replace-admin", **admin)[0] == 0
    realm.write_access(demo_users={}, machine_clients={"importer": _SERVICE_CLIENT})
    code, out, error = command_line(realm, "apply", **admin)
    assert (code, out) == (2, "")
    assert "give it manage-users" in error
    assert realm.register(redirect_uris=[REDIRECT], token_endpoint_auth_method="none")["status"] == 201


def test_no_account_reaches_beyond_its_realm_and_a_reader_writes_nothing(realm: Realm, standing_realm: Realm) -> None:
    admin = temporary(realm)
    replace_bootstrap_admin(_settings(realm, admin), wait=30, log=lambda _: None)
    master = _master(realm)
    before = {client["clientId"] for client in master.get("clients")}
    for name in ACCOUNTS:
        settings = _settings(realm, admin, name)
        own, other, above = (AdminClient(settings, realm=r) for r in (realm.name, standing_realm.name, ADMIN_REALM))
        own.log_in(30)
        tries: list[Callable[[], object]] = [
            lambda s=other: s.get("users"),  # type: ignore[misc]
            lambda s=other: s.get("clients"),  # type: ignore[misc]
            lambda s=other: s.write("PUT", (), {"accessTokenLifespan": 86400}),  # type: ignore[misc]
            lambda s=other: s.write("DELETE", ()),  # type: ignore[misc]
            lambda s=above: s.write("POST", ("users",), {"username": "eve", "enabled": True}),  # type: ignore[misc]
            lambda s=above: s.write("POST", ("clients",), {"clientId": "eve"}),  # type: ignore[misc]
            lambda s=above: s.get("clients"),  # type: ignore[misc]
            lambda s=own: s.create_realm({"realm": "eve", "enabled": True}),  # type: ignore[misc]
        ]
        if name != "apply":
            tries += [
                lambda s=own: s.write("PUT", (), {"accessTokenLifespan": 86400}),  # type: ignore[misc]
                lambda s=own: s.write("POST", ("clients",), {"clientId": "eve"}),  # type: ignore[misc]
            ]
        if name != "people":
            assert own.get("clients")
        if name == "check":
            tries.append(lambda s=own: s.write("POST", ("users",), {"username": "eve"}))  # type: ignore[misc]
        for attempt in tries:
            with pytest.raises(PermissionDenied):
                attempt()
    assert {client["clientId"] for client in master.get("clients")} == before
    assert master.get("users", username="eve") == []
    assert check(realm).clean


def _some(few: tuple[int, ...], maximum: int) -> list[object]:
    return [n if n in few else pytest.param(n, marks=pytest.mark.full) for n in range(1, maximum + 1)]


@pytest.mark.parametrize("writes", _some(_FEW, _WRITES))
def test_an_interrupted_replace_admin_is_completed_by_the_next(realm: Realm, writes: int) -> None:
    admin = temporary(realm)
    with recording(realm.server.url) as proxy:
        proxy.fails_after = writes
        settings = replace(_settings(realm, admin), internal_url=f"{proxy.url}/realms/{realm.name}")
        with pytest.raises(BootstrapError):
            replace_bootstrap_admin(settings, wait=0, log=lambda _: None)
        assert len(proxy.writes) == writes
    # Only the last write deletes the administrator, and the accounts work by then.
    assert _can_log_in(realm, admin) == (writes < _WRITES)
    assert command_line(realm, "apply", **admin)[0] == 0
    replace_bootstrap_admin(_settings(realm, admin), wait=30, log=lambda _: None)
    assert not _can_log_in(realm, admin)
    assert command_line(realm, "apply", **admin)[0] == 0
    assert command_line(realm, "check", **admin)[:2] == (0, "no changes, no weaknesses\n")


def test_an_account_that_may_do_too_much_is_named_and_the_administrator_stays(realm: Realm) -> None:
    admin, master = temporary(realm), _master(realm)
    user = _client(
        master, f"{realm.name}-check", "s" * 43, {str(name): str(value) for name, value in MANAGED_MARKER.items()}
    )
    check_account = master.get("clients", clientId=f"{realm.name}-check")[0]
    everything = [master.get("roles", "admin")]
    for path in (
        ("users", user, "role-mappings", "realm"),
        ("clients", check_account["id"], "scope-mappings", "realm"),
    ):
        master.write("POST", path, everything)
    with pytest.raises(VerificationError, match=r"-check has rights in .*master"):
        replace_bootstrap_admin(_settings(realm, admin), wait=30, log=lambda _: None)
    assert _can_log_in(realm, admin)
    assert not account_file(realm.folder / "accounts", "check").exists()
    master.write("DELETE", ("clients", check_account["id"], "scope-mappings", "realm"), everything)
    replace_bootstrap_admin(_settings(realm, admin), wait=30, log=lambda _: None)
    assert not _can_log_in(realm, admin)


def test_surplus_roles_of_an_account_are_removed(realm: Realm) -> None:
    admin, master = temporary(realm), _master(realm)
    replace_bootstrap_admin(_settings(realm, admin), wait=30, log=lambda _: None)
    account = master.get("clients", clientId=f"{realm.name}-check")[0]
    rights = master.get("clients", clientId=f"{realm.name}-realm")[0]
    user = master.get("clients", account["id"], "service-account-user")["id"]
    more = [role for role in master.get("clients", rights["id"], "roles") if role["name"] == "manage-realm"]
    for path in (("users", user, "role-mappings"), ("clients", account["id"], "scope-mappings")):
        master.write("POST", (*path, "clients", rights["id"]), more)
    # No account is left that may fix it, but it is reported.
    with pytest.raises(VerificationError, match="may change its realm"):
        replace_bootstrap_admin(_settings(realm, admin), wait=30, log=lambda _: None)
    replace_bootstrap_admin(_settings(realm, temporary(realm)), wait=30, log=lambda _: None)
    current = master.get("users", user, "role-mappings", "clients", rights["id"])
    assert {role["name"] for role in current} == ACCOUNTS["check"].roles


def test_an_unmanaged_client_is_not_adopted(realm: Realm) -> None:
    admin = temporary(realm)
    _client(_master(realm), f"{realm.name}-apply", "s" * 43, {"a": "b"})
    with pytest.raises(ConfigError, match="not managed here"):
        replace_bootstrap_admin(_settings(realm, admin), wait=30, log=lambda _: None)
    assert _can_log_in(realm, admin)


def test_a_permanent_administrator_is_not_removed(realm: Realm) -> None:
    admin = temporary(realm, note="yes")
    message: list[str] = []
    replace_bootstrap_admin(_settings(realm, admin), wait=30, log=message.append)
    assert "remains" in message[-1]
    assert _can_log_in(realm, admin)


def test_before_the_first_apply_replace_admin_finds_no_realm(realm: Realm) -> None:
    admin = {**temporary(realm), "OAUTH_SERVER_URL": f"{realm.server.url}/realms/test-not-there"}
    with pytest.raises(ConfigError, match="run apply first"):
        replace_bootstrap_admin(_settings(realm, admin), wait=30, log=lambda _: None)
    assert _can_log_in(realm, admin)
