"""The demo users at Dex: names, bcrypt hashes, and their roles and groups, which are all groups there."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING
from uuid import NAMESPACE_URL, uuid5

import bcrypt

from mcp_idp.cli.bootstrap.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from mcp_idp.access.models import DemoUser
    from mcp_idp.access.policy import AccessPolicy
    from mcp_idp.cli.bootstrap.dex.templates import Json

# Some 0.2 s a guess, which is all that Dex has against guessing.
BCRYPT_COST = 12
_LONGEST = 72  # bytes: bcrypt does not look at more


def static_passwords(access: AccessPolicy, issuer: str, current: Mapping[str, str], cost: int) -> list[Json]:
    """The demo users as Dex wants them.

    Args:
        access: the access file.
        issuer: what makes their ids, which stay the same at every run.
        current: hashes by name, of an earlier run: one that is still right is kept, or no run would be without changes.
        cost: of a hash, as bcrypt counts it: each step doubles the time of a guess.

    Raises:
        ConfigError: a password is too long for bcrypt.
    """
    return [
        _static_password(name, user, issuer, current.get(name, ""), cost) for name, user in access.demo_users.items()
    ]


def _static_password(name: str, user: DemoUser, issuer: str, current_hash: str, cost: int) -> Json:
    return {
        # What is typed into Dex's field "Email Address". Ours is no address, and no token says it: the scope `email` is
        # never asked for.
        "email": name,
        "username": f"Demo {name.capitalize()}",
        "preferredUsername": name,
        "userID": str(uuid5(NAMESPACE_URL, f"{issuer}/demo_users/{name}")),
        "groups": list(groups_of(user)),
        "hash": _hash(name, user.password, current_hash, cost),
    }


def groups_of(user: DemoUser) -> tuple[str, ...]:
    """Its groups at Dex, which knows no roles: each is a group of its name, which counts if no `groups` are named."""
    return tuple(dict.fromkeys((*user.roles, *user.groups)))


def unmapped_roles(access: AccessPolicy) -> Iterator[str]:
    """A line for each demo user with roles that no group brings, once the access file names the groups that count."""
    for name, user in access.demo_users.items():
        granted = access.roles_for_groups(groups_of(user))
        if lost := [role for role in user.roles if role not in granted]:
            yield (
                f"demo_users.{name}.roles: Dex has groups only, and {', '.join(lost)} is none of `groups`: give "
                f"{name} a group that stands for it"
            )


def _hash(name: str, password: str, current_hash: str, cost: int) -> str:
    encoded = password.encode()
    if len(encoded) > _LONGEST:
        raise ConfigError(f"demo_users.{name}: Dex takes passwords of at most {_LONGEST} bytes")
    with suppress(ValueError):  # what is held is no hash
        if current_hash.startswith(f"$2b${cost:02d}$") and bcrypt.checkpw(encoded, current_hash.encode()):
            return current_hash
    return bcrypt.hashpw(encoded, bcrypt.gensalt(cost)).decode()
