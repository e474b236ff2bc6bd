"""Mappers: what a login writes into the access token. Our client scopes have some, our clients none of their own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mcp_idp.cli.bootstrap.changes import Change, field_diffs

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mcp_idp.cli.bootstrap.changes import Json
    from mcp_idp.cli.bootstrap.keycloak.lookups import Object


def audience_mapper(resource: str) -> Json:
    """Puts the resource's URL, byte for byte, into `aud` of access tokens and of nothing else (RFC 9068 section 3)."""
    return _mapper(
        "resource audience",
        "oidc-audience-mapper",
        {"included.custom.audience": resource, "userinfo.token.claim": "false"},
    )


def roles_mapper(claim: str) -> Json:
    """Lists the person's roles, so that the server can tell "could obtain" from "never".

    Only roles bound to a requested scope are listed (the client has no full scope), hence all of ours are bound to the
    base scope.
    """
    return _mapper(
        "roles for this resource",
        "oidc-usermodel-realm-role-mapper",
        {"claim.name": claim, "multivalued": "true", "jsonType.label": "String", "userinfo.token.claim": "false"},
    )


def claim_mapper(name: str) -> Json:
    """Writes a claim that tools may read: the person's attribute of that name."""
    claim = name.replace(".", "\\.")  # else each dot would open an object
    config = {"user.attribute": name, "claim.name": claim, "jsonType.label": "String", "userinfo.token.claim": "false"}
    return _mapper(f"claim {name}", "oidc-usermodel-attribute-mapper", config)


def mapper_changes(owner: str, path: tuple[str, ...], desired: list[Json], found: Object) -> Iterator[Change]:
    """Ours are put right; others are removed: whatever else stands there would be in every token that it makes.

    Args:
        owner: the client or scope, for people.
        path: where it is.
        desired: its mappers.
        found: it, as it is.
    """
    path = (*path, "protocol-mappers", "models")
    there = {mapper["name"]: mapper for mapper in found.get("protocolMappers") or []}
    for mapper in desired:
        about = f"mapper '{mapper['name']}' of {owner}"
        old = there.pop(mapper["name"], None)
        if old is None:
            yield Change(about, "create", "POST", path, mapper, action="create")
        elif fields := field_diffs(mapper, old):
            body = {**mapper, "id": old["id"]}
            yield Change(about, "correct", "PUT", (*path, old["id"]), body, fields=fields)
    for old in there.values():
        about = f"mapper '{old['name']}' of {owner}"
        what = f"remove, it is not managed here ({old.get('protocolMapper')})"
        yield Change(about, what, "DELETE", (*path, old["id"]), action="remove")


def _mapper(name: str, kind: str, config: dict[str, str]) -> Json:
    common = {
        "access.token.claim": "true",
        "id.token.claim": "false",
        "introspection.token.claim": "true",
        "lightweight.claim": "false",
    }
    return {"name": name, "protocol": "openid-connect", "protocolMapper": kind, "config": {**common, **config}}
