"""Tokens for other APIs: who may exchange one (RFC 8693), and for what.

Anybody who registers a client can have the grant switched on for it (seen on 26.7.5), so it stays refused for every
client but the MCP server's own. No condition of Keycloak's policies can say "this request, but not of that client": a
condition on the grant abstains at most requests, and one on the client then refuses logins and registrations too. So
the rule binds every other client at every request, and its executor looks at nothing but tokens that are handed in: it
asks them for a claim that none has.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from mcp_idp.cli.bootstrap.errors import ConfigError
from mcp_idp.cli.bootstrap.keycloak.state.managed import is_managed

if TYPE_CHECKING:
    from mcp_idp.access.policy import AccessPolicy
    from mcp_idp.cli.bootstrap.keycloak.lookups import Object
    from mcp_idp.cli.bootstrap.keycloak.state.current import CurrentState

RESOURCE_URL = "resource_url"  # the attribute that only the MCP server's own client has
TOKEN_EXCHANGE_ATTRIBUTE = "standard.token.exchange.enabled"  # noqa: S105 - the name of a client attribute
_GRANT = "urn:ietf:params:oauth:grant-type:token-exchange"
_NAME = "mcp-no-exchange"


def exchange_profile() -> Object:
    """Refuses every token that is handed in for another one."""
    configuration = {"claim-name": "iss", "allowed-value": "(?!)"}  # a pattern that matches nothing
    return {
        "name": _NAME,
        "description": "No token is taken in exchange for another one",
        "executors": [{"executor": "jwt-claim-enforcer", "configuration": configuration}],
    }


def exchange_policy(resource: str) -> Object:
    """Binds every client but the one of `resource`."""
    attributes = json.dumps([{"key": RESOURCE_URL, "value": resource}])
    condition = {"is-negative-logic": True, "attributes": attributes}
    return {
        "name": _NAME,
        "description": "Every client but the MCP server's own",
        "enabled": True,
        "conditions": [{"condition": "client-attributes", "configuration": condition}],
        "profiles": [_NAME],
    }


def without_exchange(policy: Object) -> Object:
    """The policy without a word on exchanging tokens, on which `exchange_policy` has the last one."""
    conditions = []
    for condition in policy["conditions"]:
        configuration = dict(condition["configuration"])
        if "grant_types" in configuration:
            configuration["grant_types"] = [grant for grant in configuration["grant_types"] if grant != _GRANT]
        conditions.append({**condition, "configuration": configuration})
    return {**policy, "conditions": conditions}


def check_upstreams(access: AccessPolicy) -> None:
    """Let through what Keycloak can give tokens for.

    Raises:
        ConfigError: an upstream has no scope, and in Keycloak it is a scope that carries the audience.
    """
    for audience, upstream in access.upstreams.items():
        if not upstream.scopes:
            raise ConfigError(f"upstreams.{audience}.scopes: name one; in Keycloak it adds the audience")


def require_no_unmanaged_scopes(access: AccessPolicy, actual: CurrentState) -> None:
    """A scope of the same name that others use would be changed for them too.

    Raises:
        ConfigError: the realm has one that is not ours.
    """
    for audience, upstream in access.upstreams.items():
        for name in upstream.scopes:
            if name in actual.scopes and not is_managed(actual.scopes[name]):
                raise ConfigError(
                    f"upstreams.{audience}.scopes.{name}: the realm has a client scope of this name that the bootstrap "
                    "did not make: use another name"
                )
