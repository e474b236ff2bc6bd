"""Roles as they are: who has them unasked, what they are made of, and which scopes they bring.

Keycloak gives a scope to whoever has one of the roles it is bound to, by whatever path: roles are made of roles, those
of a realm of those of its clients and the other way round.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from mcp_idp.cli.bootstrap.keycloak.admin_client import AdminClient
    from mcp_idp.cli.bootstrap.keycloak.lookups import Object

REALM_MANAGEMENT = "realm-management"  # the client whose roles are the rights in its realm


@dataclass(frozen=True, slots=True, kw_only=True)
class ScopeRoleBinding:
    """The roles that bring one scope.

    Attributes:
        realm: names of roles of the realm.
        clients: roles of clients, by the client's id: its internal `id`, and `mappings`, the roles.
        ids: of all of them.
    """

    realm: frozenset[str] = frozenset()
    clients: dict[str, Object] = field(default_factory=dict)
    ids: frozenset[str] = frozenset()

    def __bool__(self) -> bool:
        """Whether any role is asked for."""
        return bool(self.realm or self.clients)


@dataclass(frozen=True, slots=True, kw_only=True)
class DefaultRoles:
    """The roles of everybody, service accounts included.

    Attributes:
        direct_roles: names of the realm's roles that are given so.
        by_id: of each role that comes so, through whatever others, its id and the names of the given that bring it.
    """

    direct_roles: frozenset[str] = frozenset()
    by_id: dict[str, set[str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class CompositeRoles:
    """What a role is made of.

    Attributes:
        roles: other roles.
        admin_roles: names of those that administer the realm: an account may grant and revoke only its own.
    """

    roles: tuple[Object, ...] = ()
    admin_roles: frozenset[str] = frozenset()


def read_default(session: AdminClient, name: str) -> DefaultRoles:
    """What the role `name`, which everybody has, is made of, down to the last part."""
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
    """What those of `roles` are made of that are made of others, by name."""
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
    """The roles that `role` is made of. One that is not is asked nothing."""
    return tuple(session.get("roles-by-id", role["id"], "composites")) if role.get("composite") else ()


def read_bindings(session: AdminClient, scopes: Iterable[Object]) -> dict[str, ScopeRoleBinding]:
    """The roles that each of `scopes` is bound to, by the scope's name."""
    return {scope["name"]: _binding(session.get("client-scopes", scope["id"], "scope-mappings")) for scope in scopes}


def _binding(mappings: Object) -> ScopeRoleBinding:
    realm: list[Object] = mappings.get("realmMappings") or []
    clients: dict[str, Object] = mappings.get("clientMappings") or {}
    roles = [*realm, *(role for client in clients.values() for role in client["mappings"])]
    return ScopeRoleBinding(
        realm=frozenset(role["name"] for role in realm), clients=clients, ids=frozenset(role["id"] for role in roles)
    )
