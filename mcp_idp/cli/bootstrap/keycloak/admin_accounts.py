"""Replaces the temporary administrator of Keycloak's first start with service accounts limited to one realm.

The accounts are clients of the master realm. A client of the managed realm would be bound by that realm's client
policies, which reject `client_credentials`. The accounts get roles of the client `<realm>-realm`, which is how Keycloak
separates the rights in one realm from those in others; their tokens carry these roles and no others.

The order of the steps makes it safe to stop at any point and run again: an account's secret is stored in a file before
Keycloak knows it, the file gets its final name only after the account was verified, and the temporary administrator is
deleted last.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from mcp_idp.cli.bootstrap.errors import (
    AdminAuthError,
    ConfigError,
    PermissionDenied,
    ProviderRequestError,
    VerificationError,
)
from mcp_idp.cli.bootstrap.keycloak.admin_client import AdminClient
from mcp_idp.cli.bootstrap.keycloak.lookups import find_client
from mcp_idp.cli.bootstrap.keycloak.settings import account_file, account_id
from mcp_idp.cli.bootstrap.keycloak.state.managed import MANAGED_MARKER, is_managed
from mcp_idp.cli.bootstrap.secret_file import get_or_create_secret, read_secret

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from mcp_idp.access.policy import AccessPolicy
    from mcp_idp.cli.bootstrap.keycloak.settings import KeycloakSettings

ADMIN_REALM = "master"


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """The definition of one service account.

    Attributes:
        what_for: its purpose, shown as the client's description in Keycloak.
        roles: roles of the client `<realm>-realm`.
        user_roles: further roles of that client, granted if the access file has groups, demo users or service clients
            (whose service accounts are users too); the account must then be able to read users and groups as well.
        reads: paths below the realm that it must be able to read.
        configures: whether it may change the realm's configuration.
    """

    what_for: str
    roles: frozenset[str]
    user_roles: frozenset[str] = frozenset()
    reads: tuple[tuple[str, ...], ...]
    configures: bool = False


_CONFIGURATION = (("clients",), ("client-scopes",), ("components",), ("client-policies", "policies"), ("events",))
_USER_PATHS = (("users",), ("groups",))

ACCOUNTS: Mapping[str, Account] = {
    "apply": Account(
        what_for="configures the realm: apply, prune, token",
        roles=frozenset({"manage-realm", "manage-clients", "view-events"}),
        user_roles=frozenset({"manage-users"}),
        reads=_CONFIGURATION,
        configures=True,
    ),
    "check": Account(
        what_for="reads the realm's configuration: check, plan",
        # Always view-users: without it Keycloak hides the default groups, although they may grant roles.
        roles=frozenset({"view-realm", "view-clients", "view-events", "view-users"}),
        reads=(*_CONFIGURATION, *_USER_PATHS),
    ),
    "people": Account(
        what_for="creates user accounts and assigns roles",
        roles=frozenset({"manage-users", "view-realm"}),
        reads=(*_USER_PATHS, ("roles",)),
    ),
}


def ensure_account(master: AdminClient, settings: KeycloakSettings, name: str, secret: str) -> None:
    """Creates a service account, or corrects the existing one: its secret, its settings and its exact set of roles.

    Args:
        master: admin client of the master realm.
        settings: settings of the run; they name the realm.
        name: a key of `ACCOUNTS`.
        secret: the client secret to set.

    Raises:
        ConfigError: the realm does not exist yet, or an unmanaged client has the account's client id.
        BootstrapError: Keycloak rejected a request.
    """
    rights = find_client(master, f"{settings.realm}-realm")
    if rights is None:
        raise ConfigError(f"the realm {settings.realm} does not exist yet: run apply first")
    client_id = account_id(settings.realm, name)
    desired = _client(client_id, ACCOUNTS[name].what_for, secret)
    found = find_client(master, client_id)
    if found is None:
        master.write("POST", ("clients",), desired)
        found = master.get("clients", clientId=client_id)[0]
    elif is_managed(found):
        master.write("PUT", ("clients", found["id"]), desired)
    else:
        raise ConfigError(f"a client {client_id} that is not managed here exists in the realm {ADMIN_REALM}: rename it")
    roles = ACCOUNTS[name].roles | (ACCOUNTS[name].user_roles if _manages_users(settings.access) else frozenset())
    granted = [role for role in master.get("clients", rights["id"], "roles") if role["name"] in roles]
    account_user = master.get("clients", found["id"], "service-account-user")
    _set_roles(master, ("users", account_user["id"], "role-mappings", "clients", rights["id"]), granted)
    _set_roles(master, ("clients", found["id"], "scope-mappings", "clients", rights["id"]), granted)


def _client(client_id: str, what_for: str, secret: str) -> dict[str, Any]:
    """Builds the client representation of an account. All login flows are off, so no user can log in with it."""
    return {
        "clientId": client_id,
        "description": f"scripts/bootstrap_idp.py: {what_for}",
        "secret": secret,
        "enabled": True,
        "publicClient": False,
        "serviceAccountsEnabled": True,
        "standardFlowEnabled": False,
        "implicitFlowEnabled": False,
        "directAccessGrantsEnabled": False,
        "fullScopeAllowed": False,
        "redirectUris": [],
        "webOrigins": [],
        "defaultClientScopes": ["basic"],
        "optionalClientScopes": [],
        "attributes": MANAGED_MARKER,
    }


def _set_roles(master: AdminClient, path: tuple[str, ...], desired: list[dict[str, Any]]) -> None:
    """Makes the role mapping at `path` contain exactly the roles `desired`."""
    there = master.get(*path)
    current, due = ({role["name"] for role in roles} for roles in (there, desired))
    if missing := [role for role in desired if role["name"] not in current]:
        master.write("POST", path, missing)
    if surplus := [role for role in there if role["name"] not in due]:
        master.write("DELETE", path, surplus)


def verify_account(settings: KeycloakSettings, name: str, secret: str, log: Callable[[str], None]) -> str:
    """Verifies that a service account can read what it needs, and that requests beyond its purpose are rejected.

    Each request that must be rejected would change nothing if it were accepted.

    Args:
        settings: settings of the run.
        name: a key of `ACCOUNTS`.
        secret: the account's client secret.
        log: receives each progress line.

    Returns:
        One line that states what was verified.

    Raises:
        VerificationError: the account has too few or too many rights.
        ProviderUnreachable: Keycloak does not respond.
    """
    account, client_id = ACCOUNTS[name], account_id(settings.realm, name)
    account_settings = replace(settings, admin_realm=ADMIN_REALM, admin_client_id=client_id, admin_client_secret=secret)
    session, outside = AdminClient(account_settings, log), AdminClient(account_settings, log, realm=ADMIN_REALM)
    try:
        session.log_in(0)
        for path in (*account.reads, *(_USER_PATHS if account.user_roles and _manages_users(settings.access) else ())):
            session.get(*path, max="1")
    except (AdminAuthError, ProviderRequestError) as error:
        raise VerificationError(f"the account {client_id} lacks the rights it needs: {error}") from error
    if (realms := session.realms()) != {settings.realm}:
        raise VerificationError(
            f"the account {client_id} has rights in {', '.join(sorted(realms))}, not only in its own realm"
        )
    checks: dict[str, Callable[[], None]] = {
        "create a realm": lambda: session.create_realm({"realm": settings.realm}),
        "create users in master": lambda: outside.write("POST", ("users",), {}),
        "read clients of master": lambda: outside.get("clients", max="1"),
        "change master": lambda: outside.write("PUT", (), {}),
    }
    if not account.configures:
        checks["change its realm"] = lambda: session.write("PUT", (), {})
    for what, check in checks.items():
        if _is_permitted(check):
            raise VerificationError(f"the account {client_id} may {what}")
    return f"{client_id} {account.what_for}; it may not {', '.join(checks)}"


def _manages_users(access: AccessPolicy) -> bool:
    """Checks whether the access file has demo users, groups, or service clients (their service accounts are users)."""
    return bool(access.demo_users or access.machine_clients or access.groups)


def _is_permitted(request: Callable[[], None]) -> bool:
    """Sends a request and checks whether it was authorized.

    A request that fails for another reason than missing rights, such as an invalid body, counts as permitted.
    """
    try:
        request()
    except PermissionDenied:
        return False
    except ProviderRequestError:
        return True
    return True


_TEMPORARY = "is_temporary_admin"  # attribute that Keycloak sets on an administrator created at its start


def replace_bootstrap_admin(settings: KeycloakSettings, *, wait: int, log: Callable[[str], None]) -> None:
    """Creates and verifies the realm's service accounts, then deletes the temporary administrator.

    If that has already been done, it only verifies the accounts.

    Args:
        settings: settings of the run: the realm, the temporary administrator's credentials and the folder for the
            accounts' secrets.
        wait: how long to wait for a provider that is still starting, in seconds.
        log: receives each output line.

    Raises:
        BootstrapError: a step failed, or an account has too few or too many rights; the temporary administrator still
            exists, unless only the check after its deletion failed.
    """
    if settings.accounts is None:
        raise ConfigError("KEYCLOAK_ACCOUNTS: set it to the folder in which to keep the accounts' secrets")
    if settings.admin_realm != ADMIN_REALM:
        raise ConfigError(f"KEYCLOAK_ADMIN_REALM={settings.admin_realm}: use an administrator of {ADMIN_REALM}")
    master = AdminClient(settings, log, realm=ADMIN_REALM)
    try:
        master.log_in(wait)
    except AdminAuthError:
        # An earlier run deleted the administrator, or the secret is wrong; if an account secret is missing, the latter.
        if any(read_secret(account_file(settings.accounts, name)) is None for name in ACCOUNTS):
            raise
        _verify_all(settings, settings.accounts, log)
        log("no changes: the accounts work, and the temporary administrator is removed")
        return
    for name in ACCOUNTS:
        ensure_account(master, settings, name, _get_or_create_secret(settings.accounts, name))
        log(f"account {name}: its secret is in {account_file(settings.accounts, name)}")
    _verify_all(settings, settings.accounts, log)
    for name in ACCOUNTS:
        if (pending := _pending(settings.accounts, name)).exists():
            pending.replace(account_file(settings.accounts, name))
    _remove_temporary(master, settings, log)


def _pending(folder: Path, name: str) -> Path:
    """Returns the path of a secret whose account has not been verified yet."""
    return account_file(folder, name).with_name("secret.pending")


def _stored_secret(folder: Path, name: str) -> str | None:
    return read_secret(account_file(folder, name)) or read_secret(_pending(folder, name))


def _get_or_create_secret(folder: Path, name: str) -> str:
    """Returns the account's secret; creates and stores one if there is none."""
    file = _pending(folder, name)
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"{file.parent}: cannot be created ({error.strerror}); name another folder") from error
    return _stored_secret(folder, name) or get_or_create_secret(file)


def _verify_all(settings: KeycloakSettings, folder: Path, log: Callable[[str], None]) -> None:
    for name in ACCOUNTS:
        log(f"verified: {verify_account(settings, name, _stored_secret(folder, name) or '', log)}")


def _remove_temporary(master: AdminClient, settings: KeycloakSettings, log: Callable[[str], None]) -> None:
    """Deletes the administrator that this run used, if it is the temporary one, and verifies that it cannot log in.

    Raises:
        VerificationError: it can still log in.
    """
    admin = find_client(master, settings.admin_client_id)
    if admin is None or (admin.get("attributes") or {}).get(_TEMPORARY) != "true":
        log(f"note: the administrator {settings.admin_client_id} is not temporary and remains")
        return
    master.write("DELETE", ("clients", admin["id"]))
    try:
        AdminClient(settings, log).log_in(0)
    except AdminAuthError:
        log(f"- the temporary administrator {settings.admin_client_id}: it can no longer log in")
        return
    raise VerificationError(f"the administrator {settings.admin_client_id} was deleted and can still log in")
