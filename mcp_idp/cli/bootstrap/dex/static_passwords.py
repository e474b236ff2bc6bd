"""The demo users as Dex's static passwords: names, bcrypt hashes, and roles and groups, both as Dex groups."""

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

# About 0.2 s per guess, which is Dex's only protection against guessing.
BCRYPT_COST = 12
_LONGEST = 72  # bytes: bcrypt ignores the rest


def static_passwords(access: AccessPolicy, issuer: str, current: Mapping[str, str], cost: int) -> list[Json]:
    """Returns the demo users for Dex's `staticPasswords`.

    Args:
        access: The access policy.
        issuer: The issuer, from which user ids are derived, so that they stay the same.
        current: Name to hash of an earlier run; a valid hash is kept, so that a second run changes nothing.
        cost: The bcrypt cost; each increment doubles the time of a guess.

    Raises:
        ConfigError: A password is too long for bcrypt.
    """
    return [
        _static_password(name, user, issuer, current.get(name, ""), cost) for name, user in access.demo_users.items()
    ]


def _static_password(name: str, user: DemoUser, issuer: str, current_hash: str, cost: int) -> Json:
    return {
        # The login name, in Dex's field "Email Address". It is not an address, and no token contains it, because the
        # scope `email` is never requested.
        "email": name,
        "username": f"Demo {name.capitalize()}",
        "preferredUsername": name,
        "userID": str(uuid5(NAMESPACE_URL, f"{issuer}/demo_users/{name}")),
        "groups": list(groups_of(user)),
        "hash": _hash(name, user.password, current_hash, cost),
    }


def groups_of(user: DemoUser) -> tuple[str, ...]:
    """Returns a demo user's groups at Dex, which has no roles.

    Each role becomes a group of the same name; such groups count if the access file defines no `groups`.
    """
    return tuple(dict.fromkeys((*user.roles, *user.groups)))


def unmapped_roles(access: AccessPolicy) -> Iterator[str]:
    """Yields a line for each demo user with roles that none of the user's groups grants.

    This concerns access files that define `groups`.
    """
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
    with suppress(ValueError):  # the earlier value is not a hash
        if current_hash.startswith(f"$2b${cost:02d}$") and bcrypt.checkpw(encoded, current_hash.encode()):
            return current_hash
    return bcrypt.hashpw(encoded, bcrypt.gensalt(cost)).decode()
