"""Validates combinations of settings at startup, among them those that cannot work with the provider."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from mcp_idp.config.env import SettingsError
from mcp_idp.util.memory_plan import MIN_MAX_MEMORY
from mcp_idp.util.urls import is_loopback, is_private

if TYPE_CHECKING:
    from mcp_idp.config.settings import Settings

_PLACEHOLDERS = frozenset({"changeme", "change-me", "changethis", "secret", "password", "your-secret", "todo", "xxx"})
_MAX_LEEWAY = 300
# Served beside the MCP endpoint: health checks without a check of Host, and metadata.
_OWN_PATHS = frozenset({"/livez", "/readyz"})
_WELL_KNOWN = "/.well-known"
_PLAIN_PATH = re.compile(r"(?:/(?!\.{1,2}(?:/|$))[A-Za-z0-9._~-]+)+")


def validate_settings(settings: Settings, *, in_container: bool) -> None:
    """Validates that the settings can work together.

    Args:
        settings: the settings, each valid by itself.
        in_container: whether this process runs in a container, where an issuer on localhost is unreachable.

    Raises:
        SettingsError: they cannot. The message is one line that says what to change.
    """
    public = urlsplit(settings.public_url)
    if public.path in {"", "/"} or settings.public_url.endswith("/"):
        raise SettingsError(
            f"MCP_PUBLIC_URL={settings.public_url}: write it with its path and without a trailing slash, such as http://localhost:3000/mcp"
        )
    _validate_public_path(settings.public_url, public.path)
    on_loopback = is_loopback(public.hostname or "")
    if settings.disable_auth and not (on_loopback and is_loopback(settings.host)):
        raise SettingsError(
            "DISABLE_AUTH=true: unset it, or set HOST and MCP_PUBLIC_URL to loopback addresses such as 127.0.0.1"
        )
    if not on_loopback:
        _validate_public_deployment(settings)
    for name, url in (("OAUTH_SERVER_URL", settings.server_url), ("OAUTH_INTERNAL_URL", settings.internal_url or "")):
        if url.startswith("http:") and not is_private(urlsplit(url).hostname or ""):
            raise SettingsError(
                f"{name}={url}: must be https: an attacker on the network could substitute signing keys"
            )
    if not settings.disable_auth:
        validate_provider(settings)
    _validate_token_mode(settings)
    _validate_durations(settings)
    _validate_memory(settings)
    provider_url = settings.internal_url or settings.server_url
    if in_container and is_loopback(urlsplit(provider_url).hostname or "") and not settings.disable_auth:
        raise SettingsError(
            f"OAUTH_SERVER_URL={settings.server_url}: inside a container this is the container itself; "
            "set OAUTH_INTERNAL_URL to the URL at which the container reaches the provider, such as http://keycloak:8080/realms/mcp"
        )


def _validate_public_path(public_url: str, path: str) -> None:
    """Validates that MCP can be served at this path.

    Requests are compared with it after percent-decoding (ASGI), and clients and proxies remove dot segments (RFC 3986
    section 5.2.4), so it must be written as it arrives.

    Raises:
        SettingsError: the path is written another way, or this server serves something else there.
    """
    if path in _OWN_PATHS or path == _WELL_KNOWN or path.startswith(f"{_WELL_KNOWN}/"):
        raise SettingsError(
            f"MCP_PUBLIC_URL={public_url}: this server serves something else at {path}; choose another path"
        )
    if _PLAIN_PATH.fullmatch(path) is None:
        raise SettingsError(
            f"MCP_PUBLIC_URL={public_url}: write the path in plain characters (letters, digits and -._~), without %, "
            "empty segments and dot segments"
        )


def _validate_public_deployment(settings: Settings) -> None:
    """Validates what only matters off loopback, where tokens and keys cross a network.

    Raises:
        SettingsError: a URL is not https, or the client secret is a placeholder.
    """
    if settings.server_url.startswith("http:"):
        raise SettingsError(
            f"OAUTH_SERVER_URL={settings.server_url}: must be https when MCP_PUBLIC_URL is not on loopback"
        )
    if settings.public_url.startswith("http:"):
        raise SettingsError(
            f"MCP_PUBLIC_URL={settings.public_url}: must be https unless it is on loopback: tokens would "
            "cross the network unencrypted"
        )
    if settings.client_secret is not None and settings.client_secret.lower() in _PLACEHOLDERS:
        raise SettingsError(
            "OAUTH_CLIENT_SECRET: is a placeholder; set the secret of this server's client at the provider"
        )


def _validate_token_mode(settings: Settings) -> None:
    if settings.token_mode == "introspection" and not settings.has_client_credentials:  # noqa: S105 - the mode's name
        signs = settings.client_auth == "private_key_jwt"
        required = "OAUTH_CLIENT_KEY_FILE" if signs else "OAUTH_CLIENT_SECRET or OAUTH_CLIENT_SECRET_FILE"
        raise SettingsError(f"AUTH_TOKEN_MODE=introspection: needs {required}")


def _validate_durations(settings: Settings) -> None:
    if settings.clock_leeway > _MAX_LEEWAY:
        raise SettingsError(
            f"CLOCK_LEEWAY={settings.clock_leeway}s: at most {_MAX_LEEWAY}s; correct the clocks instead"
        )
    for name, value in (("MAX_TOKEN_LIFETIME", settings.max_token_lifetime), ("KEY_MAX_AGE", settings.key_max_age)):
        if value < 1:
            raise SettingsError(f"{name}={value}: write at least 1s")
    if settings.key_max_stale < settings.key_max_age:
        raise SettingsError("KEY_MAX_STALE: must not be shorter than KEY_MAX_AGE")


def _validate_memory(settings: Settings) -> None:
    allowed = settings.memory_plan.total
    if allowed < MIN_MAX_MEMORY:  # MAX_MEMORY itself is never less
        raise SettingsError(
            f"MAX_MEMORY: the container may use {allowed >> 20}M: give it at least {MIN_MAX_MEMORY >> 20}M"
        )


def validate_provider(settings: Settings, place: str = "OAUTH_SERVER_URL=") -> None:
    """Validates that the provider's access tokens can be verified in the configured token mode.

    Args:
        settings: the settings for one issuer.
        place: where the issuer's URL is configured; the error message starts with it.

    Raises:
        SettingsError: the URL is not the issuer that tokens name, the token mode does not suit the provider's tokens,
            or its tokens cannot be verified at all.
    """
    profile = settings.provider
    fault = profile.issuer_error(settings.server_url)
    if fault is not None:
        raise SettingsError(f"{place}{settings.server_url}: {fault}")
    if profile.unsupported_reason and settings.introspect_url is None:
        raise SettingsError(f"{place}{settings.server_url}: {profile.unsupported_reason}")
    if settings.token_mode == "jwt" and not profile.signed:  # noqa: S105 - the mode's name
        raise SettingsError(
            f"AUTH_TOKEN_MODE=jwt: the access tokens of {profile.name} are not JWTs; set AUTH_TOKEN_MODE=introspection"
        )
    if settings.token_mode == "introspection" and not profile.introspection and settings.introspect_url is None:  # noqa: S105 - the mode's name
        raise SettingsError(
            f"AUTH_TOKEN_MODE=introspection: the metadata of {profile.title} names no reliable endpoint for it;  "
            "relied on; set AUTH_TOKEN_MODE=jwt, or OAUTH_INTROSPECT_URL if you run one"
        )
