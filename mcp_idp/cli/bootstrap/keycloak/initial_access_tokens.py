"""Initial access tokens (RFC 7591 section 3): invitations to register a client where nobody may without one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mcp_idp.access.registration_profiles import PROFILES
from mcp_idp.cli.bootstrap.errors import ConfigError

if TYPE_CHECKING:
    from mcp_idp.access.models import RegistrationProfile
    from mcp_idp.cli.bootstrap.keycloak.admin_client import AdminClient


def create_initial_access_token(session: AdminClient, profile: RegistrationProfile, *, uses: int, seconds: int) -> str:
    """A new token, good for so many registrations and so long. The provider never shows it again.

    Raises:
        ConfigError: it would be good for nothing under this registration profile.
    """
    if not PROFILES[profile].initial_access_token:
        raise ConfigError(
            f"registration.profile: {profile} does not allow registration, even with a token: "
            "write initial-access-token and run apply"
        )
    answer = session.create(("clients-initial-access",), {"count": uses, "expiration": seconds})
    return str(answer["token"])
