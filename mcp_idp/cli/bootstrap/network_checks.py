"""Where issuer and resource are reached, and what is refused because of it: the same for every provider."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol
from urllib.parse import urlsplit

from mcp_idp.cli.bootstrap.errors import SettingsFailure
from mcp_idp.util.urls import is_loopback

if TYPE_CHECKING:
    from mcp_idp.access.policy import Access

WHERE = "OAUTH_SERVER_URL and MCP_PUBLIC_URL are not both on localhost"


class Reached(Protocol):
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
    def access(self) -> Access:
        """Who may do what."""

    @property
    def in_container(self) -> bool:
        """Whether "localhost" means this container only."""


def on_loopback(settings: Reached) -> bool:
    """Whether issuer and resource both never leave this machine."""
    return all(_is_here(url) for url in (settings.server_url, settings.public_url))


def check_internal_url(settings: Reached, instead: str) -> None:
    """Refuse a way to the provider that leads to this container itself.

    Args:
        settings: of the run.
        instead: what to write, and an example of it.

    Raises:
        SettingsFailure: it does.
    """
    if settings.in_container and _is_here(settings.internal_url):
        raise SettingsFailure(
            f"{settings.internal_url} is this container itself: set OAUTH_INTERNAL_URL to where {instead}"
        )


def check_fit_for_a_network(settings: Reached, profiles: str) -> None:
    """Refuse what is safe only where nobody else can reach the provider.

    Args:
        settings: of a run whose issuer or resource is not on loopback.
        profiles: registration profiles to write in place of open-dev.

    Raises:
        SettingsFailure: names the first thing to change.
    """
    if settings.access.demo_users:
        raise SettingsFailure(f"demo_users: their passwords are public, and {WHERE}: remove them from the access file")
    if settings.access.registration.profile == "open-dev":
        raise SettingsFailure(
            f"registration.profile: open-dev lets anyone register a client, and {WHERE}: write {profiles}"
        )
    for name, url in (("OAUTH_SERVER_URL", settings.server_url), ("MCP_PUBLIC_URL", settings.public_url)):
        if url.startswith("http://") and not _is_here(url):
            raise SettingsFailure(f"{name}={url}: tokens would cross the network in the clear; use https")


def _is_here(url: str) -> bool:
    return is_loopback(urlsplit(url).hostname or "")
