"""The accounts of one realm: what each may do, how it is made, and the proof that it may do no more.

They are clients of the realm master with a service account, because a client of the realm itself would be bound by its
client policies, which refuse `client_credentials`. Their roles are those of the client `<realm>-realm`, by which
Keycloak keeps the rights in one realm apart; a token of theirs carries these roles and no others.

From the administrator of Keycloak's first start to accounts of this one realm.

The order is what makes it safe to break off anywhere and run again: an account's secret is in its file before Keycloak
knows it, gets its name there only when the account was seen to work, and the temporary administrator is removed last.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from mcp_idp.cli.bootstrap.errors import AdminRefused, Forbidden, NotProven, ProviderRefused, SettingsFailure
from mcp_idp.cli.bootstrap.keycloak.admin_client import Session
from mcp_idp.cli.bootstrap.keycloak.lookups import find_client
from mcp_idp.cli.bootstrap.keycloak.settings import account_file, account_id
from mcp_idp.cli.bootstrap.keycloak.state.managed import MARK, is_marked
from mcp_idp.cli.bootstrap.secret_file import keep_secret, read_secret

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from mcp_idp.access.policy import Access
    from mcp_idp.cli.bootstrap.keycloak.settings import BootstrapSettings

ADMIN_REALM = "master"


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """What one account is for.

    Attributes:
        what_for: for whoever meets it in Keycloak.
        roles: of the client `<realm>-realm`.
        for_people: further ones where the access file has groups, demo users, or machine clients (a user's roles, too);
            it must then be able to read people as well.
        reads: what it must be able to read, paths below the realm.
        configures: whether it may change the realm.
    """

    what_for: str
    roles: frozenset[str]
    for_people: frozenset[str] = frozenset()
    reads: tuple[tuple[str, ...], ...]
    configures: bool = False


_CONFIGURATION = (("clients",), ("client-scopes",), ("components",), ("client-policies", "policies"), ("events",))
_PEOPLE = (("users",), ("groups",))

ACCOUNTS: Mapping[str, Account] = {
    "apply": Account(
        what_for="configures the realm: apply, prune, token",
        roles=frozenset({"manage-realm", "manage-clients", "view-events"}),
        for_people=frozenset({"manage-users"}),
        reads=_CONFIGURATION,
        configures=True,
    ),
    "check": Account(
        what_for="reads the realm's configuration: check, plan",
        # view-users in any realm: without it Keycloak shows groups that everybody joins, and may bring roles, as none.
        roles=frozenset({"view-realm", "view-clients", "view-events", "view-users"}),
        reads=(*_CONFIGURATION, *_PEOPLE),
    ),
    "people": Account(
        what_for="makes accounts for people and gives them roles",
        roles=frozenset({"manage-users", "view-realm"}),
        reads=(*_PEOPLE, ("roles",)),
    ),
}


def make(master: Session, settings: BootstrapSettings, name: str, secret: str) -> None:
    """Make the account, or put right what is there under its id: its secret, its switches and exactly its roles.

    Args:
        master: the realm master, as an administrator of it.
        settings: which realm.
        name: of the account.
        secret: it shall have.

    Raises:
        SettingsFailure: the realm is not there yet, or a client of somebody else's has the id.
        Failure: Keycloak refused.
    """
    rights = find_client(master, f"{settings.realm}-realm")
    if rights is None:
        raise SettingsFailure(f"the realm {settings.realm} is not there yet: run apply first")
    client_id = account_id(settings.realm, name)
    wanted = _client(client_id, ACCOUNTS[name].what_for, secret)
    found = find_client(master, client_id)
    if found is None:
        master.write("POST", ("clients",), wanted)
        found = master.get("clients", clientId=client_id)[0]
    elif is_marked(found):
        master.write("PUT", ("clients", found["id"]), wanted)
    else:
        raise SettingsFailure(f"a client {client_id} that is not ours is in the realm {ADMIN_REALM}: rename it")
    roles = ACCOUNTS[name].roles | (ACCOUNTS[name].for_people if _has_people(settings.access) else frozenset())
    given = [role for role in master.get("clients", rights["id"], "roles") if role["name"] in roles]
    person = master.get("clients", found["id"], "service-account-user")
    _exactly(master, ("users", person["id"], "role-mappings", "clients", rights["id"]), given)
    _exactly(master, ("clients", found["id"], "scope-mappings", "clients", rights["id"]), given)


def _client(client_id: str, what_for: str, secret: str) -> dict[str, Any]:
    """Keycloak's representation of an account. No person can log in with it."""
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
        "attributes": MARK,
    }


def _exactly(master: Session, path: tuple[str, ...], wanted: list[dict[str, Any]]) -> None:
    """Make the role mapping at `path` hold what is wanted and nothing else."""
    there = master.get(*path)
    held, due = ({role["name"] for role in roles} for roles in (there, wanted))
    if missing := [role for role in wanted if role["name"] not in held]:
        master.write("POST", path, missing)
    if surplus := [role for role in there if role["name"] not in due]:
        master.write("DELETE", path, surplus)


def prove_account(settings: BootstrapSettings, name: str, secret: str, say: Callable[[str], None]) -> str:
    """The account reads what it is for, and is refused whatever lies outside; the line that says so.

    Every trial is one that would change nothing if it were let through.

    Raises:
        NotProven: it may do too little or too much.
        ProviderUnreachable: nothing answers.
    """
    account, client_id = ACCOUNTS[name], account_id(settings.realm, name)
    own = replace(settings, admin_realm=ADMIN_REALM, admin_client_id=client_id, admin_client_secret=secret)
    session, outside = Session(own, say), Session(own, say, realm=ADMIN_REALM)
    try:
        session.log_in(0)
        for path in (*account.reads, *(_PEOPLE if account.for_people and _has_people(settings.access) else ())):
            session.get(*path, max="1")
    except (AdminRefused, ProviderRefused) as error:
        raise NotProven(f"the account {client_id} cannot do what it is for: {error}") from error
    if (realms := session.realms()) != {settings.realm}:
        raise NotProven(f"the account {client_id} has rights in {', '.join(sorted(realms))}, not in its realm alone")
    trials: dict[str, Callable[[], None]] = {
        "make a realm": lambda: session.create_realm({"realm": settings.realm}),
        "make people in master": lambda: outside.write("POST", ("users",), {}),
        "read clients of master": lambda: outside.get("clients", max="1"),
        "change master": lambda: outside.write("PUT", (), {}),
    }
    if not account.configures:
        trials["change its realm"] = lambda: session.write("PUT", (), {})
    for what, trial in trials.items():
        if _is_let_through(trial):
            raise NotProven(f"the account {client_id} may {what}")
    return f"{client_id} {account.what_for}; it may not {', '.join(trials)}"


def _has_people(access: Access) -> bool:
    """Whether the access file says something of people, or of accounts that Keycloak keeps like theirs."""
    return bool(access.demo_users or access.machine_clients or access.groups)


def _is_let_through(trial: Callable[[], None]) -> bool:
    """Whether a request was not refused for want of rights; one that was refused for its content was let through."""
    try:
        trial()
    except Forbidden:
        return False
    except ProviderRefused:
        return True
    return True


_TEMPORARY = "is_temporary_admin"  # Keycloak's own mark of an administrator made at its start


def hand_over(settings: BootstrapSettings, *, wait: int, say: Callable[[str], None]) -> None:
    """Make the accounts, prove them, remove the temporary administrator. A second time only the proofs are left.

    Args:
        settings: which realm, the temporary administrator, and the folder for the accounts' secrets.
        wait: seconds to wait for a provider that is still starting.
        say: takes each line for people.

    Raises:
        Failure: it could not be done, or an account may do too little or too much; the administrator is still there.
    """
    if settings.accounts is None:
        raise SettingsFailure("KEYCLOAK_ACCOUNTS: set it to the folder where the accounts' secrets shall be kept")
    if settings.admin_realm != ADMIN_REALM:
        raise SettingsFailure(
            f"KEYCLOAK_ADMIN_REALM={settings.admin_realm}: it takes an administrator of {ADMIN_REALM}"
        )
    master = Session(settings, say, realm=ADMIN_REALM)
    try:
        master.log_in(wait)
    except AdminRefused:
        # Handed over already, or the wrong secret: the files of the accounts tell.
        if any(read_secret(account_file(settings.accounts, name)) is None for name in ACCOUNTS):
            raise
        _prove_all(settings, settings.accounts, say)
        say("no changes: the accounts work, and the temporary administrator is gone")
        return
    for name in ACCOUNTS:
        make(master, settings, name, _kept(settings.accounts, name))
        say(f"account {name}: its secret is in {account_file(settings.accounts, name)}")
    _prove_all(settings, settings.accounts, say)
    for name in ACCOUNTS:
        if (pending := _pending(settings.accounts, name)).exists():
            pending.replace(account_file(settings.accounts, name))
    _remove_temporary(master, settings, say)


def _pending(folder: Path, name: str) -> Path:
    """Where a secret is kept until its account was seen to work."""
    return account_file(folder, name).with_name("secret.pending")


def _held(folder: Path, name: str) -> str | None:
    return read_secret(account_file(folder, name)) or read_secret(_pending(folder, name))


def _kept(folder: Path, name: str) -> str:
    """The account's secret; a new one is written if there is none."""
    file = _pending(folder, name)
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise SettingsFailure(f"{file.parent}: cannot be made ({error.strerror}); name another folder") from error
    return _held(folder, name) or keep_secret(file)


def _prove_all(settings: BootstrapSettings, folder: Path, say: Callable[[str], None]) -> None:
    for name in ACCOUNTS:
        say(f"proof: {prove_account(settings, name, _held(folder, name) or '', say)}")


def _remove_temporary(master: Session, settings: BootstrapSettings, say: Callable[[str], None]) -> None:
    """Delete the administrator that this run was, if it is the one of Keycloak's start, and see it refused.

    Raises:
        NotProven: it can still log in.
    """
    admin = find_client(master, settings.admin_client_id)
    if admin is None or (admin.get("attributes") or {}).get(_TEMPORARY) != "true":
        say(f"note: the administrator {settings.admin_client_id} is not a temporary one and stays")
        return
    master.write("DELETE", ("clients", admin["id"]))
    try:
        Session(settings, say).log_in(0)
    except AdminRefused:
        say(f"- the temporary administrator {settings.admin_client_id}: it can no longer log in")
        return
    raise NotProven(f"the administrator {settings.admin_client_id} was deleted and can still log in")
