"""Client scopes: what a login may bring. Each carries the audience, is bound to its roles, and is optional for clients.

The binding to roles is what keeps scope and audience from everybody who was given no role, clients that registered
themselves included (Keycloak 26.7.5: a person or service account without one of the bound roles gets a token with
neither). So it is written before any client can be given the scope.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mcp_idp.cli.bootstrap.changes import Change, Json, Ref, field_of, fields_of
from mcp_idp.cli.bootstrap.keycloak.resources.protocol_mappers import (
    audience_mapper,
    claim_mapper,
    mapper_changes,
    roles_mapper,
)
from mcp_idp.cli.bootstrap.keycloak.state.managed import MARK, is_marked
from mcp_idp.cli.bootstrap.keycloak.state.roles import Binding

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mcp_idp.access.policy import Access
    from mcp_idp.cli.bootstrap.changes import Method
    from mcp_idp.cli.bootstrap.keycloak.lookups import Object
    from mcp_idp.cli.bootstrap.keycloak.state.current import Actual

OFFLINE_ACCESS = "offline_access"
ADVERTISED = "include.in.openid.provider.metadata"
_DEFAULT = frozenset({"basic"})  # carries `sub` since Keycloak 25: a token without it names nobody


def optional_scopes(access: Access) -> tuple[str, ...]:
    """What every client may ask for."""
    return (*access.scopes, OFFLINE_ACCESS)


def scope_changes(access: Access, resource: str, actual: Actual) -> Iterator[Change]:
    """What the client scopes of the access file lack: the scopes, their mappers, their roles.

    Those of an upstream carry its audience and are in no list of the realm: only our own client can ask for them.
    """
    for name, scope in access.scopes.items():
        of_the_person = [roles_mapper(access.roles_claim), *map(claim_mapper, access.claims)]
        mappers = of_the_person if name == access.base_scope else []
        yield from _scope_changes(_scope(name, scope.description), resource, mappers, scope.roles, actual)
    for audience, upstream in access.upstreams.items():
        for name, there in upstream.scopes.items():
            wanted = _scope(name, there.description, advertised="false")
            yield from _scope_changes(wanted, audience, [], there.roles, actual)


def scope_removals(access: Access, actual: Actual) -> Iterator[Change]:
    """Scopes that we made or took over and that the access file no longer has. Clients lose them (seen on 26.7.5)."""
    for name, found in actual.scopes.items():
        if name not in access.brought_by and is_marked(found):
            what = "remove, it is no longer in the access file"
            yield Change(f"scope {name}", what, "DELETE", ("client-scopes", found["id"]), action="remove")


def advertising_changes(access: Access, actual: Actual) -> Iterator[Change]:
    """Take Keycloak's own scopes out of `scopes_supported` (RFC 8414 section 2).

    A client that finds `offline_access` there asks for it, although it did not register it, and fails; one that
    registers all it finds is refused, because the registration policy allows ours only.
    """
    for name, found in actual.scopes.items():
        if name in access.scopes or found.get("protocol") != "openid-connect" or is_marked(found):
            continue
        attributes = found.get("attributes") or {}
        if attributes.get(ADVERTISED) != "false":
            body = {**_without_mappers(found), "attributes": {**attributes, ADVERTISED: "false"}}
            fields = (field_of(f"attributes.{ADVERTISED}", attributes.get(ADVERTISED), "false"),)
            path = ("client-scopes", found["id"])
            yield Change(f"scope {name}", "do not advertise", "PUT", path, body, fields=fields)


def list_changes(access: Access, actual: Actual) -> Iterator[Change]:
    """What new clients get: `basic` always, ours and `offline_access` on request, nothing else."""
    optional = frozenset(optional_scopes(access))
    # A scope cannot be in both lists, so leaving comes before joining.
    yield from _leave("default", actual.default_scopes - _DEFAULT)
    yield from _leave("optional", actual.optional_scopes - optional)
    yield from _join("default", _DEFAULT - actual.default_scopes)
    yield from _join("optional", optional - actual.optional_scopes)


def _scope(name: str, description: str, *, advertised: str = "true") -> Json:
    return {
        "name": name,
        "description": description,
        "protocol": "openid-connect",
        "attributes": {
            "include.in.token.scope": "true",  # else the token has the audience and not the scope
            "display.on.consent.screen": "true",
            "consent.screen.text": description,
            ADVERTISED: advertised,
            **MARK,
        },
    }


def _scope_changes(
    wanted: Json, audience: str, others: list[Json], roles: tuple[str, ...], actual: Actual
) -> Iterator[Change]:
    name, mappers = str(wanted["name"]), [audience_mapper(audience), *others]
    found = actual.scopes.get(name)
    if found is None:
        body = {**wanted, "protocolMappers": mappers}
        what = f"create, with the audience {audience}"
        yield Change(f"scope {name}", what, "POST", ("client-scopes",), body, action="create")
    else:
        yield from _attribute_changes(name, wanted, found)
        yield from mapper_changes(f"scope {name}", ("client-scopes", found["id"]), mappers, found)
    binding = actual.bindings.get(name, Binding())
    yield from _role_changes(name, roles, binding.realm)
    yield from _client_role_removals(name, binding)


def _attribute_changes(name: str, representation: Json, found: Object) -> Iterator[Change]:
    if fields := fields_of(representation, found):
        what = f"set {', '.join(field.name for field in fields)}"
        yield Change(f"scope {name}", what, "PUT", ("client-scopes", found["id"]), representation, fields=fields)


def _role_changes(name: str, wanted: tuple[str, ...], bound: frozenset[str]) -> Iterator[Change]:
    path: tuple[str | Ref, ...] = ("client-scopes", Ref("client-scope", name), "scope-mappings", "realm")
    # Add first: a scope that is bound to no role at all would be everybody's in between.
    steps: tuple[tuple[Method, frozenset[str], str], ...] = (
        ("POST", frozenset(wanted) - bound, "bind to"),
        ("DELETE", bound - frozenset(wanted), "unbind"),
    )
    for method, roles, verb in steps:
        if roles:
            body = [{"id": Ref("role", role), "name": role} for role in sorted(roles)]
            fields = (field_of("roles", sorted(bound), sorted(wanted)),)
            yield Change(f"scope {name}", f"{verb} {', '.join(sorted(roles))}", method, path, body, fields=fields)


def _client_role_removals(name: str, binding: Binding) -> Iterator[Change]:
    """Roles of clients are not the access file's: `view-profile` of the account pages, for one, is everybody's."""
    for client, found in binding.clients.items():
        roles = [{"id": role["id"], "name": role["name"]} for role in found["mappings"]]
        names = sorted(role["name"] for role in found["mappings"])
        path = ("client-scopes", Ref("client-scope", name), "scope-mappings", "clients", found["id"])
        fields = (field_of(f"roles of {client}", names, None),)
        what = f"unbind {', '.join(names)} of {client}"
        yield Change(f"scope {name}", what, "DELETE", path, roles, fields=fields)


def _leave(which: str, names: frozenset[str]) -> Iterator[Change]:
    for name in sorted(names):
        path = (f"default-{which}-client-scopes", Ref("client-scope", name))
        fields = (field_of(f"{which} scopes of new clients", name, None),)
        yield Change("realm", f"new clients no longer get {name} ({which})", "DELETE", path, fields=fields)


def _join(which: str, names: frozenset[str]) -> Iterator[Change]:
    for name in sorted(names):
        path = (f"default-{which}-client-scopes", Ref("client-scope", name))
        fields = (field_of(f"{which} scopes of new clients", None, name),)
        yield Change("realm", f"new clients get {name} ({which})", "PUT", path, {}, fields=fields)


def _without_mappers(found: Object) -> Object:
    return {name: value for name, value in found.items() if name != "protocolMappers"}
