"""The demo users. Their passwords are public, so they exist only where nobody else can log in (`settings.py`)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mcp_idp.cli.bootstrap.changes import Change, Json, Ref, fields_of
from mcp_idp.cli.bootstrap.errors import SettingsFailure
from mcp_idp.cli.bootstrap.keycloak.resources.roles import account_givings, account_takings
from mcp_idp.cli.bootstrap.keycloak.state.current import DEMO_DOMAIN

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mcp_idp.access.policy import Access
    from mcp_idp.cli.bootstrap.keycloak.lookups import Object
    from mcp_idp.cli.bootstrap.keycloak.state.current import Actual


def user_changes(access: Access, actual: Actual) -> Iterator[Change]:
    """What the demo users lack. A password is set when the user is created, never again: it may have changed.

    Raises:
        SettingsFailure: somebody has the name of a demo user: theirs is no account for a public password's roles.
    """
    users = actual.users
    if users is None:  # may not be read: nothing is known, so nothing is changed
        return
    for name, person in access.demo_users.items():
        wanted = _profile(name)
        found = users.get(name)
        if found is None:
            credentials = [{"type": "password", "value": person.password, "temporary": False}]
            body = {"username": name, **wanted, "credentials": credentials}
            yield Change(f"user {name}", "create", "POST", ("users",), body, action="create")
        elif found.get("email") != wanted["email"]:
            raise SettingsFailure(
                f"demo_users: {name} is there already and has no address at {DEMO_DOMAIN[1:]}, so it is a person's: "
                "name the demo user otherwise, or remove it from the access file"
            )
        elif fields := fields_of(wanted, found):
            # The profile is one unit to Keycloak: a member left out is a member taken away.
            what = f"set {', '.join(field.name for field in fields)}"
            yield Change(f"user {name}", what, "PUT", ("users", found["id"]), wanted, fields=fields)
        yield from account_givings(
            f"user {name}", Ref("user", name), frozenset(person.roles), _ours(access, actual, name)
        )


def user_takings(access: Access, actual: Actual) -> Iterator[Change]:
    """Roles that the demo users shall not have, and demo users that the access file no longer has."""
    for name, person in access.demo_users.items():
        yield from account_takings(
            f"user {name}", Ref("user", name), frozenset(person.roles), _ours(access, actual, name)
        )
    for name, found in (actual.users or {}).items():
        if name not in access.demo_users and _is_of_the_demo(name, found):
            what = "remove, the access file no longer has this demo user"
            yield Change(f"user {name}", what, "DELETE", ("users", found["id"]), action="remove")


def _ours(access: Access, actual: Actual, name: str) -> frozenset[str]:
    """Those of the user's roles that bring scopes: only they are ours to take away."""
    return actual.user_roles.get(name, frozenset()) & set(access.roles)


def _is_of_the_demo(name: str, found: Object) -> bool:
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
