"""The realm as it is: everything the differs compare with, read in one go and never written."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mcp_idp.cli.bootstrap.errors import PermissionDenied
from mcp_idp.cli.bootstrap.keycloak.lookups import carries_audience, find_client, find_user, index_by, read_policies
from mcp_idp.cli.bootstrap.keycloak.state.groups import GroupQuery, Groups, read_groups
from mcp_idp.cli.bootstrap.keycloak.state.managed import ManagedState
from mcp_idp.cli.bootstrap.keycloak.state.roles import (
    CompositeRoles,
    DefaultRoles,
    ScopeRoleBinding,
    read_all_parts,
    read_bindings,
    read_default,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from mcp_idp.cli.bootstrap.keycloak.admin_client import AdminClient
    from mcp_idp.cli.bootstrap.keycloak.lookups import Object

DEMO_DOMAIN = "@demo.example"  # RFC 2606: nobody's. The mark of a demo user


@dataclass(frozen=True, slots=True, kw_only=True)
class CurrentState:
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
        service_client_roles: the same for the service accounts of machine clients; None if they may not be read.
        groups: those the access file names or the ledger knows, and those that everybody joins.
    """

    realm: Object = field(default_factory=dict)
    roles: dict[str, Object] = field(default_factory=dict)
    parts: dict[str, CompositeRoles] = field(default_factory=dict)
    default: DefaultRoles = field(default_factory=DefaultRoles)
    scopes: dict[str, Object] = field(default_factory=dict)
    bindings: dict[str, ScopeRoleBinding] = field(default_factory=dict)
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
    service_client_roles: dict[str, frozenset[str]] | None = field(default_factory=dict)
    groups: Groups = field(default_factory=Groups)

    @property
    def default_role_name(self) -> str:
        """The role that everybody has, composed of others."""
        role: Object = self.realm.get("defaultRole") or {}
        return str(role.get("name", ""))

    @property
    def default_roles(self) -> frozenset[str]:
        """Names of the realm roles that whoever is made has unasked."""
        by_roles = (name for name, role in self.roles.items() if role["id"] in self.default.by_id)
        return self.groups.default_roles.union(by_roles)

    def default_role_granting(self, role: str, managed: Collection[str]) -> str | None:
        """The role by which everybody has `role`, if new people get it; one of `ours` an apply takes."""
        givers = self.default.by_id.get(self.roles.get(role, {}).get("id", ""), set())
        return min(givers.difference(managed), default=None)

    @property
    def managed_state(self) -> ManagedState:
        """What we made or took over before."""
        return ManagedState.of(self.realm)


@dataclass(frozen=True, slots=True, kw_only=True)
class StateQuery:
    """What is looked at in a realm, beside what we made before: names, and scopes that carry the `audience`."""

    audience: str
    scopes: Iterable[str] = ()
    roles: Iterable[str] = ()
    clients: Iterable[str] = ()
    service_clients: Iterable[str] = ()
    users: Iterable[str] = ()
    groups: Collection[str] = ()
    languages: Iterable[str] = ()


def read_current_state(session: AdminClient, query: StateQuery) -> CurrentState:
    """Read the realm; of scopes' roles, clients, users, groups and texts only those sought, or made by us before."""
    realm = session.find()
    if realm is None:
        return CurrentState()
    all_scopes = index_by(session.get("client-scopes"), "name")
    all_users = _read_users(session, query.users)
    roles = index_by(session.get("roles", briefRepresentation="false"), "name")
    users = {name: found for name, found in (all_users or {}).items() if name in set(query.users)}
    recorded = ManagedState.of(realm).groups
    query_groups = GroupQuery(desired=query.groups, recorded=recorded, users=users, roles=roles)
    managed_scopes = set(query.scopes)

    def looked_at(scope: Object) -> bool:
        return scope["name"] in managed_scopes or carries_audience(scope, query.audience)

    names = dict.fromkeys([*query.clients, *sorted(ManagedState.of(realm).clients)])
    all_clients = {name: found for name in names if (found := find_client(session, name))}
    return CurrentState(
        realm=realm,
        roles=roles,
        parts=read_all_parts(session, [roles[name] for name in query.roles if name in roles]),
        default=read_default(session, realm["defaultRole"]["name"]),
        scopes=all_scopes,
        bindings=read_bindings(session, (scope for scope in all_scopes.values() if looked_at(scope))),
        default_scopes=_names(session.get("default-default-client-scopes")),
        optional_scopes=_names(session.get("default-optional-client-scopes")),
        policies=read_policies(session),
        messages=_read_messages(session, query.languages, ManagedState.of(realm)),
        active_keys=frozenset(session.get("keys").get("active") or {}),
        client_profiles=session.get("client-policies", "profiles")["profiles"],
        client_policies=session.get("client-policies", "policies")["policies"],
        clients=all_clients,
        users=all_users,
        user_roles={
            name: _names(session.get("users", user["id"], "role-mappings", "realm"))
            for name, user in (all_users or {}).items()
        },
        service_client_roles=_read_service_client_roles(session, all_clients, query.service_clients),
        groups=read_groups(session, realm, query_groups),
    )


def _read_service_client_roles(
    session: AdminClient, clients: dict[str, Object], service_clients: Iterable[str]
) -> dict[str, frozenset[str]] | None:
    names = list(service_clients)
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
    except PermissionDenied:
        return None


def _read_messages(
    session: AdminClient, languages: Iterable[str], managed_state: ManagedState
) -> dict[str, dict[str, str]]:
    known = dict.fromkeys([*languages, *sorted(name.partition("/")[0] for name in managed_state.messages)])
    return {language: session.find("localization", language) or {} for language in known}


def _read_users(session: AdminClient, names: Iterable[str]) -> dict[str, Object] | None:
    try:
        demo = session.get("users", email=DEMO_DOMAIN, max="100")
        named = [found for name in names if (found := find_user(session, name))]
    except PermissionDenied:
        return None
    return index_by([*demo, *named], "username")


def _names(objects: Iterable[Object]) -> frozenset[str]:
    return frozenset(found["name"] for found in objects)
