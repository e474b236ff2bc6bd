"""The realm as it is: everything the differs compare with, read in one go and never written."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mcp_idp.cli.bootstrap.errors import Forbidden
from mcp_idp.cli.bootstrap.keycloak.lookups import by, carries_audience, find_client, find_user, read_policies
from mcp_idp.cli.bootstrap.keycloak.state.groups import Groups, SoughtGroups, read_groups
from mcp_idp.cli.bootstrap.keycloak.state.managed import Ledger
from mcp_idp.cli.bootstrap.keycloak.state.roles import (
    Binding,
    Default,
    Parts,
    read_all_parts,
    read_bindings,
    read_default,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from mcp_idp.cli.bootstrap.keycloak.admin_client import Session
    from mcp_idp.cli.bootstrap.keycloak.lookups import Object

DEMO_DOMAIN = "@demo.example"  # RFC 2606: nobody's. The mark of a demo user


@dataclass(frozen=True, slots=True, kw_only=True)
class Actual:
    """The realm as it is; all empty for one that does not exist yet.

    Attributes:
        scopes: client scopes by name, mappers included.
        parts: what each role that was sought is made of, if it is.
        default: the roles that everybody has.
        bindings: the roles that bring each scope that is ours or carries our audience.
        default_scopes, optional_scopes: names of the scopes that new clients get.
        policies: registration policies by "provider/subtype".
        messages: texts of pages that the realm has itself, by language.
        active_keys: algorithms that an active key signs with.
        client_profiles, client_policies: the realm's own lists, complete, because a write replaces them.
        clients: those the files name or the ledger knows.
        users: those the files name, and all with an address of the demo; None if they may not be read.
        user_roles: names of the realm roles given to each of our users directly.
        machine_roles: the same for the service accounts of machine clients; None if they may not be read.
        groups: those the access file names or the ledger knows, and those that everybody joins.
    """

    realm: Object = field(default_factory=dict)
    roles: dict[str, Object] = field(default_factory=dict)
    parts: dict[str, Parts] = field(default_factory=dict)
    default: Default = field(default_factory=Default)
    scopes: dict[str, Object] = field(default_factory=dict)
    bindings: dict[str, Binding] = field(default_factory=dict)
    default_scopes: frozenset[str] = frozenset()
    optional_scopes: frozenset[str] = frozenset()
    policies: dict[str, Object] = field(default_factory=dict)
    messages: dict[str, dict[str, str]] = field(default_factory=dict)
    active_keys: frozenset[str] = frozenset()
    client_profiles: list[Object] = field(default_factory=list)
    client_policies: list[Object] = field(default_factory=list)
    clients: dict[str, Object] = field(default_factory=dict)
    users: dict[str, Object] | None = field(default_factory=dict)
    user_roles: dict[str, frozenset[str]] = field(default_factory=dict)
    machine_roles: dict[str, frozenset[str]] | None = field(default_factory=dict)
    groups: Groups = field(default_factory=Groups)

    @property
    def default_role_name(self) -> str:
        """The role that everybody has, composed of others."""
        role: Object = self.realm.get("defaultRole") or {}
        return str(role.get("name", ""))

    @property
    def roles_of_everybody(self) -> frozenset[str]:
        """Names of the realm roles that whoever is made has unasked."""
        by_roles = (name for name, role in self.roles.items() if role["id"] in self.default.by_id)
        return self.groups.roles_of_everybody.union(by_roles)

    def giver_of(self, role: str, ours: Collection[str]) -> str | None:
        """The role by which everybody has `role`, if new people get it; one of `ours` an apply takes."""
        givers = self.default.by_id.get(self.roles.get(role, {}).get("id", ""), set())
        return min(givers.difference(ours), default=None)

    @property
    def ledger(self) -> Ledger:
        """What we made or took over before."""
        return Ledger.of(self.realm)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sought:
    """What is looked at in a realm, beside what we made before: names, and scopes that carry the `audience`."""

    audience: str
    scopes: Iterable[str] = ()
    roles: Iterable[str] = ()
    clients: Iterable[str] = ()
    machines: Iterable[str] = ()
    users: Iterable[str] = ()
    groups: Collection[str] = ()
    languages: Iterable[str] = ()


def read_actual(session: Session, sought: Sought) -> Actual:
    """Read the realm; of scopes' roles, clients, users, groups and texts only those sought, or made by us before."""
    realm = session.find()
    if realm is None:
        return Actual()
    all_scopes = by(session.get("client-scopes"), "name")
    all_users = _read_users(session, sought.users)
    roles = by(session.get("roles", briefRepresentation="false"), "name")
    people = {name: found for name, found in (all_users or {}).items() if name in set(sought.users)}
    recorded = Ledger.of(realm).groups
    sought_groups = SoughtGroups(wanted=sought.groups, recorded=recorded, users=people, roles=roles)
    ours = set(sought.scopes)

    def looked_at(scope: Object) -> bool:
        return scope["name"] in ours or carries_audience(scope, sought.audience)

    names = dict.fromkeys([*sought.clients, *sorted(Ledger.of(realm).clients)])
    all_clients = {name: found for name in names if (found := find_client(session, name))}
    return Actual(
        realm=realm,
        roles=roles,
        parts=read_all_parts(session, [roles[name] for name in sought.roles if name in roles]),
        default=read_default(session, realm["defaultRole"]["name"]),
        scopes=all_scopes,
        bindings=read_bindings(session, (scope for scope in all_scopes.values() if looked_at(scope))),
        default_scopes=_names(session.get("default-default-client-scopes")),
        optional_scopes=_names(session.get("default-optional-client-scopes")),
        policies=read_policies(session),
        messages=_read_messages(session, sought.languages, Ledger.of(realm)),
        active_keys=frozenset(session.get("keys").get("active") or {}),
        client_profiles=session.get("client-policies", "profiles")["profiles"],
        client_policies=session.get("client-policies", "policies")["policies"],
        clients=all_clients,
        users=all_users,
        user_roles={
            name: _names(session.get("users", user["id"], "role-mappings", "realm"))
            for name, user in (all_users or {}).items()
        },
        machine_roles=_read_machine_roles(session, all_clients, sought.machines),
        groups=read_groups(session, realm, sought_groups),
    )


def _read_machine_roles(
    session: Session, clients: dict[str, Object], machines: Iterable[str]
) -> dict[str, frozenset[str]] | None:
    names = list(machines)
    if not names:
        return {}
    try:
        session.get("users", max="1")  # one that is still to be made could be given no roles either
        accounts = {
            name: session.get("clients", clients[name]["id"], "service-account-user")
            for name in names
            if clients.get(name, {}).get("serviceAccountsEnabled")
        }
        return {
            name: _names(session.get("users", account["id"], "role-mappings", "realm"))
            for name, account in accounts.items()
        }
    except Forbidden:
        return None


def _read_messages(session: Session, languages: Iterable[str], ledger: Ledger) -> dict[str, dict[str, str]]:
    known = dict.fromkeys([*languages, *sorted(name.partition("/")[0] for name in ledger.messages)])
    return {language: session.find("localization", language) or {} for language in known}


def _read_users(session: Session, names: Iterable[str]) -> dict[str, Object] | None:
    try:
        demo = session.get("users", email=DEMO_DOMAIN, max="100")
        named = [found for name in names if (found := find_user(session, name))]
    except Forbidden:
        return None
    return by([*demo, *named], "username")


def _names(objects: Iterable[Object]) -> frozenset[str]:
    return frozenset(found["name"] for found in objects)
