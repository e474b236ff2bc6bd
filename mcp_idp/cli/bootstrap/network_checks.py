"""Checks that depend on whether issuer and resource are on loopback; the same for every provider."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol
from urllib.parse import urlsplit

from mcp_idp.cli.bootstrap.errors import ConfigError
from mcp_idp.util.urls import is_loopback

if TYPE_CHECKING:
    from mcp_idp.access.policy import AccessPolicy

_NOT_LOOPBACK = "OAUTH_SERVER_URL and MCP_PUBLIC_URL are not both on localhost"


class NetworkSettings(Protocol):
    """The settings that these checks use."""

    @property
    def server_url(self) -> str:
        """The issuer."""

    @property
    def internal_url(self) -> str:
        """The issuer's URL as this process reaches it."""

    @property
    def public_url(self) -> str:
        """The resource."""

    @property
    def access(self) -> AccessPolicy:
        """The access policy."""

    @property
    def in_container(self) -> bool:
        """Whether this process runs in a container, so that "localhost" is the container itself."""


def on_loopback(settings: NetworkSettings) -> bool:
    """Returns whether issuer and resource are both on loopback."""
    return all(_is_here(url) for url in (settings.server_url, settings.public_url))


def check_internal_url(settings: NetworkSettings, instead: str) -> None:
    """Rejects an internal URL that points to this container itself.

    Args:
        settings: The settings of the run.
        instead: What to set instead, with an example, for the error message.

    Raises:
        ConfigError: The internal URL is on loopback and this process runs in a container.
    """
    if settings.in_container and _is_here(settings.internal_url):
        raise ConfigError(
            f"{settings.internal_url} is this container itself: set OAUTH_INTERNAL_URL to where {instead}"
        )


def require_production_safe(settings: NetworkSettings, profiles: str) -> None:
    """Rejects settings that are safe only on loopback: demo users, open registration, http.

    Args:
        settings: Settings whose issuer or resource is not on loopback.
        profiles: Registration profiles to use instead of open-dev, for the error message.

    Raises:
        ConfigError: The message names the first setting to change.
    """
    if settings.access.demo_users:
        raise ConfigError(
            f"demo_users: their passwords are public, and {_NOT_LOOPBACK}: remove them from the access file"
        )
    if settings.access.registration.profile == "open-dev":
        raise ConfigError(
            f"registration.profile: open-dev lets anyone register a client, and {_NOT_LOOPBACK}: write {profiles}"
        )
    for name, url in (("OAUTH_SERVER_URL", settings.server_url), ("MCP_PUBLIC_URL", settings.public_url)):
        if url.startswith("http://") and not _is_here(url):
            raise ConfigError(f"{name}={url}: use https; tokens would cross the network unencrypted")


def _is_here(url: str) -> bool:
    return is_loopback(urlsplit(url).hostname or "")
