"""Protocol mappers, which add claims to access tokens: managed client scopes have some, managed clients have none."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mcp_idp.cli.bootstrap.changes import Change, field_diffs
from mcp_idp.cli.bootstrap.keycloak.state.ownership import ROLES_MAPPER

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mcp_idp.cli.bootstrap.changes import Json
    from mcp_idp.cli.bootstrap.keycloak.lookups import Object


def audience_mapper(resource: str) -> Json:
    """Builds the mapper that adds the resource's URL to `aud` of access tokens only (RFC 9068 section 3).

    Args:
        resource: the audience, which is added byte for byte.
    """
    return _mapper(
        "resource audience",
        "oidc-audience-mapper",
        {"included.custom.audience": resource, "userinfo.token.claim": "false"},
    )


def roles_mapper(claim: str) -> Json:
    """Builds the mapper that lists the user's roles, by which the server tells a grantable scope from one that is not.

    It lists only roles bound to a requested scope, because clients do not have full scope. All roles of the access file
    are therefore bound to the base scope.

    Args:
        claim: the name of the claim.
    """
    return _mapper(
        ROLES_MAPPER,
        "oidc-usermodel-realm-role-mapper",
        {"claim.name": claim, "multivalued": "true", "jsonType.label": "String", "userinfo.token.claim": "false"},
    )


def claim_mapper(name: str) -> Json:
    """Builds the mapper that adds a claim for tools to read, from the user attribute of the same name.

    Args:
        name: the name of the claim and of the attribute.
    """
    claim = name.replace(".", "\\.")  # an unescaped dot would create a nested object
    config = {"user.attribute": name, "claim.name": claim, "jsonType.label": "String", "userinfo.token.claim": "false"}
    return _mapper(f"claim {name}", "oidc-usermodel-attribute-mapper", config)


def mapper_changes(owner: str, path: tuple[str, ...], desired: list[Json], found: Object) -> Iterator[Change]:
    """Yields the changes that leave a client or scope with exactly the desired mappers.

    Unmanaged mappers are removed, because they would affect every token of the client or with the scope.

    Args:
        owner: label of the client or scope for output.
        path: path of the client or scope below the realm.
        desired: the mapper representations that it must have.
        found: its current representation.
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
