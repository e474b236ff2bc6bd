"""The demo users. Their passwords are public, so they exist only where nobody else can log in (`settings.py`)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mcp_idp.cli.bootstrap.changes import Change, IdRef, Json, field_diffs
from mcp_idp.cli.bootstrap.errors import ConfigError
from mcp_idp.cli.bootstrap.keycloak.resources.roles import role_grants, role_revocations
from mcp_idp.cli.bootstrap.keycloak.state.current import DEMO_DOMAIN

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mcp_idp.access.policy import AccessPolicy
    from mcp_idp.cli.bootstrap.keycloak.lookups import Object
    from mcp_idp.cli.bootstrap.keycloak.state.current import CurrentState


def user_changes(access: AccessPolicy, actual: CurrentState) -> Iterator[Change]:
    """What the demo users lack. A password is set when the user is created, never again: it may have changed.

    Raises:
        ConfigError: somebody has the name of a demo user: theirs is no account for a public password's roles.
    """
    users = actual.users
    if users is None:  # may not be read: nothing is known, so nothing is changed
        return
    for name, user in access.demo_users.items():
        desired = _profile(name)
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
            # The profile is one unit to Keycloak: a member left out is a member taken away.
            what = f"set {', '.join(field.name for field in fields)}"
            yield Change(f"user {name}", what, "PUT", ("users", found["id"]), desired, fields=fields)
        yield from role_grants(
            f"user {name}", IdRef("user", name), frozenset(user.roles), _managed_roles(access, actual, name)
        )


def user_revocations(access: AccessPolicy, actual: CurrentState) -> Iterator[Change]:
    """Roles that the demo users shall not have, and demo users that the access file no longer has."""
    for name, person in access.demo_users.items():
        yield from role_revocations(
            f"user {name}", IdRef("user", name), frozenset(person.roles), _managed_roles(access, actual, name)
        )
    for name, found in (actual.users or {}).items():
        if name not in access.demo_users and _is_demo_user(name, found):
            what = "remove, the access file no longer has this demo user"
            yield Change(f"user {name}", what, "DELETE", ("users", found["id"]), action="remove")


def _managed_roles(access: AccessPolicy, actual: CurrentState, name: str) -> frozenset[str]:
    """Those of the user's roles that bring scopes: only they are ours to take away."""
    return actual.user_roles.get(name, frozenset()) & set(access.roles)


def _is_demo_user(name: str, found: Object) -> bool:
    return all(found.get(member) == value for member, value in _profile(name).items() if member != "enabled")


def _profile(name: str) -> Json:
    """All that Keycloak asks of a person: with a part missing the first login would stop at a form for it."""
    return {
        "enabled": True,
        "firstName": "Demo",
        "lastName": name.capitalize(),
        "email": f"{name}{DEMO_DOMAIN}",
        "emailVerified": True,
    }
