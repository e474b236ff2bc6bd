"""The demo users. Their passwords are public, so they exist only where nobody else can log in (`settings.py`)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scripts.bootstrap.plan import Change, Json, Ref, differing

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mcp_server.access import Access
    from scripts.bootstrap.keycloak.actual import Actual
    from scripts.bootstrap.plan import Method


def user_changes(access: Access, actual: Actual) -> Iterator[Change]:
    """What the demo users lack. A password is set when the user is created, never again: it may have changed."""
    for name, person in access.demo_users.items():
        wanted = _profile(name)
        found = actual.users.get(name)
        if found is None:
            credentials = [{"type": "password", "value": person.password, "temporary": False}]
            body = {"username": name, **wanted, "credentials": credentials}
            yield Change(f"user {name}: create", "POST", ("users",), body)
        elif changed := differing(wanted, found):
            # The profile is one unit to Keycloak: a member left out is a member taken away.
            yield Change(f"user {name}: set {', '.join(changed)}", "PUT", ("users", found["id"]), wanted)
        # Only roles that bring scopes are ours to take away.
        given = actual.user_roles.get(name, frozenset()) & set(access.roles)
        yield from _role_changes(name, frozenset(person.roles), given)


def _profile(name: str) -> Json:
    """All that Keycloak asks of a person: with a part missing the first login would stop at a form for it."""
    return {
        "enabled": True,
        "firstName": "Demo",
        "lastName": name.capitalize(),
        "email": f"{name}@demo.example",  # RFC 2606: nobody's
        "emailVerified": True,
    }


def _role_changes(name: str, wanted: frozenset[str], given: frozenset[str]) -> Iterator[Change]:
    path: tuple[str | Ref, ...] = ("users", Ref("user", name), "role-mappings", "realm")
    steps: tuple[tuple[Method, frozenset[str], str], ...] = (
        ("DELETE", given - wanted, "take away"),
        ("POST", wanted - given, "give"),
    )
    for method, roles, verb in steps:
        if roles:
            body = [{"id": Ref("role", role), "name": role} for role in sorted(roles)]
            yield Change(f"user {name}: {verb} {', '.join(sorted(roles))}", method, path, body)
