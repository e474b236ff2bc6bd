"""The access file's groups: at the top of the realm, each with the roles it stands for; others put the people in.

A role comes to people by every path that Keycloak knows: by a group, by the groups above it, by the groups that
everybody joins. So what takes a role away is written before a scope is bound to one, and what gives a role after it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mcp_idp.cli.bootstrap.changes import Change, Ref, field_of, fields_of
from mcp_idp.cli.bootstrap.errors import SettingsFailure
from mcp_idp.cli.bootstrap.keycloak.state.groups import MOST_MEMBERS
from mcp_idp.cli.bootstrap.keycloak.state.managed import MARK, is_marked
from mcp_idp.cli.bootstrap.output import printable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mcp_idp.access.policy import Access
    from mcp_idp.cli.bootstrap.changes import Field, Json, Method
    from mcp_idp.cli.bootstrap.keycloak.lookups import Object
    from mcp_idp.cli.bootstrap.keycloak.state.current import Actual

_LONGEST = 255  # characters: Keycloak 26.7.5 answers 500 to more
_DOTS = frozenset({".", ".."})  # as a part of a path they would lead elsewhere


def check_groups(access: Access) -> None:
    """Let through names by which Keycloak finds one group, at the top, and nothing else.

    Raises:
        SettingsFailure: a name cannot be, or would be taken for the way to a subgroup.
    """
    for name in access.groups:
        shown = printable(name[:50])
        if "/" in name:
            raise SettingsFailure(f"groups.{shown}: '/' leads to a subgroup in Keycloak: name the group without it")
        if not name or name in _DOTS or len(name) > _LONGEST or not name.isprintable() or name != name.strip():
            raise SettingsFailure(
                f"groups.{shown}: Keycloak takes names of 1 to {_LONGEST} characters that can be seen, "
                "without a space at either end, and neither '.' nor '..'"
            )


def refuse_foreign_groups(access: Access, actual: Actual) -> None:
    """A group that somebody else made would give its people roles here.

    Raises:
        SettingsFailure: the realm has one that is not ours.
    """
    ((attribute, value),) = MARK.items()
    for name in access.groups:
        found = _found(actual, name)
        if found and not is_marked(found) and name not in actual.ledger.groups:
            raise SettingsFailure(
                f"groups.{name}: the realm has a group of this name that the bootstrap did not make: name another one "
                f"here, or, if its people shall have these roles, give the group the attribute {attribute} with the "
                f"value {value}: the bootstrap then keeps it as its own, and it is removed with its members once the "
                "access file no longer names it"
            )


def default_group_changes(access: Access, actual: Actual) -> Iterator[Change]:
    """Take groups that bring a role of ours out of those that everybody joins, service accounts of clients included.

    Who joined meanwhile stays a member: nobody knows who was put in and who was not.
    """
    for found in actual.groups.of_everybody:
        if ours := sorted(found.roles & set(access.roles)):
            what = f"new people no longer join {found.path}, which brings {', '.join(ours)} (who did stays in it)"
            fields = (field_of("default groups", found.path, None),)
            yield Change("realm", what, "DELETE", ("default-groups", found.id), fields=fields)


def group_takings(access: Access, actual: Actual) -> Iterator[Change]:
    """Roles of ours that our groups shall not bring (others' are not ours to take), and groups no longer named."""
    for name, roles in access.groups.items():
        found = _found(actual, name)
        yield from _mapping(name, "DELETE", _ours(access, found) - set(roles), access, found)
    for name in sorted(actual.ledger.groups.difference(access.groups)):
        found = _found(actual, name)
        if found and is_marked(found):
            what = f"remove with {_content(found, actual)}, the access file no longer names it"
            yield Change(f"group {name}", what, "DELETE", ("groups", found["id"]), action="remove")


def group_changes(access: Access, actual: Actual) -> Iterator[Change]:
    """What our groups lack: the group itself, our mark, their roles."""
    if not actual.groups.known:  # what may not be read cannot be compared
        return
    mark: Json = {name: [value] for name, value in MARK.items()}
    for name, roles in access.groups.items():
        found = _found(actual, name)
        if not found:
            body: Json = {"name": name, "attributes": mark}
            yield Change(f"group {name}", "create", "POST", ("groups",), body, action="create")
        elif fields := fields_of({"attributes": mark}, found):
            # A write replaces all attributes, and takes away a description that is left out.
            kept: Json = {member: found[member] for member in ("name", "description") if member in found}
            body = {**kept, "attributes": {**(found.get("attributes") or {}), **mark}}
            yield Change(f"group {name}", "mark as ours", "PUT", ("groups", found["id"]), body, fields=fields)
        yield from _mapping(name, "POST", set(roles) - _ours(access, found), access, found)


def membership_takings(access: Access, actual: Actual) -> Iterator[Change]:
    """Take the demo users out of groups of the access file that they shall not be in."""
    for user, there, wanted in _memberships(access, actual):
        yield from _membership(user, "DELETE", there - wanted, field_of("groups", sorted(there), sorted(wanted)))


def membership_changes(access: Access, actual: Actual) -> Iterator[Change]:
    """Put the demo users into their groups."""
    for user, there, wanted in _memberships(access, actual):
        yield from _membership(user, "PUT", wanted - there, field_of("groups", sorted(there), sorted(wanted)))


def unseen(actual: Actual) -> Iterator[str]:
    """A line of what an apply leaves because it may not see it."""
    if not actual.groups.known:
        yield (
            "this account may not see groups, so groups that everybody joins were not looked at: `bootstrap_idp.py "
            "check` does with the role view-users"
        )


def strange_roles(access: Access, actual: Actual) -> Iterator[str]:
    """A line for each group of ours that brings what the access file does not say."""
    for name in access.groups:
        found = _found(actual, name)
        others = set(found.get("realmRoles") or []) - set(access.roles)
        others |= {f"{role} of {client}" for client, given in _client_roles(found).items() for role in given}
        if others:
            yield (
                f"group {name} also brings {', '.join(sorted(others))}: take away what its people shall not have, "
                "apply does not"
            )
        if count := found.get("subGroupCount"):
            yield f"group {name} has {_counted(count, 'subgroup')}: who is in one has its roles too"


def _memberships(access: Access, actual: Actual) -> Iterator[tuple[str, frozenset[str], frozenset[str]]]:
    """Of each demo user the groups of the access file that they are in, and those that they shall be in."""
    if actual.users is None or not actual.groups.known:  # what may not be read cannot be compared
        return
    for user, person in access.demo_users.items():
        yield user, actual.groups.of_users.get(user, frozenset()) & set(access.groups), frozenset(person.groups)


def _membership(user: str, method: Method, names: frozenset[str], field: Field) -> Iterator[Change]:
    verb = "put into" if method == "PUT" else "take out of"
    for name in sorted(names):
        path = ("users", Ref("user", user), "groups", Ref("group", name))
        yield Change(f"user {user}", f"{verb} the group {name}", method, path, fields=(field,))


def _client_roles(found: Object) -> dict[str, list[str]]:
    return found.get("clientRoles") or {}


def _found(actual: Actual, name: str) -> Object:
    """The top-level group of this name, empty if there is none."""
    return actual.groups.by_name.get(name, {})


def _ours(access: Access, found: Object) -> set[str]:
    return set(found.get("realmRoles") or []) & set(access.roles)


def _mapping(name: str, method: Method, roles: set[str], access: Access, found: Object) -> Iterator[Change]:
    if roles:
        verb = "give" if method == "POST" else "take away"
        path = ("groups", Ref("group", name), "role-mappings", "realm")
        body = [{"id": Ref("role", role), "name": role} for role in sorted(roles)]
        fields = (field_of("roles", sorted(_ours(access, found)), sorted(access.groups[name])),)
        yield Change(f"group {name}", f"{verb} {', '.join(sorted(roles))}", method, path, body, fields=fields)


def _content(found: Object, actual: Actual) -> str:
    """What goes with the group."""
    count = actual.groups.members.get(found["name"], 0)
    people = f"more than {MOST_MEMBERS} members" if count > MOST_MEMBERS else _counted(count, "member")
    below = int(found.get("subGroupCount") or 0)
    return people + (f" and {_counted(below, 'subgroup')}" if below else "")


def _counted(count: int, word: str) -> str:
    return f"{count or 'no'} {word}{'' if count == 1 else 's'}"
