"""Provider profiles: the differences between identity providers, as data.

The issuer URL determines the profile. OAUTH_PROVIDER selects it where the URL does not reveal the provider; Dex, for
example, runs on any host.

A new provider is a `ProviderProfile` in `hosted.py` or `self_hosted.py`, listed in `_ALL` below.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mcp_idp.providers.hosted import AUTH0, COGNITO, ENTRA, GOOGLE, OKTA
from mcp_idp.providers.profile_model import ProviderProfile
from mcp_idp.providers.self_hosted import AUTHELIA, AUTHENTIK, DEX, GENERIC, KEYCLOAK, NANOIDP, ORY, ZITADEL

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["PROFILES", "ProviderProfile", "profile_for"]

_ALL = (KEYCLOAK, DEX, NANOIDP, OKTA, AUTH0, ENTRA, COGNITO, GOOGLE, AUTHENTIK, ZITADEL, ORY, AUTHELIA, GENERIC)
PROFILES: Mapping[str, ProviderProfile] = {profile.name: profile for profile in _ALL}


def profile_for(issuer: str, name: str | None = None) -> ProviderProfile:
    """Returns the profile of a provider.

    Args:
        issuer: the issuer URL, which decides if `name` is None.
        name: the name of a profile in `PROFILES`.

    Returns:
        The profile `name`; without one, the profile that matches the issuer, or `generic` if none does.
    """
    if name is not None:
        return PROFILES[name]
    return next((profile for profile in _ALL if profile.matches_issuer(issuer)), GENERIC)
