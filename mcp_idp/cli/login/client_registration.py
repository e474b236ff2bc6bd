"""What this client tells a provider about itself, and what it remembers of the answer: for one run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mcp.shared.auth import OAuthClientInformationFull, OAuthClientMetadata
from pydantic import AnyUrl

if TYPE_CHECKING:
    from mcp.shared.auth import OAuthToken


class PinnedScopeMetadata(OAuthClientMetadata):
    """Metadata whose scope stays what it was made with: the SDK would set it to what the challenge names."""

    def __setattr__(self, name: str, value: Any) -> None:
        if name != "scope":
            super().__setattr__(name, value)


def client_metadata(redirect_uri: str, scope: str | None) -> OAuthClientMetadata:
    """A public native client (RFC 7591 section 2): PKCE stands for the secret that no program here could keep."""
    kind = OAuthClientMetadata if scope is None else PinnedScopeMetadata
    return kind(
        client_name="Narrated client (scripts/login)",
        redirect_uris=[AnyUrl(redirect_uri)],
        grant_types=["authorization_code", "refresh_token"],
        response_types=["code"],
        token_endpoint_auth_method="none",  # noqa: S106 - the method's name
        scope=scope,
    )


def preregistered_client(client_id: str | None, redirect_uri: str) -> OAuthClientInformationFull | None:
    """The record of a public client that the provider knows beforehand, or None to register one."""
    if client_id is None:
        return None
    return OAuthClientInformationFull(
        client_id=client_id,
        redirect_uris=[AnyUrl(redirect_uri)],
        token_endpoint_auth_method="none",  # noqa: S106 - the method's name
    )


class InMemoryTokenStorage:
    """The SDK's storage, in this process only: nothing is written to disk."""

    def __init__(self, client: OAuthClientInformationFull | None) -> None:
        self._client = client
        self._tokens: OAuthToken | None = None

    async def get_tokens(self) -> OAuthToken | None:
        """The tokens of this run."""
        return self._tokens

    async def set_tokens(self, tokens: OAuthToken) -> None:
        """Remember `tokens` for this run."""
        self._tokens = tokens

    async def get_client_info(self) -> OAuthClientInformationFull | None:
        """The client of this run."""
        return self._client

    async def set_client_info(self, client_info: OAuthClientInformationFull) -> None:
        """Remember the registration for this run."""
        self._client = client_info
