"""Groups as they are: those sought or made before, the ones that everybody joins, and who else brings our roles.

A group is looked up by its path: exactly that one, at the top, however many there are and wherever its name stands.
What Keycloak 26.7.5 answers has its attributes and the roles that it was given itself.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mcp_idp.cli.bootstrap.errors import Forbidden
from mcp_idp.cli.bootstrap.keycloak.state.roles import ADMINISTRATION

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping

    from mcp_idp.cli.bootstrap.keycloak.admin_client import Session
    from mcp_idp.cli.bootstrap.keycloak.lookups import Object

MOST_MEMBERS = 100  # that are counted


@dataclass(frozen=True, slots=True)
class Joined:
    """A group that everybody joins who is made, service accounts included; `roles` are all that it brings."""

    id: str
    path: str
    roles: frozenset[str]


@dataclass(frozen=True, slots=True)
class Composed:
    """All that a group brings, by roles inside of others too: realm roles, and rights in the realm."""

    roles: frozenset[str]
    rights: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Groups:
    """The groups that are looked at.

    Attributes:
        by_name: at the top of the realm, those sought or made by us before.
        of_everybody: the realm's default groups.
        of_users: names of the former that each demo user is in.
        members: how many are in those that are no longer sought, up to one more than `MOST_MEMBERS`.
        composed: by name of a sought one with roles that may hold others, all that it brings.
        known: whether they may be read; if not, all is empty.
    """

    by_name: dict[str, Object] = field(default_factory=dict)
    of_everybody: tuple[Joined, ...] = ()
    of_users: dict[str, frozenset[str]] = field(default_factory=dict)
    members: dict[str, int] = field(default_factory=dict)
    composed: dict[str, Composed] = field(default_factory=dict)
    known: bool = True

    @property
    def roles_of_everybody(self) -> frozenset[str]:
        """Realm roles that people get by groups which they join unasked."""
        return frozenset().union(*(joined.roles for joined in self.of_everybody))


@dataclass(frozen=True, slots=True, kw_only=True)
class SoughtGroups:
    """What is looked for: names of groups, those of the access file and those recorded; demo users, roles by name."""

    wanted: Collection[str]
    recorded: Collection[str]
    users: Mapping[str, Object]
    roles: Mapping[str, Object]


def read_groups(session: Session, realm: Object, sought: SoughtGroups) -> Groups:
    """Read what is sought, and the groups that everybody joins.

    To an account without view-users Keycloak 26.7.5 shows groups as not there, and those that everybody joins as none:
    where none of those sought is seen, their number is asked for, which it then refuses.
    """
    names = list(dict.fromkeys([*sought.wanted, *sorted(sought.recorded)]))
    try:
        by_name = {name: found for name in names if (found := find_group(session, name))}
        if not by_name:
            session.get("groups", "count")
        of_everybody = tuple(_joined(session)) if realm.get("defaultGroups") else ()
        return _read(session, by_name, sought, of_everybody) if by_name else Groups(of_everybody=of_everybody)
    except Forbidden:
        return Groups(known=False)


def groups_besides(session: Session, roles: Iterable[str], ours: Collection[str]) -> list[str]:
    """Paths of groups that were given one of `roles`, without those whose ids are `ours`."""
    paths: set[str] = set()
    for role in roles:
        found = session.find("roles", role, "groups", briefRepresentation="true", max="1000") or []
        paths |= {group["path"] for group in found if group["id"] not in ours}
    return sorted(paths)


def find_group(session: Session, name: str) -> Object | None:
    """The group of this name at the top of the realm, or None. `name` must have no slash."""
    found: Object | None = session.find("group-by-path", name)
    return found


def _read(
    session: Session, by_name: dict[str, Object], sought: SoughtGroups, of_everybody: tuple[Joined, ...]
) -> Groups:
    ids = {found["id"]: name for name, found in by_name.items()}
    return Groups(
        by_name=by_name,
        of_everybody=of_everybody,
        of_users={
            name: frozenset(
                ids[group["id"]] for group in session.get("users", user["id"], "groups") if group["id"] in ids
            )
            for name, user in sought.users.items()
        },
        members={
            name: len(session.get("groups", found["id"], "members", max=str(MOST_MEMBERS + 1)))
            for name, found in by_name.items()
            if name not in sought.wanted
        },
        composed=dict(
            _composed(session, {name: by_name[name] for name in sought.wanted if name in by_name}, sought.roles)
        ),
    )


def _joined(session: Session) -> Iterator[Joined]:
    for found in session.get("default-groups"):
        # With those of the groups above it, and those that are in a role: what a member would really have.
        roles = session.get("groups", found["id"], "role-mappings", "realm", "composite")
        yield Joined(found["id"], found["path"], _names(roles))


def _composed(
    session: Session, groups: Mapping[str, Object], roles: Mapping[str, Object]
) -> Iterator[tuple[str, Composed]]:
    """What stands inside roles: only a client's role, or one made of others, can hold any. Else nothing is asked."""
    suspects = {
        name: found
        for name, found in groups.items()
        if found.get("clientRoles")
        or any(roles.get(role, {}).get("composite") for role in found.get("realmRoles") or [])
    }
    administration = session.get("clients", clientId=ADMINISTRATION) if suspects else []
    for name, found in suspects.items():
        path = ("groups", found["id"], "role-mappings")
        brought = _names(session.get(*path, "realm", "composite"))
        rights = [_names(session.get(*path, "clients", client["id"], "composite")) for client in administration]
        yield name, Composed(brought, frozenset().union(*rights))


def _names(roles: Iterable[Object]) -> frozenset[str]:
    return frozenset(role["name"] for role in roles)
