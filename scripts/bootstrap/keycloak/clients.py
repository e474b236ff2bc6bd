"""The clients we own: the resource itself, the access file's public clients, and the APIs it names as upstreams."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scripts.bootstrap.keycloak.client_shape import NO_FLOWS, changes_of_client
from scripts.bootstrap.keycloak.ledger import MARK, is_marked
from scripts.bootstrap.keycloak.scopes import optional_scopes
from scripts.bootstrap.keycloak.upstreams import RESOURCE_URL, SWITCH
from scripts.bootstrap.plan import Change, Json

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mcp_server.access import Access
    from mcp_server.access_parts import Client
    from mcp_server.upstreams import Upstream
    from scripts.bootstrap.keycloak.actual import Actual
    from scripts.bootstrap.keycloak.credentials import Credentials


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
