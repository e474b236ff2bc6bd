"""The demo users.

Their passwords are public, so settings with demo users are accepted only if issuer and resource are on loopback
(`require_production_safe`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mcp_idp.cli.bootstrap.changes import Change, IdRef, field_diffs
from mcp_idp.cli.bootstrap.errors import ConfigError
from mcp_idp.cli.bootstrap.keycloak.resources.roles import role_grants, role_revocations
from mcp_idp.cli.bootstrap.keycloak.state.current import DEMO_DOMAIN, demo_profile, is_demo_user

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mcp_idp.access.policy import AccessPolicy
    from mcp_idp.cli.bootstrap.keycloak.state.current import CurrentState
    from mcp_idp.cli.bootstrap.keycloak.state.ownership import Ownership


def user_changes(access: AccessPolicy, actual: CurrentState) -> Iterator[Change]:
    """Yields the changes to the demo users: the users themselves and missing roles.

    A password is set only when the user is created, because the user may have changed it since.

    Raises:
        ConfigError: a user with the name of a demo user has no demo address, so the account belongs to a real user and
            must not get the roles of a demo user.
    """
    users = actual.users
    if users is None:  # users that cannot be read cannot be compared
        return
    for name, user in access.demo_users.items():
        desired = demo_profile(name)
        found = users.get(name)
        if found is None:
            credentials = [{"type": "password", "value": user.password, "temporary": False}]
            body = {"username": name, **desired, "credentials": credentials}
            yield Change(f"user {name}", "create", "POST", ("users",), body, action="create")
        elif found.get("email") != desired["email"]:
            raise ConfigError(
                f"demo_users: {name} already exists without an address at {DEMO_DOMAIN[1:]}, so it belongs to "
                "a real user: "
                "rename the demo user, or remove it from the access file"
            )
        elif fields := field_diffs(desired, found):
            # Keycloak replaces the whole profile: a member that is left out is deleted.
            what = f"set {', '.join(field.name for field in fields)}"
            yield Change(f"user {name}", what, "PUT", ("users", found["id"]), desired, fields=fields)
        yield from role_grants(
            f"user {name}", IdRef("user", name), frozenset(user.roles), _managed_roles(access, actual, name)
        )


def user_revocations(access: AccessPolicy, ownership: Ownership, actual: CurrentState) -> Iterator[Change]:
    """Yields the changes that revoke surplus roles of demo users and delete those no longer in the access file.

    A user that another resource names too stays and loses this resource's roles.
    """
    for name, demo_user in access.demo_users.items():
        yield from role_revocations(
            f"user {name}", IdRef("user", name), frozenset(demo_user.roles), _managed_roles(access, actual, name)
        )
    for name, found in (actual.users or {}).items():
        if name in access.demo_users or name not in ownership.own.users or not is_demo_user(name, found):
            continue
        if ownership.other_owner("users", name) is not None:
            roles = _managed_roles(access, actual, name)
            yield from role_revocations(f"user {name}", IdRef("user", name), frozenset(), roles)
        else:
            what = "remove, the access file no longer has this demo user"
            yield Change(f"user {name}", what, "DELETE", ("users", found["id"]), action="remove")


def _managed_roles(access: AccessPolicy, actual: CurrentState, name: str) -> frozenset[str]:
    """Returns the user's roles that are in the access file; an apply may revoke only these."""
    return actual.user_roles.get(name, frozenset()) & set(access.roles)
