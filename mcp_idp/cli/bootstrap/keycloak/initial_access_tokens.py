"""Initial access tokens (RFC 7591 section 3): credentials for dynamic client registration where it is not anonymous."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mcp_idp.access.registration_profiles import PROFILES
from mcp_idp.cli.bootstrap.errors import ConfigError

if TYPE_CHECKING:
    from mcp_idp.access.models import RegistrationProfile
    from mcp_idp.cli.bootstrap.keycloak.admin_client import AdminClient


def create_initial_access_token(session: AdminClient, profile: RegistrationProfile, *, uses: int, seconds: int) -> str:
    """Creates an initial access token.

    Args:
        session: admin client of the realm.
        profile: the registration profile of the access file.
        uses: how many registrations the token allows.
        seconds: the token's lifetime, in seconds.

    Returns:
        The token. Keycloak never shows it again.

    Raises:
        ConfigError: the registration profile rejects registrations with an initial access token too.
        PermissionDenied: the admin client lacks the roles for it.
    """
    if not PROFILES[profile].initial_access_token:
        raise ConfigError(
            f"registration.profile: {profile} does not allow registration, even with a token: "
            "write initial-access-token and run apply"
        )
    response = session.create(("clients-initial-access",), {"count": uses, "expiration": seconds})
    return str(response["token"])
