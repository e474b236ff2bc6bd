"""What every client of ours is, and nothing besides: the changes that make one so, whatever was done to it by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scripts.bootstrap.keycloak.mappers import mapper_changes
from scripts.bootstrap.plan import Change, Json, Ref, field_of, fields_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from scripts.bootstrap.keycloak.actual import Actual, Object

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
    attributes = dict.fromkeys(_extra_attributes(found), "") | _map(wanted.get("attributes"))
    return {**wanted, **too_much, "authenticationFlowBindingOverrides": logins, "attributes": attributes}


def _extra_attributes(found: Object) -> Iterator[str]:
    there = _map(found.get("attributes"))
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


def _map(value: object) -> Json:
    return dict(value) if isinstance(value, dict) else {}
