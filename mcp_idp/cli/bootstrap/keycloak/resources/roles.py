"""The realm roles that grant scopes.

They are never default roles: an administrator must assign them explicitly.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mcp_idp.cli.bootstrap.changes import Change, IdRef, field_diff, field_diffs
from mcp_idp.cli.bootstrap.errors import ConfigError
from mcp_idp.cli.bootstrap.keycloak.state.managed import MARKER, is_managed, marks_of
from mcp_idp.cli.bootstrap.keycloak.state.roles import CompositeRoles

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mcp_idp.access.policy import AccessPolicy
    from mcp_idp.cli.bootstrap.changes import FieldDiff, Json, Method
    from mcp_idp.cli.bootstrap.keycloak.state.current import CurrentState
    from mcp_idp.cli.bootstrap.keycloak.state.ownership import Ownership


def role_changes(access: AccessPolicy, ownership: Ownership, actual: CurrentState) -> Iterator[Change]:
    """Yields the creation of missing roles, and the marking of those with the marker of an earlier release.

    Roles without any marker stay as they are, because the bootstrap did not create them.
    """
    marker = {MARKER: [ownership.resource]}
    for role in access.roles:
        found = actual.roles.get(role)
        if found is None:
            scopes = ", ".join(name for name, roles in access.roles_by_scope.items() if role in roles)
            body: Json = {"name": role, "description": f"Brings {scopes}", "attributes": marker}
            yield Change(f"role {role}", "create", "POST", ("roles",), body, action="create")
        elif ownership.is_ours("roles", role, found) and marks_of(found) != {ownership.resource}:
            retained: Json = {member: found[member] for member in ("name", "description") if member in found}
            body = {**retained, "attributes": {**found["attributes"], **marker}}
            fields = field_diffs({"attributes": marker}, found)
            yield Change(f"role {role}", "mark with its owner", "PUT", ("roles", role), body, fields=fields)


def default_role_changes(access: AccessPolicy, actual: CurrentState) -> Iterator[Change]:
    """Yields the change that removes the access file's roles from the default role.

    Otherwise every account would get the scopes bound to them.
    """
    managed_roles = sorted(actual.default.direct_roles & set(access.roles))
    name = actual.default_role_name
    if managed_roles:
        fields = (field_diff("default roles", managed_roles, None),)
        body = [{"id": IdRef("role", role), "name": role} for role in managed_roles]
        what = f"users no longer have {', '.join(managed_roles)} by default"
        yield Change("realm", what, "DELETE", ("roles", name, "composites"), body, fields=fields)


def require_no_default_roles(access: AccessPolicy, actual: CurrentState) -> None:
    """Rejects an access file with a role that every account has through another role.

    Every account would get the scopes bound to it, and an apply does not change that other role, which is unmanaged.

    Raises:
        ConfigError: the realm has such a role.
    """
    for name in access.roles:
        if giver := actual.default_role_granting(name, access.roles):
            raise ConfigError(
                f"every user has the role {name}, through the role {giver}, which new users get: remove {giver} from "
                f"{actual.default_role_name}, or {name} from {giver}, or use another role in the access file"
            )


def decomposition_changes(access: AccessPolicy, actual: CurrentState) -> Iterator[Change]:
    """Yields the changes that remove other roles from managed roles.

    A managed role that contains another role grants more than the access file says.

    Administration rights (roles of `realm-management`) stay, and `compliance/weaknesses.py` reports them: an account
    that may not grant them may not revoke them either, so every apply by such an account would fail at this point.
    """
    for name in access.roles:
        parts = actual.parts.get(name, CompositeRoles()).roles
        if parts and is_managed(actual.roles[name]):
            granted = sorted(part["name"] for part in parts)
            fields = (field_diff("composites", granted, None),)
            body = [{"id": part["id"], "name": part["name"]} for part in parts]
            what = f"no longer grants {', '.join(granted)}"
            yield Change(f"role {name}", what, "DELETE", ("roles", name, "composites"), body, fields=fields)


def unmanaged_composites(access: AccessPolicy, actual: CurrentState) -> Iterator[str]:
    """Yields a line for each unmanaged composite role of the access file: it may grant more than intended."""
    for name in access.roles:
        parts = actual.parts.get(name, CompositeRoles()).roles
        if parts and not is_managed(actual.roles[name]):
            granted = ", ".join(sorted(part["name"] for part in parts))
            yield f"role {name} was not created here and also grants {granted}: remove what it must not grant"


def role_revocations(about: str, account: IdRef, desired: frozenset[str], current: frozenset[str]) -> Iterator[Change]:
    """Yields the change that revokes an account's surplus roles.

    Args:
        about: label of the account for output.
        account: reference to the user or service account.
        desired: names of the roles that it must have.
        current: names of the access file's roles that it has.
    """
    yield from _account_mapping(
        about, account, "DELETE", current - desired, field_diff("roles", *_sorted(current, desired))
    )


def role_grants(about: str, account: IdRef, desired: frozenset[str], current: frozenset[str]) -> Iterator[Change]:
    """Yields the change that grants an account its missing roles.

    Args:
        about: label of the account for output.
        account: reference to the user or service account.
        desired: names of the roles that it must have.
        current: names of the access file's roles that it has.
    """
    yield from _account_mapping(
        about, account, "POST", desired - current, field_diff("roles", *_sorted(current, desired))
    )


def role_removals(access: AccessPolicy, ownership: Ownership, actual: CurrentState) -> Iterator[Change]:
    """Yields the removal of the resource's roles that no longer grant a scope."""
    for name, found in actual.roles.items():
        if name not in access.roles and ownership.is_ours("roles", name, found):
            what = "remove, it no longer grants a scope"
            yield Change(f"role {name}", what, "DELETE", ("roles", name), action="remove")


def _account_mapping(
    about: str, account: IdRef, method: Method, roles: frozenset[str], field: FieldDiff
) -> Iterator[Change]:
    if roles:
        action = "add" if method == "POST" else "remove"
        body = [{"id": IdRef("role", role), "name": role} for role in sorted(roles)]
        path = ("users", account, "role-mappings", "realm")
        yield Change(about, f"{action} {', '.join(sorted(roles))}", method, path, body, fields=(field,))


def _sorted(current: frozenset[str], desired: frozenset[str]) -> tuple[list[str], list[str]]:
    return sorted(current), sorted(desired)
