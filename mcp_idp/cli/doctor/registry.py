"""All checks, in the order of causes: what comes first can be the reason for what comes later."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mcp_idp.cli.doctor.checks import (
    access_token,
    authorization_server,
    bogus_tokens,
    challenge,
    client_registration,
    clock_skew,
    cors_and_host,
    discovery,
    encryption,
    keycloak_admin,
    protected_resource,
    reachability,
)

if TYPE_CHECKING:
    from mcp_idp.cli.doctor.runner import Check

# What a login needs to know; the rest is about who else may come, and how well clients are led.
DISCOVERY_CHECKS: tuple[Check, ...] = (
    *reachability.CHECKS,
    *encryption.CHECKS,
    *protected_resource.CHECKS,
    *discovery.CHECKS,
    *authorization_server.CHECKS[:1],
)
CHECKS: tuple[Check, ...] = (
    *reachability.CHECKS,
    *encryption.CHECKS,
    *protected_resource.CHECKS,
    *challenge.CHECKS,
    *discovery.CHECKS,
    *authorization_server.CHECKS,
    *clock_skew.CHECKS,
    *keycloak_admin.CHECKS,
    *bogus_tokens.CHECKS,
    *client_registration.CHECKS,
    *access_token.CHECKS,
    *cors_and_host.CHECKS,
)
