"""What must fit together in `access.yaml`: each check says, in one line, the place and what to write."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from mcp_server.access_faults import meant

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from mcp_server.access import Access

_USER_NAME = re.compile(r"^[a-z0-9._-]{3,60}$")  # Keycloak wants three characters and lower-cases them


def check_consistent(access: Access) -> None:
    """Let through a file whose parts fit together.

    Raises:
        ValueError: they do not; the text has the place, and what to change.
    """
    for where, names in _named_scopes(access):
        _check_scopes(access, names, where)
    _check_every_scope_implies_the_base(access)
    _check_broader_roles_bring_the_narrower(access)
    for where, names in _named_roles(access):
        _check_roles(access, names, where)
    _check_people_are_in_groups_of_the_file(access)
    _check_clients_have_one_kind(access)
    _check_scopes_are_of_one_api(access)
    if access.roles_claim in access.claims:
        raise ValueError(f"claims: '{access.roles_claim}' is in every principal as its roles")
    for user in access.demo_users:
        if not _USER_NAME.match(user):
            raise ValueError(f"demo_users.{user}: a user name is 3 to 60 of a-z, 0-9, '.', '_', '-'")


def _named_scopes(access: Access) -> Iterator[tuple[str, Iterable[str]]]:
    """Where the file names scopes, and which."""
    yield "base_scope", [access.base_scope]
    yield "login_scopes", access.login_scopes
    yield "introspect_for", access.introspect_for
    yield from ((f"tools.{tool}", needed) for tool, needed in access.tools.items())
    yield from ((f"scopes.{name}.implies", scope.implies) for name, scope in access.scopes.items())


def _named_roles(access: Access) -> Iterator[tuple[str, Iterable[str]]]:
    """Where the file names roles that have to bring a scope, and which."""
    yield from ((f"groups.{group}", roles) for group, roles in access.groups.items())
    yield from ((f"machine_clients.{name}.roles", machine.roles) for name, machine in access.machine_clients.items())
    yield from ((f"demo_users.{user}.roles", person.roles) for user, person in access.demo_users.items())


def _check_scopes(access: Access, names: Iterable[str], where: str) -> None:
    for name in names:
        if name not in access.scopes:
            raise ValueError(f"{where}: '{name}' is not one of the scopes{meant(name, access.scopes)}")


def _check_roles(access: Access, names: Iterable[str], where: str) -> None:
    for name in names:
        if name not in access.roles:
            raise ValueError(f"{where}: '{name}' brings no scope{meant(name, access.roles)}")


def _check_every_scope_implies_the_base(access: Access) -> None:
    for name in access.scopes:
        reached = access.reach(name)
        if name != access.base_scope and access.base_scope not in reached:
            raise ValueError(f"scopes.{name}.implies: must lead to the base scope '{access.base_scope}'")


def _check_broader_roles_bring_the_narrower(access: Access) -> None:
    """Else a login of whoever holds the broader role could not bring the narrower scope by its name."""
    for broader, scope in access.scopes.items():
        for narrower in sorted(access.reach(broader)):
            for role in sorted({*scope.roles} - {*access.scopes[narrower].roles}):
                raise ValueError(f"scopes.{narrower}.roles: must have '{role}' too, which brings the wider '{broader}'")


def _check_people_are_in_groups_of_the_file(access: Access) -> None:
    for user, person in access.demo_users.items():
        for name in person.groups:
            if name not in access.groups:
                known = meant(name, access.groups) if access.groups else ""
                raise ValueError(f"demo_users.{user}.groups: '{name}' is not one of the groups{known}")


def _check_clients_have_one_kind(access: Access) -> None:
    for client_id in sorted(access.machine_clients.keys() & access.clients.keys()):
        raise ValueError(f"machine_clients.{client_id}: is one of the clients people log in with, too")
    for audience in sorted(access.upstreams.keys() & (access.clients.keys() | access.machine_clients.keys())):
        raise ValueError(f"upstreams.{audience}: is the id of a client that logs in")


def _check_scopes_are_of_one_api(access: Access) -> None:
    """Else a login here would bring what is meant for there."""
    seen = dict.fromkeys(access.scopes, "scopes")
    for audience, upstream in access.upstreams.items():
        where = f"upstreams.{audience}"
        for name in upstream.scopes:
            if seen.setdefault(name, where) != where:
                raise ValueError(f"{where}.scopes.{name}: the name is taken in {seen[name]}")
