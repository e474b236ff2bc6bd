"""Where issuer and resource are reached, and what is refused because of it: the same for every provider."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol
from urllib.parse import urlsplit

from mcp_idp.cli.bootstrap.errors import ConfigError
from mcp_idp.util.urls import is_loopback

if TYPE_CHECKING:
    from mcp_idp.access.policy import AccessPolicy

_NOT_LOOPBACK = "OAUTH_SERVER_URL and MCP_PUBLIC_URL are not both on localhost"


class NetworkSettings(Protocol):
    """What a run's settings say of it."""

    @property
    def server_url(self) -> str:
        """The issuer."""

    @property
    def internal_url(self) -> str:
        """Where this process reaches it."""

    @property
    def public_url(self) -> str:
        """The resource."""

    @property
    def access(self) -> AccessPolicy:
        """Who may do what."""

    @property
    def in_container(self) -> bool:
        """Whether "localhost" means this container only."""


def on_loopback(settings: NetworkSettings) -> bool:
    """Whether issuer and resource both never leave this machine."""
    return all(_is_here(url) for url in (settings.server_url, settings.public_url))


def check_internal_url(settings: NetworkSettings, instead: str) -> None:
    """Refuse a way to the provider that leads to this container itself.

    Args:
        settings: of the run.
        instead: what to write, and an example of it.

    Raises:
        ConfigError: it does.
    """
    if settings.in_container and _is_here(settings.internal_url):
        raise ConfigError(
            f"{settings.internal_url} is this container itself: set OAUTH_INTERNAL_URL to where {instead}"
        )


def require_production_safe(settings: NetworkSettings, profiles: str) -> None:
    """Refuse what is safe only where nobody else can reach the provider.

    Args:
        settings: of a run whose issuer or resource is not on loopback.
        profiles: registration profiles to write in place of open-dev.

    Raises:
        ConfigError: names the first thing to change.
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
