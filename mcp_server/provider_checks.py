"""What cannot work with a provider, whatever its tokens say: told at the start, in one line that says what to write."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mcp_server.environment import SettingsError

if TYPE_CHECKING:
    from mcp_server.issuers import IssuerRules
    from mcp_server.providers import ProviderProfile
    from mcp_server.settings import Settings


def check_provider(settings: Settings, place: str = "OAUTH_SERVER_URL=") -> None:
    """Let an issuer pass whose access tokens the settings' mode can judge. `place` is where its URL was written.

    Raises:
        SettingsError: it is not the issuer that tokens name, or its tokens are of the other kind.
    """
    profile = settings.provider
    fault = profile.fault_of(settings.server_url)
    if fault is not None:
        raise SettingsError(f"{place}{settings.server_url}: {fault}")
    if profile.unusable and settings.introspect_url is None:
        raise SettingsError(f"{place}{settings.server_url}: {profile.unusable}")
    if settings.token_mode == "jwt" and not profile.signed:  # noqa: S105 - the mode's name
        raise SettingsError(
            f"AUTH_TOKEN_MODE=jwt: the access tokens of {profile.name} are not JWTs; set AUTH_TOKEN_MODE=introspection"
        )
    if settings.token_mode == "introspection" and not profile.introspection and settings.introspect_url is None:  # noqa: S105 - the mode's name
        raise SettingsError(
            f"AUTH_TOKEN_MODE=introspection: the metadata of {profile.title} names no endpoint for it that can be "
            "relied on; set AUTH_TOKEN_MODE=jwt, or OAUTH_INTROSPECT_URL if you run one"
        )


def check_audience(settings: Settings, profile: ProviderProfile, own: IssuerRules) -> None:
    """Where access tokens name no audience, the access file must say whose count: none would be let in otherwise.

    Raises:
        SettingsError: it does not say.
    """
    named = own.clients or own.audience or settings.audience != settings.public_url
    if not profile.audience and not named:
        raise SettingsError(
            f"{settings.access_file}: access tokens of {profile.title} name no audience; list the clients whose tokens "
            f"count under issuers: {settings.server_url}: clients:, or set audience: there if the tokens do name one"
        )
