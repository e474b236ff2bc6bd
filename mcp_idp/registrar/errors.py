"""The errors with which a registration is refused (RFC 7591 section 3.2.2)."""

from __future__ import annotations

from typing import ClassVar


class RegistrationRefused(Exception):
    """The registration is refused.

    Args:
        description: says what to change, and names the member of the document. It contains no text of the request.

    Attributes:
        status: the HTTP status.
        code: the `error` member of the response body.
        description: as passed.
    """

    status: ClassVar[int] = 400
    code: ClassVar[str] = "invalid_client_metadata"

    def __init__(self, description: str) -> None:
        super().__init__(description)
        self.description = description


class InvalidMetadata(RegistrationRefused):
    """A member of the document, or the document itself, cannot be accepted."""


class InvalidRedirectUri(RegistrationRefused):
    """A redirect URI is not one that the registration profile allows."""

    code = "invalid_redirect_uri"


class RegistrationClosed(RegistrationRefused):
    """The registration profile lets nobody register, or nobody without an initial access token."""

    status = 403
    code = "access_denied"


class UnsupportedBody(RegistrationRefused):
    """The body is not JSON by its headers: other types can be sent by any web page without a preflight."""

    status = 415


class LengthRequired(RegistrationRefused):
    """The request does not declare the length of its body (RFC 9110 section 15.5.12)."""

    status = 411


class DocumentTooLarge(RegistrationRefused):
    """The document is longer than a registration may be."""

    status = 413
