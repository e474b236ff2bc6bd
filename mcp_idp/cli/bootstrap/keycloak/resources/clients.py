"""The clients we own: the resource itself, the access file's public clients, and the APIs it names as upstreams.

What every client of ours is, and nothing besides: the changes that make one so, whatever was done to it by hand.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mcp_idp.cli.bootstrap.changes import Change, Json, Ref, field_of, fields_of
from mcp_idp.cli.bootstrap.keycloak.resources.client_scopes import optional_scopes
from mcp_idp.cli.bootstrap.keycloak.resources.protocol_mappers import mapper_changes
from mcp_idp.cli.bootstrap.keycloak.resources.token_exchange import RESOURCE_URL, SWITCH
from mcp_idp.cli.bootstrap.keycloak.state.managed import MARK, is_marked

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mcp_idp.access.models import Client, Upstream
    from mcp_idp.access.policy import Access
    from mcp_idp.cli.bootstrap.keycloak.client_credentials import Credentials
    from mcp_idp.cli.bootstrap.keycloak.lookups import Object
    from mcp_idp.cli.bootstrap.keycloak.state.current import Actual

# Whatever a client could use to get a token, off; each client switches on what it is for.
NO_FLOWS: Json = {
    "standardFlowEnabled": False,
    "implicitFlowEnabled": False,
    "directAccessGrantsEnabled": False,
    "serviceAccountsEnabled": False,
    "fullScopeAllowed": False,  # true would put every role of the person into the token
}
_LISTS = {"default": "defaultClientScopes", "optional": "optionalClientScopes"}

# What a client of ours has only if we wrote it. Keycloak and its console write many an attribute by themselves, so what
# shall not be is named, and not what may be.
_NO_MEMBERS: Json = {
    "adminUrl": "",
    "authorizationServicesEnabled": False,
    "baseUrl": "",
    "bearerOnly": False,
    "frontchannelLogout": False,
    "rootUrl": "",
}
_NO_ATTRIBUTES = (
    "access.token.lifespan",
    "access.token.signed.response.alg",
    "backchannel.logout.url",
    "client.offline.session.idle.timeout",
    "client.offline.session.max.lifespan",
    "client.session.idle.timeout",
    "client.session.max.lifespan",
    "external.token.idp",
    "frontchannel.logout.url",
    "id.token.signed.response.alg",
    "oauth2.jwt.authorization.grant.idp",
    "request.uris",
)
_NOT_TRUE = (
    "allow.oidc.params.in.redirect.uris",
    "allow.token.introspection.without.audience.check",
    "client.use.lightweight.access.token.enabled",
    "client_credentials.use_refresh_token",
    "exclude.issuer.from.auth.response",
    "external.token.enabled",
    "oauth2.device.authorization.grant.enabled",
    "oauth2.jwt.authorization.grant.enabled",
    "oidc.ciba.grant.enabled",
    "standard.token.exchange.enabled",
)
_LOGOUT_PAGES = "post.logout.redirect.uris"
_AS_LOGINS = "+"  # the console writes it; what a login may go back to, a logout may


def changes_of_client(wanted: Json, actual: Actual) -> Iterator[Change]:
    """What the client lacks that shall be as `wanted` says, its scope lists included, and what it has too much."""
    client_id = str(wanted["clientId"])
    found = actual.clients.get(client_id)
    if found is None:
        yield Change(f"client {client_id}", "create", "POST", ("clients",), wanted, action="create")
        return
    lists = set(_LISTS.values())
    body = _and_nothing_besides({name: value for name, value in wanted.items() if name not in lists}, found)
    yield from mapper_changes(f"client {client_id}", ("clients", found["id"]), [], found)
    if fields := fields_of(body, found):
        what = f"set {', '.join(field.name for field in fields)}"
        # The whole of it: with redirect URIs alone Keycloak would make up web origins from them.
        yield Change(f"client {client_id}", what, "PUT", ("clients", found["id"]), body, fields=fields)
    yield from _list_changes(wanted, found)


def _and_nothing_besides(wanted: Json, found: Object) -> Json:
    """`wanted`, and empty what `found` has too much: tokens of its own length, flows and logins of its own."""
    too_much = {name: value for name, value in _NO_MEMBERS.items() if found.get(name) and name not in wanted}
    logins = dict.fromkeys(found.get("authenticationFlowBindingOverrides") or {}, "")
    attributes = dict.fromkeys(_extra_attributes(found), "") | _map_client_shape(wanted.get("attributes"))
    return {**wanted, **too_much, "authenticationFlowBindingOverrides": logins, "attributes": attributes}


def _extra_attributes(found: Object) -> Iterator[str]:
    there = _map_client_shape(found.get("attributes"))
    yield from (name for name in _NO_ATTRIBUTES if there.get(name))
    yield from (name for name in _NOT_TRUE if there.get(name) == "true")
    if there.get(_LOGOUT_PAGES, _AS_LOGINS) not in {"", _AS_LOGINS}:
        yield _LOGOUT_PAGES


def _list_changes(wanted: Json, found: Object) -> Iterator[Change]:
    """Scope lists are written one by one: Keycloak ignores them in the client itself once it exists."""
    for kind, member in _LISTS.items():
        names, there = set(_texts(wanted[member])), set(found.get(member) or [])
        path, about = ("clients", str(found["id"]), f"{kind}-client-scopes"), f"client {wanted['clientId']}"
        fields = (field_of(member, sorted(there), sorted(names)),)
        for name in sorted(there - names):
            what = f"take away {name} ({kind})"
            yield Change(about, what, "DELETE", (*path, Ref("client-scope", name)), fields=fields)
        for name in sorted(names - there):
            what = f"give {name} ({kind})"
            yield Change(about, what, "PUT", (*path, Ref("client-scope", name)), {}, fields=fields)


def _texts(value: object) -> list[str]:
    return [str(part) for part in value] if isinstance(value, list) else []


def _map_client_shape(value: object) -> Json:
    return dict(value) if isinstance(value, dict) else {}


def client_changes(access: Access, resource: str, credentials: Credentials, actual: Actual) -> Iterator[Change]:
    """What our clients lack. Clients that registered themselves, and everybody else's, are not looked at."""
    yield from changes_of_client(_resource_client(access, resource, credentials), actual)
    for client_id, client in access.clients.items():
        yield from changes_of_client(_public_client(access, client_id, client), actual)
    for audience, upstream in access.upstreams.items():
        found = actual.clients.get(audience)
        if found is None or is_marked(found):  # an API that has a client already keeps it as it is
            yield from changes_of_client(_upstream_client(audience, upstream), actual)


def taking_over(access: Access, resource: str, actual: Actual) -> Iterator[Change]:
    """Whoever registered a client that is ours from now on has a token to read its secret and to change it (RFC 7592).

    Keycloak makes a new token, which nobody is told, and the old one counts no more (seen on 26.7.5). It is done before
    the record, so that an apply that breaks off does it again.
    """
    upstreams = [name for name in access.upstreams if is_marked(actual.clients.get(name, {}))]
    for client_id in (resource, *access.clients, *upstreams):
        found = actual.clients.get(client_id)
        if found is not None and client_id not in actual.ledger.clients:
            path = ("clients", str(found["id"]), "registration-access-token")
            what = "take over, no registration token that somebody has for it counts any more"
            yield Change(f"client {client_id}", what, "POST", path)


def our_clients(access: Access, resource: str) -> tuple[str, ...]:
    """The ids of all clients that are ours."""
    return (resource, *access.clients, *access.machine_clients, *access.upstreams)


def client_removals(access: Access, resource: str, actual: Actual) -> Iterator[Change]:
    """Clients that we made or took over and that are no longer wanted: dropped ones, and the resource's old address."""
    for name in sorted(actual.ledger.clients.difference(our_clients(access, resource))):
        found = actual.clients.get(name)
        if found is not None and is_marked(found):
            what = "remove, neither the access file nor MCP_PUBLIC_URL names it any more"
            yield Change(f"client {name}", what, "DELETE", ("clients", found["id"]), action="remove")


def _resource_client(access: Access, resource: str, credentials: Credentials) -> Json:
    """The resource server at the introspection endpoint (RFC 7662 section 2.1).

    Its id is the resource's URL because Keycloak 26.7.5 calls a token active only to a client that its `aud` names, and
    because that is what the experimental feature `resource-indicators` looks for (RFC 8707), should it be switched on.
    """
    known = credentials.members
    attributes = known.pop("attributes")
    does = "gets tokens for its upstreams only" if access.upstreams else "gets none"
    return {
        "clientId": resource,
        "name": access.resource.name,
        "description": f"The MCP server itself: asks whether tokens are still good, {does}",
        "enabled": True,
        "protocol": "openid-connect",
        "publicClient": False,
        **known,
        **NO_FLOWS,
        "redirectUris": [],
        "webOrigins": [],
        "attributes": {
            RESOURCE_URL: resource,
            SWITCH: "true" if access.upstreams else "",
            **_map(attributes),
            **MARK,
        },
        "defaultClientScopes": ["basic"] if access.upstreams else [],  # `sub`, in the tokens that it gets
        "optionalClientScopes": [name for upstream in access.upstreams.values() for name in upstream.scopes],
    }


def _upstream_client(audience: str, upstream: Upstream) -> Json:
    """What Keycloak takes for an audience: a client, with which nobody can log in."""
    return {
        "clientId": audience,
        "name": upstream.name,
        "description": "An API that the MCP server calls for people",
        "enabled": True,
        "protocol": "openid-connect",
        "publicClient": False,
        **NO_FLOWS,
        "redirectUris": [],
        "webOrigins": [],
        "attributes": {**MARK},
        "defaultClientScopes": [],
        "optionalClientScopes": [],
    }


def _public_client(access: Access, client_id: str, client: Client) -> Json:
    return {
        "clientId": client_id,
        "name": client.name,
        "enabled": True,
        "protocol": "openid-connect",
        "publicClient": True,
        **NO_FLOWS,
        "standardFlowEnabled": True,
        # Anybody's program can use a public client's id: the person is asked.
        "consentRequired": True,
        "redirectUris": list(client.redirect_uris),
        "webOrigins": [],
        "attributes": {"pkce.code.challenge.method": "S256", **MARK},
        "defaultClientScopes": ["basic"],
        "optionalClientScopes": list(optional_scopes(access)),
    }


def _map(value: object) -> Json:
    return dict(value) if isinstance(value, dict) else {}
