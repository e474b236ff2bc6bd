"""The errors with which a registration is refused (RFC 7591 section 3.2.2)."""

from __future__ import annotations

from typing import ClassVar


class RegistrationRejected(Exception):
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


class InvalidMetadata(RegistrationRejected):
    """A member of the document, or the document itself, cannot be accepted."""


class InvalidRedirectUri(RegistrationRejected):
    """A redirect URI is not one that the registration profile allows."""

    code = "invalid_redirect_uri"


class RegistrationClosed(RegistrationRejected):
    """The registration profile lets nobody register, or nobody without an initial access token."""

    status = 403
    code = "access_denied"


class UnsupportedBody(RegistrationRejected):
    """The body is not JSON by its headers: other types can be sent by any web page without a preflight."""

    status = 415


class LengthRequired(RegistrationRejected):
    """The request does not declare the length of its body (RFC 9110 section 15.5.12)."""

    status = 411


class DocumentTooLarge(RegistrationRejected):
    """The document is longer than a registration may be."""

    status = 413
