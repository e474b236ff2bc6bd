"""Takes the registration back at the end of a run, where the provider lets a client do that (RFC 7592 section 2.3)."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import httpx2

from mcp_idp.cli.common.http import create_client
from mcp_idp.cli.common.trusted_issuer import origin

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mcp_idp.cli.common.console import StepReporter
    from mcp_idp.cli.common.http import Address

_SECONDS = 5  # it is a courtesy: nobody should wait for it, least of all after Ctrl-C


@dataclass(frozen=True, slots=True)
class ClientRegistration:
    """One registration, and how it can be taken back, if at all.

    Attributes:
        endpoint: where the client registered.
        uri: `registration_client_uri`, or "".
        token: `registration_access_token`, or "".
    """

    endpoint: str
    uri: str = ""
    token: str = field(default="", repr=False)

    @classmethod
    def read(cls, endpoint: str, response: Mapping[str, Any]) -> ClientRegistration:
        """What the provider's `response` to a registration at `endpoint` says."""
        uri, token = response.get("registration_client_uri"), response.get("registration_access_token")
        return cls(endpoint, uri if isinstance(uri, str) else "", token if isinstance(token, str) else "")


async def unregister(
    registration: ClientRegistration, connect_to: Mapping[Address, Address], narrator: StepReporter
) -> None:
    """Take `registration` back and tell whether that worked. Whatever happens, this is a note and never a failure."""
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
        narrator.line("note", f"its registration remains at the provider, which answered {response.status_code}")


def deregistration_url(registration: ClientRegistration) -> str:
    """Where the request goes: the provider chose the URL, so it must be where the client registered.

    Raises:
        ValueError: it is elsewhere, or the provider offers no way to remove a registration.
    """
    if not registration.uri or not registration.token:
        raise ValueError("the provider does not support removal (RFC 7592)")
    if origin(registration.uri) != origin(registration.endpoint):
        raise ValueError(f"{registration.uri} is not at {registration.endpoint}")
    return registration.uri
