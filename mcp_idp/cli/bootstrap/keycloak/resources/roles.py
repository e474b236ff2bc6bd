"""The realm roles that bring scopes. They are in no default: a role is what somebody decided to give."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mcp_idp.cli.bootstrap.changes import Change, Ref, field_of
from mcp_idp.cli.bootstrap.errors import SettingsFailure
from mcp_idp.cli.bootstrap.keycloak.state.managed import MARK, is_marked
from mcp_idp.cli.bootstrap.keycloak.state.roles import Parts

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mcp_idp.access.policy import Access
    from mcp_idp.cli.bootstrap.changes import Field, Method
    from mcp_idp.cli.bootstrap.keycloak.state.current import Actual


def role_changes(access: Access, actual: Actual) -> Iterator[Change]:
    """The roles that are missing. Roles that are there stay as they are, and are not marked: they are somebody's."""
    for role in access.roles:
        if role not in actual.roles:
            scopes = ", ".join(name for name, roles in access.brought_by.items() if role in roles)
            mark = {name: [value] for name, value in MARK.items()}
            body = {"name": role, "description": f"Brings {scopes}", "attributes": mark}
            yield Change(f"role {role}", "create", "POST", ("roles",), body, action="create")


def default_role_changes(access: Access, actual: Actual) -> Iterator[Change]:
    """Take our roles out of those that everybody has: a scope bound to one of them is everybody's."""
    ours = sorted(actual.default.given & set(access.roles))
    name = actual.default_role_name
    if ours:
        fields = (field_of("default roles", ours, None),)
        body = [{"id": Ref("role", role), "name": role} for role in ours]
        what = f"people no longer have {', '.join(ours)} by default"
        yield Change("realm", what, "DELETE", ("roles", name, "composites"), body, fields=fields)


def refuse_everybodys_roles(access: Access, actual: Actual) -> None:
    """A scope bound to such a role would be everybody's from then on.

    Raises:
        SettingsFailure: everybody has a role of the access file by another one, which is not ours to take.
    """
    for name in access.roles:
        if giver := actual.giver_of(name, access.roles):
            raise SettingsFailure(
                f"everybody has the role {name}, by the role {giver}, which new people get: take {giver} out of "
                f"{actual.default_role_name}, or {name} out of {giver}, or name another role in the access file"
            )


def part_changes(access: Access, actual: Actual) -> Iterator[Change]:
    """Take apart the roles that we made: with another role in it, one brings what the access file does not say.

    Rights in the realm stay (`holes.py` names them): who may not give them may not take them, and an apply by such an
    account would end here each time.
    """
    for name in access.roles:
        parts = actual.parts.get(name, Parts()).roles
        if parts and is_marked(actual.roles[name]):
            brought = sorted(part["name"] for part in parts)
            fields = (field_of("composites", brought, None),)
            body = [{"id": part["id"], "name": part["name"]} for part in parts]
            what = f"no longer brings {', '.join(brought)}"
            yield Change(f"role {name}", what, "DELETE", ("roles", name, "composites"), body, fields=fields)


def strange_parts(access: Access, actual: Actual) -> Iterator[str]:
    """A line for each role that somebody else made and that brings others: who has it may have more than was meant."""
    for name in access.roles:
        parts = actual.parts.get(name, Parts()).roles
        if parts and not is_marked(actual.roles[name]):
            brought = ", ".join(sorted(part["name"] for part in parts))
            yield f"role {name} was made by somebody else and brings {brought} too: take away what it shall not bring"


def account_takings(about: str, account: Ref, wanted: frozenset[str], given: frozenset[str]) -> Iterator[Change]:
    """Take from an account, a user or a service account, the `given` roles, all ours, that are not `wanted`."""
    yield from _account_mapping(about, account, "DELETE", given - wanted, field_of("roles", *_sorted(given, wanted)))


def account_givings(about: str, account: Ref, wanted: frozenset[str], given: frozenset[str]) -> Iterator[Change]:
    """Give an account those of the `wanted` roles that are not among the `given` ones."""
    yield from _account_mapping(about, account, "POST", wanted - given, field_of("roles", *_sorted(given, wanted)))


def role_removals(access: Access, actual: Actual) -> Iterator[Change]:
    """Roles that we made and that bring no scope any more."""
    for name, found in actual.roles.items():
        if name not in access.roles and is_marked(found):
            what = "remove, it brings no scope any more"
            yield Change(f"role {name}", what, "DELETE", ("roles", name), action="remove")


def _account_mapping(about: str, account: Ref, method: Method, roles: frozenset[str], field: Field) -> Iterator[Change]:
    if roles:
        verb = "give" if method == "POST" else "take away"
        body = [{"id": Ref("role", role), "name": role} for role in sorted(roles)]
        path = ("users", account, "role-mappings", "realm")
        yield Change(about, f"{verb} {', '.join(sorted(roles))}", method, path, body, fields=(field,))


def _sorted(given: frozenset[str], wanted: frozenset[str]) -> tuple[list[str], list[str]]:
    return sorted(given), sorted(wanted)
