"""Reads the current state of roles: default roles, composite roles and the scopes bound to roles.

Keycloak grants a scope to every account that has one of the roles bound to it, by whatever path: a realm role can
contain realm and client roles, and so can a client role.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from mcp_idp.cli.bootstrap.keycloak.admin_client import AdminClient
    from mcp_idp.cli.bootstrap.keycloak.lookups import Object

REALM_MANAGEMENT = "realm-management"  # the client whose roles are the administration rights in its realm


@dataclass(frozen=True, slots=True, kw_only=True)
class ScopeRoleBinding:
    """The roles bound to one client scope.

    Attributes:
        realm: names of realm roles.
        clients: client roles, by client id; each value has the client's internal `id` and, in `mappings`, the roles.
        ids: ids of all these roles.
    """

    realm: frozenset[str] = frozenset()
    clients: dict[str, Object] = field(default_factory=dict)
    ids: frozenset[str] = frozenset()

    def __bool__(self) -> bool:
        """Returns whether the scope is bound to any role."""
        return bool(self.realm or self.clients)


@dataclass(frozen=True, slots=True, kw_only=True)
class DefaultRoles:
    """The roles of every account, service accounts included.

    Attributes:
        direct_roles: names of the realm roles directly inside the default role.
        by_id: for the id of each default role, nested ones included, the names of the direct ones that contain it or
            are it.
    """

    direct_roles: frozenset[str] = frozenset()
    by_id: dict[str, set[str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class CompositeRoles:
    """The roles directly inside a composite role.

    Attributes:
        roles: representations of all but the next.
        admin_roles: names of the ones that administer the realm (roles of `realm-management`); an account may grant and
            revoke only those that it has itself.
    """

    roles: tuple[Object, ...] = ()
    admin_roles: frozenset[str] = frozenset()


def read_default(session: AdminClient, name: str) -> DefaultRoles:
    """Reads the default role `name` with all roles nested in it, at any depth.

    Args:
        session: admin client of the realm.
        name: the name of the composite role that every user has.
    """
    composites = session.get("roles", name, "composites")
    by_id: dict[str, set[str]] = {}
    known: dict[str, tuple[Object, ...]] = {}
    pending = [(role, str(role["name"])) for role in composites]
    while pending:
        role, giver = pending.pop()
        givers = by_id.setdefault(role["id"], set())
        if giver not in givers:
            givers.add(giver)
            if role["id"] not in known:
                known[role["id"]] = read_parts(session, role)
            pending += [(part, giver) for part in known[role["id"]]]
    return DefaultRoles(
        direct_roles=frozenset(role["name"] for role in composites if not role["clientRole"]), by_id=by_id
    )


def read_all_parts(session: AdminClient, roles: Iterable[Object]) -> dict[str, CompositeRoles]:
    """Reads the roles directly inside each composite role.

    Args:
        session: admin client of the realm.
        roles: role representations.

    Returns:
        The parts, by role name; roles that are not composite are left out.
    """
    found = {role["name"]: parts for role in roles if (parts := read_parts(session, role))}
    administration = {client["id"] for client in session.get("clients", clientId=REALM_MANAGEMENT)} if found else set()
    return {
        name: CompositeRoles(
            roles=tuple(part for part in parts if part["containerId"] not in administration),
            admin_roles=frozenset(part["name"] for part in parts if part["containerId"] in administration),
        )
        for name, parts in found.items()
    }


def read_parts(session: AdminClient, role: Mapping[str, Any]) -> tuple[Object, ...]:
    """Returns the representations of the roles directly inside `role`; costs no request if it is not composite."""
    return tuple(session.get("roles-by-id", role["id"], "composites")) if role.get("composite") else ()


def read_bindings(session: AdminClient, scopes: Iterable[Object]) -> dict[str, ScopeRoleBinding]:
    """Reads the roles bound to client scopes.

    Args:
        session: admin client of the realm.
        scopes: client scope representations.

    Returns:
        Bindings by scope name.
    """
    return {scope["name"]: _binding(session.get("client-scopes", scope["id"], "scope-mappings")) for scope in scopes}


def _binding(mappings: Object) -> ScopeRoleBinding:
    realm: list[Object] = mappings.get("realmMappings") or []
    clients: dict[str, Object] = mappings.get("clientMappings") or {}
    roles = [*realm, *(role for client in clients.values() for role in client["mappings"])]
    return ScopeRoleBinding(
        realm=frozenset(role["name"] for role in realm), clients=clients, ids=frozenset(role["id"] for role in roles)
    )
