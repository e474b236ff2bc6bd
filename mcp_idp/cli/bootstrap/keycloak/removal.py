"""Removes a resource from a realm: everything that its record names and that no other resource has.

No access file is needed. What users and clients could do is taken away first and the record last, so that an
interrupted removal is completed by the next one. The realm's own settings stay; if the resource owned them, the next
apply of another resource does.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from mcp_idp.cli.bootstrap.changes import Change, IdRef
from mcp_idp.cli.bootstrap.errors import PermissionDenied
from mcp_idp.cli.bootstrap.keycloak.executor import PlanExecutor
from mcp_idp.cli.bootstrap.keycloak.resources.client_scopes import scope_list_changes, scopes_of_others
from mcp_idp.cli.bootstrap.keycloak.resources.groups import marker_changes
from mcp_idp.cli.bootstrap.keycloak.resources.registration_policies import allowed_scope_changes
from mcp_idp.cli.bootstrap.keycloak.resources.roles import role_revocations
from mcp_idp.cli.bootstrap.keycloak.state.current import CurrentState, StateQuery, is_demo_user, read_current_state
from mcp_idp.cli.bootstrap.keycloak.state.managed import record_change, recorded_text
from mcp_idp.cli.bootstrap.keycloak.state.ownership import Ownership

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mcp_idp.cli.bootstrap.keycloak.admin_client import AdminClient


def read_for_removal(session: AdminClient, resource: str) -> CurrentState:
    """Reads what a resource owns in the realm; the state is empty if the realm does not exist."""
    return read_current_state(session, StateQuery(audience=resource))


def removal_changes(resource: str, actual: CurrentState) -> list[Change]:
    """Plans the removal of a resource.

    Args:
        resource: its URL.
        actual: the current state, from `read_for_removal`.

    Returns:
        The changes, in the order in which they must be written; empty if the realm has no record of the resource.

    Raises:
        PermissionDenied: the resource owns users or groups, and the admin client may not read them.
    """
    ownership = Ownership.of(actual, resource)
    if resource not in ownership.records.resources:
        return []
    _require_readable(ownership, actual)
    after = replace(ownership.records.without_resource(resource), former={})
    return [
        *_clients(ownership, actual),
        *_users(ownership, actual),
        *_groups(ownership, actual),
        *_lists(ownership, actual),
        *_scopes_and_roles(ownership, actual),
        *record_change(actual.realm, recorded_text(actual.realm), ownership.read, after, "forget"),
    ]


def remove_resource(
    session: AdminClient, changes: list[Change], actual: CurrentState, on_change: Callable[[Change], None]
) -> None:
    """Writes the changes of a removal.

    Args:
        session: admin client of the realm.
        changes: the plan, from `removal_changes`.
        actual: the state that it was made from.
        on_change: called with each change before it is written.

    Raises:
        ProviderRequestError, PermissionDenied: Keycloak rejected a change; those before it are written.
    """
    writer = PlanExecutor(session, actual)
    for change in changes:
        on_change(change)
        writer.write(change)


def _require_readable(ownership: Ownership, actual: CurrentState) -> None:
    """Rejects a removal that would leave unseen objects without a record."""
    if (ownership.own.users and actual.users is None) or (ownership.own.groups and not actual.groups.known):
        raise PermissionDenied("the admin client may not read users and groups of this resource: give it manage-users")


def _clients(ownership: Ownership, actual: CurrentState) -> Iterator[Change]:
    for name in sorted(ownership.own.clients):
        found = actual.clients.get(name)
        if found is not None and ownership.is_ours("clients", name, found):
            yield _removal("client", name, ("clients", found["id"]), ownership)


def _users(ownership: Ownership, actual: CurrentState) -> Iterator[Change]:
    for name in sorted(ownership.own.users):
        found = (actual.users or {}).get(name)
        if found is None or not is_demo_user(name, found):
            continue
        if ownership.other_owner("users", name) is None:
            yield _removal("user", name, ("users", found["id"]), ownership)
        else:
            roles = actual.user_roles.get(name, frozenset()) & ownership.own.roles
            yield from role_revocations(f"user {name}", IdRef("user", name), frozenset(), roles)


def _groups(ownership: Ownership, actual: CurrentState) -> Iterator[Change]:
    for name in sorted(ownership.own.groups):
        found = actual.groups.by_name.get(name)
        if found is None:
            continue
        others = ownership.other_marks(found)
        if others or ownership.other_owner("groups", name) is not None:
            roles = sorted(set(found.get("realmRoles") or []) & ownership.own.roles)
            if roles:
                path = ("groups", IdRef("group", name), "role-mappings", "realm")
                body = [{"id": IdRef("role", role), "name": role} for role in roles]
                yield Change(f"group {name}", f"remove {', '.join(roles)}", "DELETE", path, body)
            yield from marker_changes(name, found, others)
        elif ownership.is_ours("groups", name, found):
            yield _removal("group", name, ("groups", found["id"]), ownership)


def _lists(ownership: Ownership, actual: CurrentState) -> Iterator[Change]:
    """Yields the changes to what new clients get: the scopes of the others, by default if only one is left."""
    scopes = scopes_of_others(ownership, actual)
    bases = {record.base_scope for record in ownership.others.values()}
    base = min(bases & scopes, default="") if len(ownership.others) == 1 else ""
    yield from allowed_scope_changes(scopes, actual)
    yield from scope_list_changes(scopes, base, actual)


def _scopes_and_roles(ownership: Ownership, actual: CurrentState) -> Iterator[Change]:
    for name in sorted(ownership.own.scopes | ownership.own.upstream_scopes):
        found = actual.scopes.get(name)
        if found is not None and ownership.is_ours("scopes", name, found):
            yield _removal("scope", name, ("client-scopes", found["id"]), ownership)
    for name in sorted(ownership.own.roles):
        found = actual.roles.get(name)
        if found is not None and ownership.is_ours("roles", name, found):
            yield _removal("role", name, ("roles", name), ownership)


def _removal(noun: str, name: str, path: tuple[str | IdRef, ...], ownership: Ownership) -> Change:
    what = f"remove, it is of {ownership.resource}"
    return Change(f"{noun} {name}", what, "DELETE", path, action="remove")
