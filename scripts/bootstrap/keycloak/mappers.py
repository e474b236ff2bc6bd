"""The mappers of our client scopes: what a login writes into the access token, and into nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from scripts.bootstrap.plan import Json


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


def _mapper(name: str, kind: str, config: dict[str, str]) -> Json:
    common = {
        "access.token.claim": "true",
        "id.token.claim": "false",
        "introspection.token.claim": "true",
        "lightweight.claim": "false",
    }
    return {"name": name, "protocol": "openid-connect", "protocolMapper": kind, "config": {**common, **config}}
