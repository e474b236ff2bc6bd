"""What each registration profile of the access file means, as data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mcp_idp.access.models import RegistrationProfile


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistrationRules:
    """Who may register a client (RFC 7591), and what that client may be.

    Attributes:
        anonymous: whether anybody may, without a token.
        initial_access_token: whether a client with an initial access token may register (RFC 7591 section 3).
        vendors: whether redirect URIs of the listed vendors count besides those of this machine.
        metadata_documents: whether a client may be known by a metadata document at its own URL, without registering.
    """

    anonymous: bool = False
    initial_access_token: bool = False
    vendors: bool = False
    metadata_documents: bool = False


PROFILES: dict[RegistrationProfile, RegistrationRules] = {
    "open-dev": RegistrationRules(anonymous=True, initial_access_token=True, vendors=True),
    "loopback-only": RegistrationRules(anonymous=True, initial_access_token=True),
    "initial-access-token": RegistrationRules(initial_access_token=True, vendors=True),
    "closed": RegistrationRules(),
    "cimd": RegistrationRules(metadata_documents=True),
}
