"""Groups as they are: those sought or made before, the ones that everybody joins, and who else brings our roles.

A group is looked up by its path: exactly that one, at the top, however many there are and wherever its name stands.
What Keycloak 26.7.5 answers has its attributes and the roles that it was given itself.
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

MAX_MEMBERS = 100  # that are counted


@dataclass(frozen=True, slots=True)
class DefaultGroup:
    """A group that everybody joins who is made, service accounts included; `roles` are all that it brings."""

    id: str
    path: str
    roles: frozenset[str]


@dataclass(frozen=True, slots=True)
class EffectiveRoles:
    """All that a group brings, by roles inside of others too: realm roles, and rights in the realm."""

    roles: frozenset[str]
    rights: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Groups:
    """The groups that are looked at.

    Attributes:
        by_name: at the top of the realm, those sought or made by us before.
        default_groups: the realm's default groups.
        of_users: names of the former that each demo user is in.
        members: how many are in those that are no longer sought, up to one more than `MAX_MEMBERS`.
        composed: by name of a sought one with roles that may hold others, all that it brings.
        known: whether they may be read; if not, all is empty.
    """

    by_name: dict[str, Object] = field(default_factory=dict)
    default_groups: tuple[DefaultGroup, ...] = ()
    of_users: dict[str, frozenset[str]] = field(default_factory=dict)
    members: dict[str, int] = field(default_factory=dict)
    composed: dict[str, EffectiveRoles] = field(default_factory=dict)
    known: bool = True

    @property
    def default_roles(self) -> frozenset[str]:
        """Realm roles that people get by groups which they join unasked."""
        return frozenset().union(*(joined.roles for joined in self.default_groups))


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupQuery:
    """What is looked for: names of groups, those of the access file and those recorded; demo users, roles by name."""

    desired: Collection[str]
    recorded: Collection[str]
    users: Mapping[str, Object]
    roles: Mapping[str, Object]


def read_groups(session: AdminClient, realm: Object, query: GroupQuery) -> Groups:
    """Read what is sought, and the groups that everybody joins.

    To an account without view-users Keycloak 26.7.5 shows groups as not there, and those that everybody joins as none:
    where none of those sought is seen, their number is asked for, which it then refuses.
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
    """Paths of groups that were given one of `roles`, without those whose ids are `managed`."""
    paths: set[str] = set()
    for role in roles:
        found = session.find("roles", role, "groups", briefRepresentation="true", max="1000") or []
        paths |= {group["path"] for group in found if group["id"] not in managed}
    return sorted(paths)


def find_group(session: AdminClient, name: str) -> Object | None:
    """The group of this name at the top of the realm, or None. `name` must have no slash."""
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
        # With those of the groups above it, and those that are in a role: what a member would really have.
        roles = session.get("groups", found["id"], "role-mappings", "realm", "composite")
        yield DefaultGroup(found["id"], found["path"], _names(roles))


def _composed(
    session: AdminClient, groups: Mapping[str, Object], roles: Mapping[str, Object]
) -> Iterator[tuple[str, EffectiveRoles]]:
    """What stands inside roles: only a client's role, or one made of others, can hold any. Else nothing is asked."""
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
