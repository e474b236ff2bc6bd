"""The clients we own: the resource itself, for introspection, and the public clients of the access file."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scripts.bootstrap.keycloak.scopes import optional_scopes
from scripts.bootstrap.plan import Change, Json, Ref, differing

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mcp_server.access import Access
    from mcp_server.access_parts import Client
    from scripts.bootstrap.keycloak.actual import Actual, Object

# Whatever a client could use to get a token, off; each client switches on what it is for.
_NO_FLOWS: Json = {
    "standardFlowEnabled": False,
    "implicitFlowEnabled": False,
    "directAccessGrantsEnabled": False,
    "serviceAccountsEnabled": False,
    "fullScopeAllowed": False,  # true would put every role of the person into the token
}
_LISTS = {"default": "defaultClientScopes", "optional": "optionalClientScopes"}


def client_changes(access: Access, resource: str, secret: str | None, actual: Actual) -> Iterator[Change]:
    """What our clients lack. Clients that registered themselves, and everybody else's, are not looked at."""
    yield from _client_changes(_resource_client(access, resource, secret), actual)
    for client_id, client in access.clients.items():
        yield from _client_changes(_public_client(access, client_id, client), actual)


def _resource_client(access: Access, resource: str, secret: str | None) -> Json:
    """The resource server at the introspection endpoint (RFC 7662 section 2.1).

    Its id is the resource's URL because Keycloak 26.7.5 calls a token active only to a client that its `aud` names, and
    because that is what the experimental feature `resource-indicators` looks for (RFC 8707), should it be switched on.
    """
    client: Json = {
        "clientId": resource,
        "name": access.resource.name,
        "description": "The MCP server itself: asks whether tokens are still good, gets none",
        "enabled": True,
        "protocol": "openid-connect",
        "publicClient": False,
        "clientAuthenticatorType": "client-secret",
        **_NO_FLOWS,
        "redirectUris": [],
        "webOrigins": [],
        "attributes": {"resource_url": resource},
        "defaultClientScopes": [],
        "optionalClientScopes": [],
    }
    return {**client, "secret": secret} if secret else client


def _public_client(access: Access, client_id: str, client: Client) -> Json:
    return {
        "clientId": client_id,
        "name": client.name,
        "enabled": True,
        "protocol": "openid-connect",
        "publicClient": True,
        **_NO_FLOWS,
        "standardFlowEnabled": True,
        # Anybody's program can use a public client's id: the person is asked.
        "consentRequired": True,
        "redirectUris": list(client.redirect_uris),
        "webOrigins": [],
        "attributes": {"pkce.code.challenge.method": "S256"},
        "defaultClientScopes": ["basic"],
        "optionalClientScopes": list(optional_scopes(access)),
    }


def _client_changes(wanted: Json, actual: Actual) -> Iterator[Change]:
    client_id = str(wanted["clientId"])
    found = actual.clients.get(client_id)
    if found is None:
        yield Change(f"client {client_id}: create", "POST", ("clients",), wanted)
        return
    lists = set(_LISTS.values())
    body = {name: value for name, value in wanted.items() if name not in lists}
    if changed := differing(body, found):
        text = f"client {client_id}: set {', '.join(changed)}"
        # The whole of it: with redirect URIs alone Keycloak would make up web origins from them.
        yield Change(text, "PUT", ("clients", found["id"]), body)
    yield from _list_changes(wanted, found)


def _list_changes(wanted: Json, found: Object) -> Iterator[Change]:
    """Scope lists are written one by one: Keycloak ignores them in the client itself once it exists."""
    for kind, member in _LISTS.items():
        names, there = set(_texts(wanted[member])), set(found.get(member) or [])
        path = ("clients", str(found["id"]), f"{kind}-client-scopes")
        for name in sorted(there - names):
            text = f"client {wanted['clientId']}: take away {name} ({kind})"
            yield Change(text, "DELETE", (*path, Ref("client-scope", name)))
        for name in sorted(names - there):
            text = f"client {wanted['clientId']}: give {name} ({kind})"
            yield Change(text, "PUT", (*path, Ref("client-scope", name)), {})


def _texts(value: object) -> list[str]:
    return [str(part) for part in value] if isinstance(value, list) else []
