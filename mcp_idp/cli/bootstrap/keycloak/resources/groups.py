"""The access file's groups: top-level groups with their roles. Administrators add the members, except for demo users.

Keycloak grants a user the roles of the user's groups, of their parent groups and of the default groups. Changes that
revoke a role are therefore written before a scope is bound to a role, and changes that grant one afterwards.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mcp_idp.cli.bootstrap.changes import Change, IdRef, field_diff, field_diffs
from mcp_idp.cli.bootstrap.errors import ConfigError
from mcp_idp.cli.bootstrap.keycloak.state.groups import MAX_MEMBERS
from mcp_idp.cli.bootstrap.keycloak.state.managed import FORMER_OWNER, MARKER, marks_of
from mcp_idp.cli.bootstrap.output import count_noun
from mcp_idp.cli.common.console import printable
from mcp_idp.cli.common.launcher import as_launched

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from mcp_idp.access.policy import AccessPolicy
    from mcp_idp.cli.bootstrap.changes import FieldDiff, Json, Method
    from mcp_idp.cli.bootstrap.keycloak.lookups import Object
    from mcp_idp.cli.bootstrap.keycloak.state.current import CurrentState
    from mcp_idp.cli.bootstrap.keycloak.state.ownership import Ownership

_LONGEST = 255  # characters; Keycloak 26.7.5 responds 500 to longer names
_DOTS = frozenset({".", ".."})  # as path segments they would address another resource


def check_groups(access: AccessPolicy) -> None:
    """Validates that each group name addresses exactly one top-level group in Keycloak.

    Raises:
        ConfigError: Keycloak cannot store a name, or would read it as the path of a subgroup.
    """
    for name in access.groups:
        display_name = printable(name[:50])
        if "/" in name:
            raise ConfigError(f"groups.{display_name}: remove '/' from the name; Keycloak reads it as a subgroup")
        if not name or name in _DOTS or len(name) > _LONGEST or not name.isprintable() or name != name.strip():
            raise ConfigError(
                f"groups.{display_name}: Keycloak accepts names of 1 to {_LONGEST} visible characters, "
                "without a space at either end, and neither '.' nor '..'"
            )


def require_no_unmanaged_groups(access: AccessPolicy, ownership: Ownership, actual: CurrentState) -> None:
    """Rejects an access file that names a group which is not its own, and whose members would get roles.

    A group may belong to several resources, if an administrator added each to its marker: two servers may both call a
    group "admins" and mean other people.

    Raises:
        ConfigError: the realm has such a group.
    """
    for name in access.groups:
        found = _found(actual, name)
        owner = ownership.other_owner("groups", name)
        known = marks_of(found) & {ownership.resource, *([] if owner else [FORMER_OWNER])}
        if found and not known and name not in ownership.own.groups:
            theirs = f"belongs to {owner}" if owner else "the bootstrap did not create"
            raise ConfigError(
                f"groups.{name}: the realm has a group of this name that {theirs}: use another name "
                f"here, or, to give its members these roles, give the group the attribute {MARKER} with the "
                f"value {ownership.resource}{' beside the other' if owner else ''}: the bootstrap then manages it, "
                "and removes it with its members once no access file names it"
            )


def default_group_changes(access: AccessPolicy, actual: CurrentState) -> Iterator[Change]:
    """Yields the changes that stop default groups with managed roles from being default groups.

    New accounts join default groups, service accounts of clients included. Existing members stay, because nothing tells
    whether they joined by default or were added.
    """
    for found in actual.groups.default_groups:
        if managed_roles := sorted(found.roles & set(access.roles)):
            what = (
                f"new users no longer join {found.path}, which grants {', '.join(managed_roles)} (existing "
                "members stay in it)"
            )
            fields = (field_diff("default groups", found.path, None),)
            yield Change("realm", what, "DELETE", ("default-groups", found.id), fields=fields)


def group_revocations(access: AccessPolicy, ownership: Ownership, actual: CurrentState) -> Iterator[Change]:
    """Yields the changes that revoke access: surplus roles of managed groups, and groups no longer in the access file.

    Only roles of the access file are revoked; other roles of a group are unmanaged. A group that belongs to another
    resource too stays and loses this resource's roles and marker.
    """
    for name, roles in access.groups.items():
        found = _found(actual, name)
        yield from _mapping(name, "DELETE", _managed_roles(access, found) - set(roles), access, found)
    for name in sorted(ownership.own.groups.difference(access.groups)):
        found = _found(actual, name)
        if found and _is_shared(name, found, ownership):
            yield from _mapping(name, "DELETE", _managed_roles(access, found), access, found)
            yield from marker_changes(name, found, ownership.other_marks(found))
        elif found and ownership.is_ours("groups", name, found):
            what = f"remove with {_content(found, actual)}, the access file no longer names it"
            yield Change(f"group {name}", what, "DELETE", ("groups", found["id"]), action="remove")


def marker_changes(name: str, found: Object, marks: Collection[str]) -> Iterator[Change]:
    """Yields the change, if any, that gives a group exactly these owners."""
    marker: Json = {MARKER: sorted(marks)}
    if fields := field_diffs({"attributes": marker}, found):
        # A write replaces all attributes, and deletes the description if it is left out.
        retained: Json = {member: found[member] for member in ("name", "description") if member in found}
        body = {**retained, "attributes": {**(found.get("attributes") or {}), **marker}}
        yield Change(f"group {name}", "mark as managed", "PUT", ("groups", found["id"]), body, fields=fields)


def _is_shared(name: str, found: Object, ownership: Ownership) -> bool:
    return ownership.other_owner("groups", name) is not None or bool(ownership.other_marks(found))


def group_changes(access: AccessPolicy, ownership: Ownership, actual: CurrentState) -> Iterator[Change]:
    """Yields the changes that add what managed groups lack: the group itself, its managed marker and its roles."""
    if not actual.groups.known:  # groups that cannot be read cannot be compared
        return
    for name, roles in access.groups.items():
        found = _found(actual, name)
        if not found:
            body: Json = {"name": name, "attributes": {MARKER: [ownership.resource]}}
            yield Change(f"group {name}", "create", "POST", ("groups",), body, action="create")
        else:
            yield from marker_changes(name, found, {ownership.resource, *ownership.other_marks(found)})
        yield from _mapping(name, "POST", set(roles) - _managed_roles(access, found), access, found)


def membership_removals(access: AccessPolicy, ownership: Ownership, actual: CurrentState) -> Iterator[Change]:
    """Yields the changes that remove demo users from groups of the access file that they must not be in."""
    for user, there, desired in _memberships(access, ownership, actual):
        yield from _membership(user, "DELETE", there - desired, field_diff("groups", sorted(there), sorted(desired)))


def membership_changes(access: AccessPolicy, ownership: Ownership, actual: CurrentState) -> Iterator[Change]:
    """Yields the changes that add demo users to their groups."""
    for user, there, desired in _memberships(access, ownership, actual):
        yield from _membership(user, "PUT", desired - there, field_diff("groups", sorted(there), sorted(desired)))


def unreadable_warnings(actual: CurrentState) -> Iterator[str]:
    """Yields a line about what an apply leaves unchanged because it may not read it."""
    if not actual.groups.known:
        yield (
            "this account may not read groups, so default groups were not checked: run "
            f"`{as_launched('mcp-idp bootstrap check')}` with the role view-users"
        )


def unmanaged_roles(access: AccessPolicy, ownership: Ownership, actual: CurrentState) -> Iterator[str]:
    """Yields a line for each managed group that grants more than the access file says, and for each with subgroups."""
    for name in access.groups:
        found = _found(actual, name)
        unmanaged = {
            role
            for role in found.get("realmRoles") or []
            if role not in access.roles and ownership.other_owner("roles", role) is None
        }
        unmanaged |= {f"{role} of {client}" for client, roles in _client_roles(found).items() for role in roles}
        if unmanaged:
            yield (
                f"group {name} also grants {', '.join(sorted(unmanaged))}: remove the roles that its members "
                "must not have; "
                "apply does not"
            )
        if count := found.get("subGroupCount"):
            yield f"group {name} has {_count_or_none(count, 'subgroup')}: their members have its roles too"


def _memberships(
    access: AccessPolicy, ownership: Ownership, actual: CurrentState
) -> Iterator[tuple[str, frozenset[str], frozenset[str]]]:
    """Yields each demo user with the user's current and desired groups, as far as the access file names them."""
    if actual.users is None or not actual.groups.known:  # what cannot be read cannot be compared
        return
    desired = {user: frozenset(demo_user.groups) for user, demo_user in access.demo_users.items()}
    # A user that only other resources name any more leaves the groups of this one.
    dropped = [user for user in sorted(ownership.own.users.difference(desired)) if ownership.other_owner("users", user)]
    for user, groups in {**desired, **dict.fromkeys(dropped, frozenset[str]())}.items():
        yield user, actual.groups.of_users.get(user, frozenset()) & set(access.groups), groups


def _membership(user: str, method: Method, names: frozenset[str], field: FieldDiff) -> Iterator[Change]:
    action = "add to" if method == "PUT" else "remove from"
    for name in sorted(names):
        path = ("users", IdRef("user", user), "groups", IdRef("group", name))
        yield Change(f"user {user}", f"{action} the group {name}", method, path, fields=(field,))


def _client_roles(found: Object) -> dict[str, list[str]]:
    return found.get("clientRoles") or {}


def _found(actual: CurrentState, name: str) -> Object:
    """Returns the representation of the top-level group with this name, empty if it does not exist."""
    return actual.groups.by_name.get(name, {})


def _managed_roles(access: AccessPolicy, found: Object) -> set[str]:
    return set(found.get("realmRoles") or []) & set(access.roles)


def _mapping(name: str, method: Method, roles: set[str], access: AccessPolicy, found: Object) -> Iterator[Change]:
    if roles:
        action = "add" if method == "POST" else "remove"
        path = ("groups", IdRef("group", name), "role-mappings", "realm")
        body = [{"id": IdRef("role", role), "name": role} for role in sorted(roles)]
        fields = (field_diff("roles", sorted(_managed_roles(access, found)), sorted(access.groups.get(name, ()))),)
        yield Change(f"group {name}", f"{action} {', '.join(sorted(roles))}", method, path, body, fields=fields)


def _content(found: Object, actual: CurrentState) -> str:
    """Describes what is deleted with the group."""
    count = actual.groups.members.get(found["name"], 0)
    members = f"more than {MAX_MEMBERS} members" if count > MAX_MEMBERS else _count_or_none(count, "member")
    below = int(found.get("subGroupCount") or 0)
    return members + (f" and {_count_or_none(below, 'subgroup')}" if below else "")


def _count_or_none(count: int, noun: str) -> str:
    return count_noun(count, noun) if count else f"no {noun}s"
