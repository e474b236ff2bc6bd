"""Client scopes: each adds the audience to tokens, is bound to its roles and is optional for clients.

The base scope is a default scope of new clients while the realm has one resource, so that a login that asks for no
scope gets a token for it (docs/registrar.md). Keycloak gives defaults only to clients that register without `scope`.
With a second resource every base scope is optional, for existing clients too: a token for two resources is valid at
neither.

Because of the binding, an account without such a role gets neither scope nor audience, whichever client it uses, one
that registered itself included: Keycloak 26.7.5 gives a user or service account that has none of the bound roles a
token with neither. The binding is therefore written before any client can get the scope.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mcp_idp.cli.bootstrap.changes import Change, IdRef, Json, field_diff, field_diffs
from mcp_idp.cli.bootstrap.keycloak.resources.protocol_mappers import (
    audience_mapper,
    claim_mapper,
    mapper_changes,
    roles_mapper,
)
from mcp_idp.cli.bootstrap.keycloak.state.managed import MARKER, is_managed
from mcp_idp.cli.bootstrap.keycloak.state.roles import ScopeRoleBinding

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from mcp_idp.access.policy import AccessPolicy
    from mcp_idp.cli.bootstrap.changes import Method
    from mcp_idp.cli.bootstrap.keycloak.lookups import Object
    from mcp_idp.cli.bootstrap.keycloak.state.current import CurrentState
    from mcp_idp.cli.bootstrap.keycloak.state.ownership import Ownership

OFFLINE_ACCESS = "offline_access"
ADVERTISED = "include.in.openid.provider.metadata"
_DEFAULT = frozenset({"basic"})  # adds `sub` since Keycloak 25; without it a token identifies no user


def optional_scopes(access: AccessPolicy) -> tuple[str, ...]:
    """Returns the names of the scopes that every client may request: those of the access file and `offline_access`."""
    return (*access.scopes, OFFLINE_ACCESS)


def scope_changes(access: AccessPolicy, resource: str, actual: CurrentState) -> Iterator[Change]:
    """Yields the changes to the client scopes of the access file: the scopes, their mappers and their role bindings.

    Scopes of an upstream have its audience and are in no default or optional list of the realm, so only the MCP
    server's own client can request them.

    Args:
        access: the access file.
        resource: the audience of the access file's own scopes, and the owner of all.
        actual: the current state.
    """
    for name, scope in access.scopes.items():
        user_mappers = [roles_mapper(access.roles_claim), *map(claim_mapper, access.claims)]
        mappers = user_mappers if name == access.base_scope else []
        yield from _scope_changes(_scope(name, scope.description, resource), resource, mappers, scope.roles, actual)
    for audience, upstream in access.upstreams.items():
        for name, there in upstream.scopes.items():
            desired = _scope(name, there.description, resource, advertised="false")
            yield from _scope_changes(desired, audience, [], there.roles, actual)


def scope_removals(access: AccessPolicy, ownership: Ownership, actual: CurrentState) -> Iterator[Change]:
    """Yields the removal of the resource's scopes that are no longer in the access file.

    Keycloak removes a deleted scope from all clients (seen on 26.7.5).
    """
    for name, found in actual.scopes.items():
        if name not in access.roles_by_scope and ownership.is_ours("scopes", name, found):
            what = "remove, it is no longer in the access file"
            yield Change(f"scope {name}", what, "DELETE", ("client-scopes", found["id"]), action="remove")


def advertising_changes(access: AccessPolicy, actual: CurrentState) -> Iterator[Change]:
    """Yields the changes that remove Keycloak's built-in scopes from `scopes_supported` (RFC 8414 section 2).

    A client that finds `offline_access` there requests it without having registered it, and fails. A client that
    registers all advertised scopes is rejected, because the registration policy allows only those of the access file.
    """
    for name, found in actual.scopes.items():
        if name in access.scopes or found.get("protocol") != "openid-connect" or is_managed(found):
            continue
        attributes = found.get("attributes") or {}
        if attributes.get(ADVERTISED) != "false":
            body = {**_without_mappers(found), "attributes": {**attributes, ADVERTISED: "false"}}
            fields = (field_diff(f"attributes.{ADVERTISED}", attributes.get(ADVERTISED), "false"),)
            path = ("client-scopes", found["id"])
            yield Change(f"scope {name}", "do not advertise", "PUT", path, body, fields=fields)


def default_scope_list_changes(access: AccessPolicy, ownership: Ownership, actual: CurrentState) -> Iterator[Change]:
    """Yields the changes to the realm's scope lists for new clients.

    New clients get `basic` and, while the realm has one resource, the base scope as default scopes; the other scopes of
    all resources and `offline_access` as optional scopes.

    Args:
        access: the access file.
        ownership: the other resources and their scopes.
        actual: the current state.
    """
    base = "" if has_other_resources(access, ownership, actual) else access.base_scope
    yield from scope_list_changes({*access.scopes, *scopes_of_others(ownership, actual)}, base, actual)


def scopes_of_others(ownership: Ownership, actual: CurrentState) -> frozenset[str]:
    """Returns the scopes of the other resources that new clients may request already.

    A scope is recorded before it exists, and exists before it is bound to roles. So each resource lists its own scopes
    only, and keeps those that the others listed.
    """
    recorded = frozenset().union(*(record.scopes for record in ownership.others.values()))
    return recorded & (actual.default_scopes | actual.optional_scopes)


def scope_list_changes(scopes: Collection[str], base: str, actual: CurrentState) -> Iterator[Change]:
    """Yields the changes that leave the realm's lists for new clients with these scopes and Keycloak's own two.

    Args:
        scopes: names of the scopes that new clients may request.
        base: the one of them that new clients get by default; empty for none.
        actual: the current state.
    """
    default = _DEFAULT | ({base} if base else frozenset())
    optional = frozenset({*scopes, OFFLINE_ACCESS}) - default
    # A scope cannot be in both lists, so remove first.
    yield from _remove_from("default", actual.default_scopes - default)
    yield from _remove_from("optional", actual.optional_scopes - optional)
    yield from _add_to("default", default - actual.default_scopes)
    yield from _add_to("optional", optional - actual.optional_scopes)


def base_scope_changes(actual: CurrentState) -> Iterator[Change]:
    """Yields the changes that make base scopes optional for the existing clients that have one as a default scope."""
    for holder in actual.default_holders:
        for name in holder.scopes:
            scope = IdRef("client-scope", name)
            steps: tuple[tuple[Method, str], ...] = (("DELETE", "default"), ("PUT", "optional"))
            for method, kind in steps:
                path = ("clients", holder.id, f"{kind}-client-scopes", scope)
                what = f"{'add' if method == 'PUT' else 'remove'} {name} ({kind})"
                fields = (field_diff("default scopes", name, None),)
                batch = "base scopes become optional for existing clients"
                yield Change(f"client {holder.client_id}", what, method, path, {}, fields=fields, batch=batch)


def has_other_resources(access: AccessPolicy, ownership: Ownership, actual: CurrentState) -> bool:
    """Whether the realm has a resource that is neither ours nor an upstream's.

    That is one with a record, or the audience or owner of any client scope. Our own scopes that the access file no
    longer has do not count: the same apply removes them.
    """
    if ownership.others or any(ownership.marked_owner("scopes", name, found) for name, found in actual.scopes.items()):
        return True
    known = {ownership.resource, *access.upstreams}
    configs = [
        mapper.get("config") or {}
        for name, found in actual.scopes.items()
        if name not in access.roles_by_scope and not is_managed(found)
        for mapper in found.get("protocolMappers") or []
    ]
    named = {config.get(f"included.{kind}.audience") for config in configs for kind in ("custom", "client")}
    return bool(named - known - {None, ""})


def _scope(name: str, description: str, owner: str, *, advertised: str = "true") -> Json:
    return {
        "name": name,
        "description": description,
        "protocol": "openid-connect",
        "attributes": {
            "include.in.token.scope": "true",  # otherwise the token has the audience but not the scope
            "display.on.consent.screen": "true",
            "consent.screen.text": description,
            ADVERTISED: advertised,
            MARKER: owner,
        },
    }


def _scope_changes(
    desired: Json, audience: str, further_mappers: list[Json], roles: tuple[str, ...], actual: CurrentState
) -> Iterator[Change]:
    name, mappers = str(desired["name"]), [audience_mapper(audience), *further_mappers]
    found = actual.scopes.get(name)
    if found is None:
        body = {**desired, "protocolMappers": mappers}
        what = f"create, with the audience {audience}"
        yield Change(f"scope {name}", what, "POST", ("client-scopes",), body, action="create")
    else:
        yield from _attribute_changes(name, desired, found)
        yield from mapper_changes(f"scope {name}", ("client-scopes", found["id"]), mappers, found)
    binding = actual.bindings.get(name, ScopeRoleBinding())
    yield from _role_changes(name, roles, binding.realm)
    yield from _client_role_removals(name, binding)


def _attribute_changes(name: str, representation: Json, found: Object) -> Iterator[Change]:
    if fields := field_diffs(representation, found):
        what = f"set {', '.join(field.name for field in fields)}"
        yield Change(f"scope {name}", what, "PUT", ("client-scopes", found["id"]), representation, fields=fields)


def _role_changes(name: str, desired: tuple[str, ...], bound: frozenset[str]) -> Iterator[Change]:
    path: tuple[str | IdRef, ...] = ("client-scopes", IdRef("client-scope", name), "scope-mappings", "realm")
    # Add first: a scope that is bound to no role would be granted to every account in between.
    steps: tuple[tuple[Method, frozenset[str], str], ...] = (
        ("POST", frozenset(desired) - bound, "bind to"),
        ("DELETE", bound - frozenset(desired), "unbind"),
    )
    for method, roles, action in steps:
        if roles:
            body = [{"id": IdRef("role", role), "name": role} for role in sorted(roles)]
            fields = (field_diff("roles", sorted(bound), sorted(desired)),)
            yield Change(f"scope {name}", f"{action} {', '.join(sorted(roles))}", method, path, body, fields=fields)


def _client_role_removals(name: str, binding: ScopeRoleBinding) -> Iterator[Change]:
    """Yields the changes that unbind client roles.

    The access file has realm roles only; some client roles, such as `view-profile` of the account console, belong to
    every user.
    """
    for client, found in binding.clients.items():
        roles = [{"id": role["id"], "name": role["name"]} for role in found["mappings"]]
        names = sorted(role["name"] for role in found["mappings"])
        path = ("client-scopes", IdRef("client-scope", name), "scope-mappings", "clients", found["id"])
        fields = (field_diff(f"roles of {client}", names, None),)
        what = f"unbind {', '.join(names)} of {client}"
        yield Change(f"scope {name}", what, "DELETE", path, roles, fields=fields)


def _remove_from(which: str, names: frozenset[str]) -> Iterator[Change]:
    for name in sorted(names):
        path = (f"default-{which}-client-scopes", IdRef("client-scope", name))
        fields = (field_diff(f"{which} scopes of new clients", name, None),)
        yield Change("realm", f"new clients no longer get {name} ({which})", "DELETE", path, fields=fields)


def _add_to(which: str, names: frozenset[str]) -> Iterator[Change]:
    for name in sorted(names):
        path = (f"default-{which}-client-scopes", IdRef("client-scope", name))
        fields = (field_diff(f"{which} scopes of new clients", None, name),)
        yield Change("realm", f"new clients get {name} ({which})", "PUT", path, {}, fields=fields)


def _without_mappers(found: Object) -> Object:
    return {name: value for name, value in found.items() if name != "protocolMappers"}
