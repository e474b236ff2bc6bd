"""The demo users at Dex: names, bcrypt hashes, and their roles and groups, which are all groups there."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING
from uuid import NAMESPACE_URL, uuid5

import bcrypt

from mcp_idp.cli.bootstrap.errors import SettingsFailure

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from mcp_idp.access.models import DemoUser
    from mcp_idp.access.policy import Access
    from mcp_idp.cli.bootstrap.dex.templates import Json

# Some 0.2 s a guess, which is all that Dex has against guessing.
COST = 12
_LONGEST = 72  # bytes: bcrypt does not look at more


def static_passwords(access: Access, issuer: str, held: Mapping[str, str], cost: int) -> list[Json]:
    """The demo users as Dex wants them.

    Args:
        access: the access file.
        issuer: what makes their ids, which stay the same at every run.
        held: hashes by name, of an earlier run: one that is still right is kept, or no run would be without changes.
        cost: of a hash, as bcrypt counts it: each step doubles the time of a guess.

    Raises:
        SettingsFailure: a password is too long for bcrypt.
    """
    return [_person(name, person, issuer, held.get(name, ""), cost) for name, person in access.demo_users.items()]


def _person(name: str, person: DemoUser, issuer: str, held: str, cost: int) -> Json:
    return {
        # What is typed into Dex's field "Email Address". Ours is no address, and no token says it: the scope `email` is
        # never asked for.
        "email": name,
        "username": f"Demo {name.capitalize()}",
        "preferredUsername": name,
        "userID": str(uuid5(NAMESPACE_URL, f"{issuer}/demo_users/{name}")),
        "groups": list(groups_of(person)),
        "hash": _hash(name, person.password, held, cost),
    }


def groups_of(person: DemoUser) -> tuple[str, ...]:
    """Its groups at Dex, which knows no roles: each is a group of its name, which counts if no `groups` are named."""
    return tuple(dict.fromkeys((*person.roles, *person.groups)))


def roles_that_count_nothing(access: Access) -> Iterator[str]:
    """A line for each demo user with roles that no group brings, once the access file names the groups that count."""
    for name, person in access.demo_users.items():
        brought = access.roles_of(groups_of(person))
        if lost := [role for role in person.roles if role not in brought]:
            yield (
                f"demo_users.{name}.roles: Dex has groups only, and {', '.join(lost)} is none of `groups`: give "
                f"{name} a group that stands for it"
            )


def _hash(name: str, password: str, held: str, cost: int) -> str:
    encoded = password.encode()
    if len(encoded) > _LONGEST:
        raise SettingsFailure(f"demo_users.{name}: Dex takes passwords of at most {_LONGEST} bytes")
    with suppress(ValueError):  # what is held is no hash
        if held.startswith(f"$2b${cost:02d}$") and bcrypt.checkpw(encoded, held.encode()):
            return held
    return bcrypt.hashpw(encoded, bcrypt.gensalt(cost)).decode()
