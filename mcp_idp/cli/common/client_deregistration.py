"""Deletes a dynamic client registration at the end of a run (RFC 7592 section 2.3), if the provider supports that."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import httpx2

from mcp_idp.cli.common.http_client import create_client
from mcp_idp.cli.common.trusted_issuer import origin

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mcp_idp.cli.common.console import StepReporter
    from mcp_idp.cli.common.http_client import Address

_SECONDS = 5  # deregistration is best effort: the user should not have to wait for it, least of all after Ctrl-C


@dataclass(frozen=True, slots=True)
class ClientRegistration:
    """A dynamic client registration, and the credentials to delete it if the provider issued any.

    Attributes:
        endpoint: The registration endpoint that was used.
        uri: The `registration_client_uri` (RFC 7592 section 3), or "".
        token: The `registration_access_token` (RFC 7592 section 3), or "".
    """

    endpoint: str
    uri: str = ""
    token: str = field(default="", repr=False)

    @classmethod
    def read(cls, endpoint: str, response: Mapping[str, Any]) -> ClientRegistration:
        """Builds the record from a registration response.

        Args:
            endpoint: The registration endpoint.
            response: The JSON object that the endpoint returned. Members that are not strings are treated as absent.
        """
        uri, token = response.get("registration_client_uri"), response.get("registration_access_token")
        return cls(endpoint, uri if isinstance(uri, str) else "", token if isinstance(token, str) else "")


async def unregister(
    registration: ClientRegistration, connect_to: Mapping[Address, Address], narrator: StepReporter
) -> None:
    """Deletes `registration` at the provider and reports the result. Every failure is reported as a note, never raised.

    Args:
        registration: What to delete.
        connect_to: Address mapping, see `mcp_idp.cli.common.http_client`.
        narrator: Receives the note.
    """
    if not registration.uri or not registration.token:
        narrator.line("note", "its registration remains at the provider, which does not support removal (RFC 7592)")
        return
    try:
        uri = deregistration_url(registration)
        async with asyncio.timeout(_SECONDS), create_client(connect_to) as http:
            headers = {"Authorization": f"Bearer {registration.token}"}
            response = await http.delete(uri, headers=headers)
    except (httpx2.HTTPError, httpx2.InvalidURL, OSError, ValueError) as error:  # TimeoutError is an OSError
        narrator.line("note", f"its registration remains at the provider: {str(error) or type(error).__name__}")
        return
    if response.is_success:
        narrator.line("note", "removed its registration at the provider (RFC 7592 section 2.3)")
    else:
        narrator.line("note", f"its registration remains at the provider, which responded {response.status_code}")


def deregistration_url(registration: ClientRegistration) -> str:
    """Returns the URL for the DELETE request.

    The provider chose this URL, so it must have the same origin as the registration endpoint.

    Raises:
        ValueError: The URL has another origin, or the provider offers no way to delete a registration.
    """
    if not registration.uri or not registration.token:
        raise ValueError("the provider does not support removal (RFC 7592)")
    if origin(registration.uri) != origin(registration.endpoint):
        raise ValueError(f"{registration.uri} is not at {registration.endpoint}")
    return registration.uri
