"""The registration profiles of the access file: who may register a client, and with which redirect URIs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mcp_idp.access.models import RegistrationProfile


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistrationRules:
    """The rules of one registration profile (RFC 7591).

    Attributes:
        anonymous: whether a client may register without a token.
        initial_access_token: whether a client may register with an initial access token (RFC 7591 section 3).
        vendors: whether the redirect URIs of the listed vendors are allowed besides loopback URIs.
        metadata_documents: whether a client may identify itself by the URL of its client metadata document (CIMD),
            without registering.
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
