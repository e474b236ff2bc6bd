"""Managed clients: the MCP server's own client, the access file's public clients, and the APIs of its upstreams.

A managed client is reset to its definition: members, attributes and mappers that were changed by hand are corrected.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mcp_idp.cli.bootstrap.changes import Change, IdRef, Json, field_diff, field_diffs
from mcp_idp.cli.bootstrap.keycloak.resources.client_scopes import optional_scopes
from mcp_idp.cli.bootstrap.keycloak.resources.protocol_mappers import mapper_changes
from mcp_idp.cli.bootstrap.keycloak.resources.token_exchange import TOKEN_EXCHANGE_ATTRIBUTE
from mcp_idp.cli.bootstrap.keycloak.state.managed import MARKER, is_managed
from mcp_idp.cli.bootstrap.keycloak.state.ownership import RESOURCE_URL

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mcp_idp.access.models import DownstreamApi, PublicClient
    from mcp_idp.access.policy import AccessPolicy
    from mcp_idp.cli.bootstrap.keycloak.client_authentication import ClientAuthentication
    from mcp_idp.cli.bootstrap.keycloak.lookups import Object
    from mcp_idp.cli.bootstrap.keycloak.state.current import CurrentState
    from mcp_idp.cli.bootstrap.keycloak.state.ownership import Ownership

# Everything with which a client could get a token is off; each client enables only what it needs.
ALL_FLOWS_DISABLED: Json = {
    "standardFlowEnabled": False,
    "implicitFlowEnabled": False,
    "directAccessGrantsEnabled": False,
    "serviceAccountsEnabled": False,
    "fullScopeAllowed": False,  # true would put all of the user's roles into the token
}
_LISTS = {"default": "defaultClientScopes", "optional": "optionalClientScopes"}

# Members and attributes that a managed client may have only if its definition sets them. This is a deny list, because
# Keycloak and its console add many attributes by themselves.
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
_AS_LOGINS = "+"  # written by the console: the same URIs as for logins


def client_diff(desired: Json, actual: CurrentState) -> Iterator[Change]:
    """Yields the changes that make one client match its definition.

    Args:
        desired: the client representation, with both scope lists.
        actual: the current state.
    """
    client_id = str(desired["clientId"])
    found = actual.clients.get(client_id)
    if found is None:
        yield Change(f"client {client_id}", "create", "POST", ("clients",), desired, action="create")
        return
    lists = set(_LISTS.values())
    body = _reset_unmanaged_fields({name: value for name, value in desired.items() if name not in lists}, found)
    yield from mapper_changes(f"client {client_id}", ("clients", found["id"]), [], found)
    if fields := field_diffs(body, found):
        what = f"set {', '.join(field.name for field in fields)}"
        # Send the whole representation: given redirect URIs alone, Keycloak derives web origins from them.
        yield Change(f"client {client_id}", what, "PUT", ("clients", found["id"]), body, fields=fields)
    yield from _list_changes(desired, found)


def _reset_unmanaged_fields(desired: Json, found: Object) -> Json:
    """Extends `desired` with empty values for what `found` must not have.

    These are token lifetimes, flows and login flow overrides that the definition does not set.
    """
    too_much = {name: value for name, value in _NO_MEMBERS.items() if found.get(name) and name not in desired}
    logins = dict.fromkeys(found.get("authenticationFlowBindingOverrides") or {}, "")
    attributes = dict.fromkeys(_extra_attributes(found), "") | _map_client_shape(desired.get("attributes"))
    return {**desired, **too_much, "authenticationFlowBindingOverrides": logins, "attributes": attributes}


def _extra_attributes(found: Object) -> Iterator[str]:
    there = _map_client_shape(found.get("attributes"))
    yield from (name for name in _NO_ATTRIBUTES if there.get(name))
    yield from (name for name in _NOT_TRUE if there.get(name) == "true")
    if there.get(_LOGOUT_PAGES, _AS_LOGINS) not in {"", _AS_LOGINS}:
        yield _LOGOUT_PAGES


def _list_changes(desired: Json, found: Object) -> Iterator[Change]:
    """Yields the changes to the client's scope lists, one per scope.

    Keycloak ignores the lists in the representation of an existing client.
    """
    for kind, member in _LISTS.items():
        names, there = set(_texts(desired[member])), set(found.get(member) or [])
        path, about = ("clients", str(found["id"]), f"{kind}-client-scopes"), f"client {desired['clientId']}"
        fields = (field_diff(member, sorted(there), sorted(names)),)
        for name in sorted(there - names):
            what = f"remove {name} ({kind})"
            yield Change(about, what, "DELETE", (*path, IdRef("client-scope", name)), fields=fields)
        for name in sorted(names - there):
            what = f"add {name} ({kind})"
            yield Change(about, what, "PUT", (*path, IdRef("client-scope", name)), {}, fields=fields)


def _texts(value: object) -> list[str]:
    return [str(part) for part in value] if isinstance(value, list) else []


def _map_client_shape(value: object) -> Json:
    return dict(value) if isinstance(value, dict) else {}


def client_changes(
    access: AccessPolicy, resource: str, credentials: ClientAuthentication, actual: CurrentState
) -> Iterator[Change]:
    """Yields the changes to the managed clients, except service clients; unmanaged clients are not touched.

    Args:
        access: the access file.
        resource: client id of the MCP server's own client.
        credentials: its credentials.
        actual: the current state.
    """
    yield from client_diff(_resource_client(access, resource, credentials), actual)
    for client_id, client in access.clients.items():
        yield from client_diff(_public_client(access, resource, client_id, client), actual)
    for audience, upstream in access.upstreams.items():
        found = actual.clients.get(audience)
        if found is None or is_managed(found):  # an unmanaged client of the API is left unchanged
            yield from client_diff(_api_client(audience, upstream, resource), actual)


def adopt_changes(access: AccessPolicy, ownership: Ownership, actual: CurrentState) -> Iterator[Change]:
    """Yields the changes that invalidate registration access tokens of clients that become managed.

    The registrant of such a client has a token with which to read its secret and change it (RFC 7592). Keycloak
    replaces it with a new token, which is discarded, and rejects the old one (seen on 26.7.5). This precedes the change
    of the managed state, so that an apply that fails midway repeats it.
    """
    upstreams = [name for name in access.upstreams if is_managed(actual.clients.get(name, {}))]
    for client_id in (ownership.resource, *access.clients, *upstreams):
        found = actual.clients.get(client_id)
        if found is not None and client_id not in ownership.own.clients:
            path = ("clients", str(found["id"]), "registration-access-token")
            what = "take over; existing registration tokens for it become invalid"
            yield Change(f"client {client_id}", what, "POST", path)


def managed_client_ids(access: AccessPolicy, resource: str) -> tuple[str, ...]:
    """Returns the client ids of all managed clients."""
    return (resource, *access.clients, *access.machine_clients, *access.upstreams)


def client_removals(access: AccessPolicy, ownership: Ownership, actual: CurrentState) -> Iterator[Change]:
    """Yields the removal of the resource's clients that are no longer desired.

    These are clients dropped from the access file, and the MCP server's own client under a former public URL.
    """
    for name in sorted(ownership.own.clients.difference(managed_client_ids(access, ownership.resource))):
        found = actual.clients.get(name)
        if found is not None and ownership.is_ours("clients", name, found):
            what = "remove, neither the access file nor MCP_PUBLIC_URL names it any more"
            yield Change(f"client {name}", what, "DELETE", ("clients", found["id"]), action="remove")


def _resource_client(access: AccessPolicy, resource: str, credentials: ClientAuthentication) -> Json:
    """Builds the client with which the MCP server calls the introspection endpoint (RFC 7662 section 2.1).

    Its id is the resource's URL for two reasons: Keycloak 26.7.5 reports a token as active only to a client in its
    `aud`, and the experimental feature `resource-indicators` (RFC 8707) looks for this id, should it be enabled.
    """
    known = credentials.representation
    attributes = known.pop("attributes")
    does = "gets tokens for its upstreams only" if access.upstreams else "gets none"
    return {
        "clientId": resource,
        "name": access.resource.name,
        "description": f"The MCP server itself: introspects tokens, {does}",
        "enabled": True,
        "protocol": "openid-connect",
        "publicClient": False,
        **known,
        **ALL_FLOWS_DISABLED,
        "redirectUris": [],
        "webOrigins": [],
        "attributes": {
            RESOURCE_URL: resource,
            TOKEN_EXCHANGE_ATTRIBUTE: "true" if access.upstreams else "",
            **_map(attributes),
            MARKER: resource,
        },
        "defaultClientScopes": ["basic"] if access.upstreams else [],  # adds `sub` to exchanged tokens
        "optionalClientScopes": [name for upstream in access.upstreams.values() for name in upstream.scopes],
    }


def _api_client(audience: str, upstream: DownstreamApi, owner: str) -> Json:
    """Builds the client that represents an API as an audience in Keycloak. No user can log in with it."""
    return {
        "clientId": audience,
        "name": upstream.name,
        "description": "An API that the MCP server calls on behalf of users",
        "enabled": True,
        "protocol": "openid-connect",
        "publicClient": False,
        **ALL_FLOWS_DISABLED,
        "redirectUris": [],
        "webOrigins": [],
        "attributes": {MARKER: owner},
        "defaultClientScopes": [],
        "optionalClientScopes": [],
    }


def _public_client(access: AccessPolicy, owner: str, client_id: str, client: PublicClient) -> Json:
    return {
        "clientId": client_id,
        "name": client.name,
        "enabled": True,
        "protocol": "openid-connect",
        "publicClient": True,
        **ALL_FLOWS_DISABLED,
        "standardFlowEnabled": True,
        # Any program can use a public client's id, so the user must consent.
        "consentRequired": True,
        "redirectUris": list(client.redirect_uris),
        "webOrigins": [],
        "attributes": {"pkce.code.challenge.method": "S256", MARKER: owner},
        "defaultClientScopes": ["basic"],
        "optionalClientScopes": list(optional_scopes(access)),
    }


def _map(value: object) -> Json:
    return dict(value) if isinstance(value, dict) else {}
