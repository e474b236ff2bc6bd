"""What the gate can refuse with, each with its HTTP status.

AuthError
├── MissingCredentials   401  nothing that could be a bearer token; the challenge carries no error code
├── InvalidRequest       400  malformed credentials: Bearer without token, two headers
├── InvalidBody        400  a body that is not one JSON object with one meaning
├── InvalidToken         401  any token that does not verify; `reason` is logged, never sent
├── InsufficientScope    403  the token lacks a scope that a login could bring
├── InsufficientRole   403  … that no login of this person can bring: no challenge
├── ScopeResolutionError       403  what the call needs does not follow from its arguments: no challenge
├── ToolNotListed        403  the access file lists the tools, and not this one: no challenge
├── OriginNotAllowed        403  a browser page we do not know
├── HostNotAllowed          421  a Host that is not ours
├── BodyTooLarge         413
├── TooManyRequests      429  the person's requests hold all the memory that one person may
├── ServerFull           503  all requests together hold too much
├── ProviderUnavailable  503  the identity provider cannot be asked and the answer is not known
└── AuditUnavailable     503  the decision cannot be written down (AUDIT_LOG)

Sources: RFC 6750 section 3.1, RFC 9110 section 15.
"""

from __future__ import annotations

from enum import StrEnum, auto
from typing import ClassVar


class TokenErrorReason(StrEnum):
    """Why a token was refused: for the log, never for the wire."""

    TOO_LONG = auto()
    NOT_A_JWT = auto()
    ENCRYPTED = auto()
    HEADER_MALFORMED = auto()
    ALGORITHM = auto()
    CRITICAL_EXTENSION = auto()
    HEADER_TYPE = auto()
    KEY_UNKNOWN = auto()
    KEY_ALGORITHM_MISMATCH = auto()
    SIGNATURE = auto()
    CLAIMS_MALFORMED = auto()
    ISSUER = auto()
    AUDIENCE = auto()
    EXPIRED = auto()
    NOT_YET_VALID = auto()
    IAT_IN_FUTURE = auto()
    LIFETIME = auto()
    TOKEN_TYPE = auto()
    NO_END_USER = auto()
    SENDER_BOUND = auto()
    OPAQUE = auto()
    INACTIVE = auto()


class AuthError(Exception):
    """A refusal. `status` is HTTP's, `code` is the `error` of the body, `description` is for the caller."""

    status: ClassVar[int]
    code: ClassVar[str]
    description: str = ""

    def __init__(self, description: str = "") -> None:
        super().__init__(description or self.description)
        self.description = description or self.description


class MissingCredentials(AuthError):
    """RFC 6750 section 3.1: a request without authentication information gets no error code in its challenge."""

    status = 401
    code = "missing_authorization"
    description = "This server needs an access token: send Authorization: Bearer <token>."


class InvalidRequest(AuthError):
    """The credentials are malformed (RFC 6750 section 3.1)."""

    status = 400
    code = "invalid_request"


class InvalidBody(AuthError):
    """What is judged must be what is acted on: a body that two parsers read differently is refused."""

    status = 400
    code = "invalid_body"


class InvalidToken(AuthError):
    """The token does not verify. One text for all reasons: the caller learns nothing about the check that failed."""

    status = 401
    code = "invalid_token"
    description = (
        "The access token is not valid for this server. Log in again; "
        "if you have just logged in, your account may have no role here."
    )

    def __init__(self, reason: TokenErrorReason, *, expected: object = None, got: object = None) -> None:
        super().__init__()
        self.reason = reason
        self.expected = expected
        self.got = got


class InsufficientScope(AuthError):
    """RFC 6750 section 3.1: `required` is all that the request needs, once."""

    status = 403
    code = "insufficient_scope"

    def __init__(self, required: tuple[str, ...]) -> None:
        pronoun = "it" if len(required) == 1 else "them"
        super().__init__(f"This request needs {_describe_scopes(required)}: request {pronoun} in a new login.")
        self.required = required


class InsufficientRole(AuthError):
    """No login of this person brings the scope: a challenge would only send clients in circles."""

    status = 403
    code = "insufficient_role"

    def __init__(self, required: tuple[str, ...], roles: tuple[str, ...]) -> None:
        super().__init__(
            f"This request needs {_describe_scopes(required)}, which your account cannot obtain "
            f"without one of these roles or groups: {', '.join(roles)}."
        )
        self.required = required
        self.roles = roles


class ScopeResolutionError(AuthError):
    """The function that names the scopes from the arguments has failed on these: nobody is let through by a fault."""

    status = 403
    code = "scope_undecided"
    description = "The required scope cannot be determined from the arguments of this request: correct them."

    def __init__(self, name: str) -> None:
        super().__init__()
        self.add_note(name)


class ToolNotListed(AuthError):
    """The access file lists the tools, and not this `name`, as it was sent: what runs under it is not known."""

    status = 403
    code = "tool_not_listed"
    description = (
        "This tool is not listed in the server's access file, which names the tools that may be called. "
        "The operator can list it there under tools, or register it with @tool."
    )

    def __init__(self, name: object) -> None:
        super().__init__()
        self.name = name


class OriginNotAllowed(AuthError):
    """The page that made the browser send this is not on the list (ALLOWED_ORIGINS)."""

    status = 403
    code = "forbidden_origin"
    description = "Requests from this Origin are not allowed. The server's ALLOWED_ORIGINS lists those that are."


class HostNotAllowed(AuthError):
    """The Host is not one of ours: DNS rebinding, or a proxy that does not pass the public name on."""

    status = 421
    code = "misdirected_request"
    description = (
        "This server does not serve this Host. Use the host of its public URL, "
        "or have its operator add this one to ALLOWED_HOSTS."
    )


class BodyTooLarge(AuthError):
    """The body is longer, or holds more JSON values, than the server reads (RFC 9110 section 15.5.14)."""

    status = 413
    code = "body_too_large"


class TooManyRequests(AuthError):
    """The person's requests hold all that one person may (RFC 6585 section 4). `retry_after` is in seconds."""

    status = 429
    code = "too_many_requests"
    description = "Your pending requests use all the memory that one user may use. Try again shortly."
    retry_after = 1


class ServerFull(AuthError):
    """All requests together hold all that they may (RFC 9110 section 15.6.4). `retry_after` is in seconds."""

    status = 503
    code = "server_full"
    description = "Pending requests use all the memory of this server. Try again shortly."
    retry_after = 1


class ProviderUnavailable(AuthError):
    """The answer is not known and the identity provider cannot be asked. `retry_after` is in seconds."""

    status = 503
    code = "identity_provider_unavailable"
    description = "The identity provider cannot be reached, so the access token cannot be checked. Try again shortly."

    def __init__(self, detail: str, *, retry_after: int = 5) -> None:
        super().__init__()
        self.detail = detail
        self.retry_after = retry_after


class AuditUnavailable(AuthError):
    """What is not written down does not happen, where an audit log was asked for."""

    status = 503
    code = "audit_unavailable"
    description = "The server cannot write its audit log, so it rejects all requests. Tell its operator."


def _describe_scopes(scopes: tuple[str, ...]) -> str:
    """The scopes with their noun, such as "the scopes orders and orders.delete"."""
    *first, last = scopes
    return f"the scopes {', '.join(first)} and {last}" if first else f"the scope {last}"
