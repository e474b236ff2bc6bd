"""The accounts of one realm: what each may do, how it is made, and the proof that it may do no more.

They are clients of the realm master with a service account, because a client of the realm itself would be bound by its
client policies, which refuse `client_credentials`. Their roles are those of the client `<realm>-realm`, by which
Keycloak keeps the rights in one realm apart; a token of theirs carries these roles and no others.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from scripts.bootstrap.failures import AdminRefused, Forbidden, NotProven, ProviderRefused, SettingsFailure
from scripts.bootstrap.keycloak.finding import find_client
from scripts.bootstrap.keycloak.ledger import MARK, is_marked
from scripts.bootstrap.keycloak.session import Session
from scripts.bootstrap.settings import account_id

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from mcp_server.access import Access
    from scripts.bootstrap.settings import BootstrapSettings

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
