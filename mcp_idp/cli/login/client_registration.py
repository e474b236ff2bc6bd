"""The client metadata for dynamic registration, and in-memory storage for the registration and tokens of one run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mcp.shared.auth import OAuthClientInformationFull, OAuthClientMetadata
from pydantic import AnyUrl

if TYPE_CHECKING:
    from mcp.shared.auth import OAuthToken


class PinnedScopeMetadata(OAuthClientMetadata):
    """Client metadata with a fixed scope. The SDK would otherwise replace it with the challenge's scope."""

    def __setattr__(self, name: str, value: Any) -> None:
        if name != "scope":
            super().__setattr__(name, value)


def client_metadata(redirect_uri: str, scope: str | None) -> OAuthClientMetadata:
    """Returns the metadata of a public native client (RFC 7591 section 2).

    A client secret in a program on the user's machine would not stay secret; the client uses PKCE instead.

    Args:
        redirect_uri: The loopback redirect URI.
        scope: The scope to request instead of the challenge's, or None.
    """
    kind = OAuthClientMetadata if scope is None else PinnedScopeMetadata
    return kind(
        client_name="Narrated client (mcp-idp login)",
        redirect_uris=[AnyUrl(redirect_uri)],
        grant_types=["authorization_code", "refresh_token"],
        response_types=["code"],
        token_endpoint_auth_method="none",  # noqa: S106 - the method's name
        scope=scope,
    )


def preregistered_client(client_id: str | None, redirect_uri: str) -> OAuthClientInformationFull | None:
    """Returns the SDK's record of a public client that the provider already knows.

    Args:
        client_id: Its id, or None to register a client.
        redirect_uri: The loopback redirect URI.

    Returns:
        The record, or None without `client_id`.
    """
    if client_id is None:
        return None
    return OAuthClientInformationFull(
        client_id=client_id,
        redirect_uris=[AnyUrl(redirect_uri)],
        token_endpoint_auth_method="none",  # noqa: S106 - the method's name
    )


class InMemoryTokenStorage:
    """The SDK's token storage, in memory only: nothing is written to disk.

    Args:
        client: A preregistered client, or None.
    """

    def __init__(self, client: OAuthClientInformationFull | None) -> None:
        self._client = client
        self._tokens: OAuthToken | None = None

    async def get_tokens(self) -> OAuthToken | None:
        """Returns the tokens of this run."""
        return self._tokens

    async def set_tokens(self, tokens: OAuthToken) -> None:
        """Stores `tokens` for this run."""
        self._tokens = tokens

    async def get_client_info(self) -> OAuthClientInformationFull | None:
        """Returns the client of this run."""
        return self._client

    async def set_client_info(self, client_info: OAuthClientInformationFull) -> None:
        """Stores the registered client for this run."""
        self._client = client_info
