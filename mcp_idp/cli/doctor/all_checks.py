"""All checks, in an order in which causes precede consequences."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mcp_idp.cli.doctor.checks import (
    access_token,
    authorization_server,
    bogus_tokens,
    challenge,
    client_login,
    client_registration,
    clock_skew,
    cors_and_host,
    discovery,
    encryption,
    keycloak_admin,
    protected_resource,
    quirks,
    reachability,
    server_settings,
)

if TYPE_CHECKING:
    from mcp_idp.cli.doctor.runner import Check

# The checks that discover what a login requires.
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
    *server_settings.CHECKS,
    *keycloak_admin.CHECKS,
    *bogus_tokens.CHECKS,
    *client_registration.CHECKS,
    *access_token.CHECKS,
    *client_login.CHECKS,
    *cors_and_host.CHECKS,
    *quirks.CHECKS,
)
