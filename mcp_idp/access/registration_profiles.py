"""What each registration profile of the access file means, as data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mcp_idp.access.models import RegistrationProfile


@dataclass(frozen=True, slots=True, kw_only=True)
class Admission:
    """Who may register a client (RFC 7591), and what that client may be.

    Attributes:
        anonymous: whether anybody may, without a token.
        invited: whether somebody with an initial access token may (RFC 7591 section 3, "initial access token").
        vendors: whether redirect URIs of the listed vendors count besides those of this machine.
        documents: whether a client may be known by a metadata document at its own URL, without registering.
    """

    anonymous: bool = False
    invited: bool = False
    vendors: bool = False
    documents: bool = False


ADMISSIONS: dict[RegistrationProfile, Admission] = {
    "open-dev": Admission(anonymous=True, invited=True, vendors=True),
    "loopback-only": Admission(anonymous=True, invited=True),
    "initial-access-token": Admission(invited=True, vendors=True),
    "closed": Admission(),
    "cimd": Admission(documents=True),
}
