"""The current state of a realm: everything that the planner compares with, read in one pass."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mcp_idp.cli.bootstrap.errors import PermissionDenied
from mcp_idp.cli.bootstrap.keycloak.lookups import carries_audience, find_client, find_user, index_by, read_policies
from mcp_idp.cli.bootstrap.keycloak.state.groups import GroupQuery, Groups, read_groups
from mcp_idp.cli.bootstrap.keycloak.state.managed import Records
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

    from mcp_idp.cli.bootstrap.changes import Json
    from mcp_idp.cli.bootstrap.keycloak.admin_client import AdminClient
    from mcp_idp.cli.bootstrap.keycloak.lookups import DefaultHolder, Object

DEMO_DOMAIN = "@demo.example"  # marks a demo user; reserved by RFC 2606, so no real address has it


def demo_profile(name: str) -> Json:
    """Builds the profile of a demo user, complete: at the first login Keycloak would ask for a missing member."""
    return {
        "enabled": True,
        "firstName": "Demo",
        "lastName": name.capitalize(),
        "email": f"{name}{DEMO_DOMAIN}",
        "emailVerified": True,
    }


def is_demo_user(name: str, found: Object) -> bool:
    """Checks whether a user (a representation of the admin API) has the profile of a demo user, enabled or not."""
    return all(found.get(member) == value for member, value in demo_profile(name).items() if member != "enabled")


@dataclass(frozen=True, slots=True, kw_only=True)
class CurrentState:
    """The current state of a realm; all members are empty if the realm does not exist.

    Objects are representations of the admin API, as decoded JSON.

    Attributes:
        realm: the realm itself.
        roles: all realm roles, by name.
        parts: composites of the requested roles, by role name; roles that are not composite are missing.
        default: the roles that every user has by default.
        scopes: all client scopes with their mappers, by name.
        bindings: the roles bound to each requested client scope and to each one that carries the audience, by scope
            name.
        default_scopes: names of the scopes that new clients get as default scopes.
        optional_scopes: names of the scopes that new clients get as optional scopes.
        policies: client registration policies by "provider/subtype".
        messages: localization texts set in the realm itself, by language and then by message key.
        active_keys: algorithms for which the realm has an active key.
        client_profiles: the realm's own client profiles, complete, because a write replaces the list.
        client_policies: the realm's own client policies, complete, because a write replaces the list.
        clients: the requested clients and those recorded for the resource, by client id; missing ones are left out.
        default_holders: clients that have a base scope as a default scope, if that was to be read.
        users: the requested users and all users with a demo address, by name; None if users may not be read.
        user_roles: names of the realm roles assigned directly to each of `users`, by user name.
        service_client_roles: names of the realm roles assigned directly to each service client's service account, by
            client id; None if they may not be read.
        groups: the requested groups, those recorded for the resource and the realm's default groups.
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
    default_holders: tuple[DefaultHolder, ...] = ()
    users: dict[str, Object] | None = field(default_factory=dict)
    user_roles: dict[str, frozenset[str]] = field(default_factory=dict)
    service_client_roles: dict[str, frozenset[str]] | None = field(default_factory=dict)
    groups: Groups = field(default_factory=Groups)

    @property
    def default_role_name(self) -> str:
        """The name of the composite role that every user has; empty if the realm does not exist."""
        role: Object = self.realm.get("defaultRole") or {}
        return str(role.get("name", ""))

    @property
    def default_roles(self) -> frozenset[str]:
        """Names of the realm roles that every new account gets, by the default role or by a default group."""
        by_roles = (name for name, role in self.roles.items() if role["id"] in self.default.by_id)
        return self.groups.default_roles.union(by_roles)

    def default_role_granting(self, role: str, managed: Collection[str]) -> str | None:
        """Finds an unmanaged default role through which every user has `role`.

        Args:
            role: the name of a realm role.
            managed: names of managed roles; they are skipped, because an apply removes them from the default role.

        Returns:
            The first such role by name, or None.
        """
        composites = self.default.by_id.get(self.roles.get(role, {}).get("id", ""), set())
        return min(composites.difference(managed), default=None)

    @property
    def demo_users(self) -> list[str]:
        """Names of the users that were read and have the profile of a demo user."""
        return [name for name, found in (self.users or {}).items() if is_demo_user(name, found)]


@dataclass(frozen=True, slots=True, kw_only=True)
class StateQuery:
    """Selects what to read of a realm, in addition to the objects that are recorded for the resource.

    Attributes:
        audience: the resource; client scopes that carry this audience are read with their roles.
        moved_from: the former URL of the resource; empty if it did not move.
        scopes: names of client scopes to read with their roles.
        roles: names of realm roles to read with their composites.
        clients: ids of clients to read.
        service_clients: ids of the clients whose service account's roles to read.
        users: names of users to read.
        groups: names of top-level groups to read.
        languages: languages whose localization texts to read.
    """

    audience: str
    moved_from: str = ""
    scopes: Iterable[str] = ()
    roles: Iterable[str] = ()
    clients: Iterable[str] = ()
    service_clients: Iterable[str] = ()
    users: Iterable[str] = ()
    groups: Collection[str] = ()
    languages: Iterable[str] = ()


def read_current_state(session: AdminClient, query: StateQuery) -> CurrentState:
    """Reads the current state of a realm.

    Args:
        session: admin client of the realm.
        query: what to read where the realm may have many objects: clients, users, groups, localization texts,
            composites of roles and roles of scopes. Objects recorded for the resource are read too.

    Returns:
        The state; empty if the realm does not exist.
    """
    realm = session.find()
    if realm is None:
        return CurrentState()
    all_scopes = index_by(session.get("client-scopes"), "name")
    all_users = _read_users(session, query.users)
    roles = index_by(session.get("roles", briefRepresentation="false"), "name")
    records = Records.of(realm)
    named = {*query.users, *_recorded(records, "users", query)}
    users = {name: found for name, found in (all_users or {}).items() if name in named}
    recorded_groups = _recorded(records, "groups", query)
    query_groups = GroupQuery(desired=query.groups, recorded=recorded_groups, users=users, roles=roles)
    managed_scopes = set(query.scopes)

    def is_selected(scope: Object) -> bool:
        return scope["name"] in managed_scopes or carries_audience(scope, query.audience)

    names = dict.fromkeys([*query.clients, *sorted(_recorded(records, "clients", query))])
    all_clients = {name: found for name in names if (found := find_client(session, name))}
    return CurrentState(
        realm=realm,
        roles=roles,
        parts=read_all_parts(session, [roles[name] for name in query.roles if name in roles]),
        default=read_default(session, realm["defaultRole"]["name"]),
        scopes=all_scopes,
        bindings=read_bindings(session, (scope for scope in all_scopes.values() if is_selected(scope))),
        default_scopes=_names(session.get("default-default-client-scopes")),
        optional_scopes=_names(session.get("default-optional-client-scopes")),
        policies=read_policies(session),
        messages=_read_messages(session, query.languages, records.realm.messages),
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


def _recorded(records: Records, kind: str, query: StateQuery) -> frozenset[str]:
    """Returns the recorded names of one kind for the resource; a record of an earlier release counts as a whole."""
    ours = (records.resources[url] for url in (query.audience, query.moved_from) if url in records.resources)
    return records.former.get(kind, frozenset()).union(*(record.names[kind] for record in ours))


def _read_service_client_roles(
    session: AdminClient, clients: dict[str, Object], service_clients: Iterable[str]
) -> dict[str, frozenset[str]] | None:
    names = list(service_clients)
    if not names:
        return {}
    try:
        session.get("users", max="1")  # check access first, for accounts still to be created
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
    session: AdminClient, languages: Iterable[str], recorded: frozenset[str]
) -> dict[str, dict[str, str]]:
    known = dict.fromkeys([*languages, *sorted(name.partition("/")[0] for name in recorded)])
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
