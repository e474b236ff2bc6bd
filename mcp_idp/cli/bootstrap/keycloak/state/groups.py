"""Reads the current state of groups: requested and managed groups, default groups, unmanaged groups that grant a role.

A group is looked up by its path, which finds exactly one top-level group regardless of how many groups the realm has.
The response of Keycloak 26.7.5 includes the group's attributes and directly assigned roles.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mcp_idp.cli.bootstrap.errors import PermissionDenied
from mcp_idp.cli.bootstrap.keycloak.state.roles import REALM_MANAGEMENT

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping

    from mcp_idp.cli.bootstrap.keycloak.admin_client import AdminClient
    from mcp_idp.cli.bootstrap.keycloak.lookups import Object

MAX_MEMBERS = 100  # counting stops above this


@dataclass(frozen=True, slots=True)
class DefaultGroup:
    """A group that every new account joins, service accounts included.

    Attributes:
        id: its internal id.
        path: its path, such as "/staff".
        roles: names of all realm roles that a member gets, those of parent groups and of composite roles included.
    """

    id: str
    path: str
    roles: frozenset[str]


@dataclass(frozen=True, slots=True)
class EffectiveRoles:
    """All roles that a group grants, those inside composite roles included.

    Attributes:
        roles: names of realm roles.
        rights: names of roles of the client `realm-management`, which administer the realm.
    """

    roles: frozenset[str]
    rights: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Groups:
    """The groups of a realm, as far as they were read.

    Attributes:
        by_name: representations of the requested and the managed top-level groups, by name.
        default_groups: the realm's default groups.
        of_users: for each demo user, the names of the groups in `by_name` that the user is a member of.
        members: the number of members of each group in `by_name` that is no longer desired, at most `MAX_MEMBERS` + 1.
        composed: all roles that a group grants, by name of a desired group with roles that may contain others.
        known: whether groups may be read; if not, all other members are empty.
    """

    by_name: dict[str, Object] = field(default_factory=dict)
    default_groups: tuple[DefaultGroup, ...] = ()
    of_users: dict[str, frozenset[str]] = field(default_factory=dict)
    members: dict[str, int] = field(default_factory=dict)
    composed: dict[str, EffectiveRoles] = field(default_factory=dict)
    known: bool = True

    @property
    def default_roles(self) -> frozenset[str]:
        """Names of the realm roles that every new account gets by a default group."""
        return frozenset().union(*(joined.roles for joined in self.default_groups))


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupQuery:
    """Selects the groups to read.

    Attributes:
        desired: names of the groups in the access file.
        recorded: names of the groups in the managed state.
        users: representations of the demo users, by name.
        roles: representations of the realm roles, by name.
    """

    desired: Collection[str]
    recorded: Collection[str]
    users: Mapping[str, Object]
    roles: Mapping[str, Object]


def read_groups(session: AdminClient, realm: Object, query: GroupQuery) -> Groups:
    """Reads the selected groups and the realm's default groups.

    Keycloak 26.7.5 shows an account without `view-users` neither groups (404) nor default groups (an empty list). If
    none of the selected groups is found, the number of groups is requested, which Keycloak then rejects.

    Args:
        session: admin client of the realm.
        realm: the realm's representation.
        query: the groups to read.

    Returns:
        The groups; with `known` False if the admin client may not read them.
    """
    names = list(dict.fromkeys([*query.desired, *sorted(query.recorded)]))
    try:
        by_name = {name: found for name in names if (found := find_group(session, name))}
        if not by_name:
            session.get("groups", "count")
        default_groups = tuple(_joined(session)) if realm.get("defaultGroups") else ()
        return _read(session, by_name, query, default_groups) if by_name else Groups(default_groups=default_groups)
    except PermissionDenied:
        return Groups(known=False)


def unmanaged_groups_granting(session: AdminClient, roles: Iterable[str], managed: Collection[str]) -> list[str]:
    """Finds unmanaged groups to which a role is assigned directly.

    Args:
        session: admin client of the realm.
        roles: names of realm roles.
        managed: ids of managed groups, which are left out.

    Returns:
        Sorted paths of the groups.
    """
    paths: set[str] = set()
    for role in roles:
        found = session.find("roles", role, "groups", briefRepresentation="true", max="1000") or []
        paths |= {group["path"] for group in found if group["id"] not in managed}
    return sorted(paths)


def find_group(session: AdminClient, name: str) -> Object | None:
    """Returns the top-level group with this name, or None. `name` must not contain a slash."""
    found: Object | None = session.find("group-by-path", name)
    return found


def _read(
    session: AdminClient, by_name: dict[str, Object], query: GroupQuery, default_groups: tuple[DefaultGroup, ...]
) -> Groups:
    ids = {found["id"]: name for name, found in by_name.items()}
    return Groups(
        by_name=by_name,
        default_groups=default_groups,
        of_users={
            name: frozenset(
                ids[group["id"]] for group in session.get("users", user["id"], "groups") if group["id"] in ids
            )
            for name, user in query.users.items()
        },
        members={
            name: len(session.get("groups", found["id"], "members", max=str(MAX_MEMBERS + 1)))
            for name, found in by_name.items()
            if name not in query.desired
        },
        composed=dict(
            _composed(session, {name: by_name[name] for name in query.desired if name in by_name}, query.roles)
        ),
    )


def _joined(session: AdminClient) -> Iterator[DefaultGroup]:
    for found in session.get("default-groups"):
        # Effective roles: those of parent groups and of composite roles included.
        roles = session.get("groups", found["id"], "role-mappings", "realm", "composite")
        yield DefaultGroup(found["id"], found["path"], _names(roles))


def _composed(
    session: AdminClient, groups: Mapping[str, Object], roles: Mapping[str, Object]
) -> Iterator[tuple[str, EffectiveRoles]]:
    """Yields the effective roles of groups.

    Only a client role or a composite role can contain others; groups without either are skipped and cost no request.
    """
    suspects = {
        name: found
        for name, found in groups.items()
        if found.get("clientRoles")
        or any(roles.get(role, {}).get("composite") for role in found.get("realmRoles") or [])
    }
    administration = session.get("clients", clientId=REALM_MANAGEMENT) if suspects else []
    for name, found in suspects.items():
        path = ("groups", found["id"], "role-mappings")
        granted = _names(session.get(*path, "realm", "composite"))
        rights = [_names(session.get(*path, "clients", client["id"], "composite")) for client in administration]
        yield name, EffectiveRoles(granted, frozenset().union(*rights))


def _names(roles: Iterable[Object]) -> frozenset[str]:
    return frozenset(role["name"] for role in roles)
