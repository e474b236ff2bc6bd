"""Token exchange (RFC 8693) for upstream APIs: a client profile and policy limit it to the MCP server's own client.

Anyone who registers a client can enable the grant for it (seen on 26.7.5), so it stays rejected for all other clients.
Keycloak's client policies cannot express "this request, except from that client": a condition on the grant abstains on
most requests, and a condition on the client then rejects logins and registrations too. The policy therefore applies to
every other client on every request, and its executor examines only tokens that are presented for exchange: it requires
a claim value that no token has.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from mcp_idp.cli.bootstrap.errors import ConfigError
from mcp_idp.cli.bootstrap.keycloak.state.managed import is_managed
from mcp_idp.cli.bootstrap.keycloak.state.ownership import RESOURCE_URL

if TYPE_CHECKING:
    from mcp_idp.access.policy import AccessPolicy
    from mcp_idp.cli.bootstrap.keycloak.lookups import Object
    from mcp_idp.cli.bootstrap.keycloak.state.current import CurrentState

TOKEN_EXCHANGE_ATTRIBUTE = "standard.token.exchange.enabled"  # noqa: S105 - the name of a client attribute
EXCHANGE_GRANT = "urn:ietf:params:oauth:grant-type:token-exchange"
_NAME = "mcp-no-exchange"


def exchange_profile() -> Object:
    """Builds the client profile that rejects every token presented for exchange."""
    configuration = {"claim-name": "iss", "allowed-value": "(?!)"}  # a pattern that matches nothing
    return {
        "name": _NAME,
        "description": "No token is taken in exchange for another one",
        "executors": [{"executor": "jwt-claim-enforcer", "configuration": configuration}],
    }


def exchange_policy(resource: str) -> Object:
    """Builds the client policy that applies the profile to every client but the one whose id is `resource`.

    The grant `EXCHANGE_GRANT` must not be listed in a `grant-type` condition of another policy.
    """
    attributes = json.dumps([{"key": RESOURCE_URL, "value": resource}])
    condition = {"is-negative-logic": True, "attributes": attributes}
    return {
        "name": _NAME,
        "description": "Every client but the MCP server's own",
        "enabled": True,
        "conditions": [{"condition": "client-attributes", "configuration": condition}],
        "profiles": [_NAME],
    }


def check_upstreams(access: AccessPolicy) -> None:
    """Validates that every upstream can be represented in Keycloak.

    Raises:
        ConfigError: an upstream has no scope. In Keycloak a client scope adds the audience to tokens.
    """
    for audience, upstream in access.upstreams.items():
        if not upstream.scopes:
            raise ConfigError(f"upstreams.{audience}.scopes: name one; in Keycloak it adds the audience")


def require_no_unmanaged_scopes(access: AccessPolicy, actual: CurrentState) -> None:
    """Rejects an access file with an upstream scope whose name belongs to an unmanaged client scope.

    An apply would change the scope for all clients that use it.

    Raises:
        ConfigError: the realm has such a scope.
    """
    for audience, upstream in access.upstreams.items():
        for name in upstream.scopes:
            if name in actual.scopes and not is_managed(actual.scopes[name]):
                raise ConfigError(
                    f"upstreams.{audience}.scopes.{name}: the realm has a client scope of this name that the bootstrap "
                    "did not make: use another name"
                )
