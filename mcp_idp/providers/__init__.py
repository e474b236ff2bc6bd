"""What differs from one identity provider to the next, as data.

A profile is chosen by the issuer, or by OAUTH_PROVIDER where the issuer does not tell (Dex lives on anybody's host).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mcp_idp.providers.profile import ProviderProfile
from mcp_idp.providers.saas import AUTH0, COGNITO, ENTRA, GOOGLE, OKTA
from mcp_idp.providers.self_hosted import AUTHELIA, AUTHENTIK, DEX, GENERIC, KEYCLOAK, NANOIDP, ORY, ZITADEL

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["PROFILES", "ProviderProfile", "profile_for"]

_ALL = (KEYCLOAK, DEX, NANOIDP, OKTA, AUTH0, ENTRA, COGNITO, GOOGLE, AUTHENTIK, ZITADEL, ORY, AUTHELIA, GENERIC)
PROFILES: Mapping[str, ProviderProfile] = {profile.name: profile for profile in _ALL}


def profile_for(issuer: str, name: str | None = None) -> ProviderProfile:
    """The profile called `name`, or the one that the issuer's URL gives away, or `generic`."""
    if name is not None:
        return PROFILES[name]
    return next((profile for profile in _ALL if profile.matches_issuer(issuer)), GENERIC)
