"""The errors with which a request is rejected, each with its HTTP status.

AuthError
├── MissingCredentials    401  no bearer token; the challenge carries no error code
├── InvalidRequest        400  malformed credentials: Bearer without a token, two Authorization headers
├── InvalidBody           400  the body is not one unambiguous JSON object
├── InvalidToken          401  the token does not verify; `reason` is logged, never sent
│   ├── NoAudience        403  all but the audience verifies, and the token names none at all; no challenge
│   └── TokenTooLong      431  the token is longer than MAX_TOKEN_BYTES; no challenge
├── InsufficientScope     403  the token lacks a scope that a new login could grant
├── InsufficientRole      403  the token lacks a scope that no login of this user can grant; no challenge
├── ScopeResolutionError  403  the required scopes cannot be derived from the arguments; no challenge
├── NotListed             403  the access file lists what may be requested and this is not in it; no challenge
│   └── ToolNotListed     403  the same for a tool
├── OriginNotAllowed      403  the Origin is not in the allow list
├── HostNotAllowed        421  the Host is not in the allow list
├── BodyTooLarge          413  the body is too long or holds too many JSON values
├── TooManyRequests       429  the user's pending requests hold all the memory that one user may hold
│   └── RateLimited       429  an address, a user or a tool is over one of its limits
├── ServerFull            503  all pending requests together hold all the memory that requests may hold
├── ProviderUnavailable   503  the token's status is not cached and the identity provider is unreachable
└── AuditUnavailable      503  the decision cannot be written to the audit log (AUDIT_LOG)

Sources: RFC 6750 section 3.1, RFC 9110 section 15, RFC 6585.
"""

from __future__ import annotations

from enum import StrEnum, auto
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from collections.abc import Iterable


class TokenErrorReason(StrEnum):
    """Why a token was rejected; written to the log, never sent to the client."""

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
    """Base class of all rejections.

    Attributes:
        status: the HTTP status.
        code: the `error` member of the response body.
        description: the `error_description` member of the response body.
    """

    status: ClassVar[int]
    code: ClassVar[str]
    description: str = ""

    def __init__(self, description: str = "") -> None:
        super().__init__(description or self.description)
        self.description = description or self.description


class MissingCredentials(AuthError):
    """The request has no bearer token; its challenge carries no error code (RFC 6750 section 3.1)."""

    status = 401
    code = "missing_authorization"
    description = "This server needs an access token: send Authorization: Bearer <token>."


class InvalidRequest(AuthError):
    """The credentials are malformed (RFC 6750 section 3.1)."""

    status = 400
    code = "invalid_request"


class InvalidBody(AuthError):
    """The body is not one JSON object, or is ambiguous.

    Parsers can read an ambiguous body differently, so the message that is authorized here might not be the one that the
    application processes.
    """

    status = 400
    code = "invalid_body"


class InvalidToken(AuthError):
    """The token does not verify.

    The description is the same for every reason, so the caller cannot tell which check failed.

    Attributes:
        reason: the check that failed, for the log.
        expected: what the check expected, for the log.
        got: what the token contains instead, for the log.
    """

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


class NoAudience(InvalidToken):
    """The token is a valid access token of the issuer for a user, but names no audience at all.

    Providers that bind the audience to a role (Keycloak, as the bootstrap configures it) issue such tokens to accounts
    without a role here. A new login or a refresh brings the same token, so there is no challenge: clients would repeat
    both without end.
    """

    status = 403
    code = "no_role"
    description = (
        "The access token names no resource at all: your account may have no role here, and logging in again will not "
        "change that. Ask the operator of this server for a role."
    )

    def __init__(self, *, expected: object) -> None:
        super().__init__(TokenErrorReason.AUDIENCE, expected=expected, got=None)


class TokenTooLong(InvalidToken):
    """The token is longer than MAX_TOKEN_BYTES (RFC 6585 section 5).

    Its length follows from the user's groups and roles, so a new login or a refresh brings the same token, and there is
    no challenge.
    """

    status = 431
    code = "token_too_long"
    description = (
        "The access token is longer than this server accepts, and logging in again will not change that. Ask the "
        "operator of this server to raise MAX_TOKEN_BYTES, or to have fewer groups and roles in the token."
    )

    def __init__(self, *, expected: int, got: int) -> None:
        super().__init__(TokenErrorReason.TOO_LONG, expected=expected, got=got)


class InsufficientScope(AuthError):
    """The token lacks a scope that a new login could grant (RFC 6750 section 3.1).

    Attributes:
        required: all scopes that the request requires, each once, not only the missing ones.
    """

    status = 403
    code = "insufficient_scope"

    def __init__(self, required: tuple[str, ...]) -> None:
        pronoun = "it" if len(required) == 1 else "them"
        super().__init__(f"This request needs {_describe_scopes(required)}: request {pronoun} in a new login.")
        self.required = required


class InsufficientRole(AuthError):
    """The token lacks a scope that no login of this user can grant.

    There is no challenge: clients would log in again at every call.

    Attributes:
        required: all scopes that the request requires, each once.
        roles: the roles and groups that grant the missing scope.
    """

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
    """The required scopes could not be derived from the arguments; the request is rejected (fail closed)."""

    status = 403
    code = "scope_undecided"
    description = "The required scope cannot be determined from the arguments of this request: correct them."

    def __init__(self, name: str) -> None:
        super().__init__()
        self.add_note(name)


class NotListed(AuthError):
    """The access file lists what may be requested, and this is not in it, so its required scopes are unknown.

    Attributes:
        block: the block of the access file in which it would be listed.
        name: the name exactly as it was sent; not necessarily a string.
    """

    status = 403
    code = "not_listed"

    def __init__(self, block: str, name: object) -> None:
        super().__init__(
            "This is not listed in the server's access file, which names what may be requested. "
            f"The operator can list it there under {block}{self._alternative}."
        )
        self.block = block
        self.name = name

    _alternative: ClassVar[str] = ""


class ToolNotListed(NotListed):
    """The access file lists the callable tools and this one is not among them, so its required scopes are unknown."""

    code = "tool_not_listed"
    _alternative = ", or register it with @tool"

    def __init__(self, name: object) -> None:
        super().__init__("tools", name)


class OriginNotAllowed(AuthError):
    """The Origin of the web page that sent the request is not in the allow list (ALLOWED_ORIGINS).

    Args:
        origins: the values of the Origin headers.
    """

    status = 403
    code = "forbidden_origin"
    description = "Requests from this Origin are not allowed. The server's ALLOWED_ORIGINS lists those that are."

    def __init__(self, origins: Iterable[str] = ()) -> None:
        super().__init__()
        self.origins = tuple(origins)


class HostNotAllowed(AuthError):
    """The Host is not in the allow list: DNS rebinding, or a proxy that does not forward the public host name."""

    status = 421
    code = "misdirected_request"
    description = (
        "This server does not serve this Host. Use the host of its public URL, "
        "or have its operator add this one to ALLOWED_HOSTS."
    )


class BodyTooLarge(AuthError):
    """The body is too long, holds too many JSON values or nests too deeply (RFC 9110 section 15.5.14)."""

    status = 413
    code = "body_too_large"


class TooManyRequests(AuthError):
    """The user's pending requests hold all the memory that one user may hold (RFC 6585 section 4).

    Attributes:
        retry_after: seconds, for the Retry-After header.
    """

    status = 429
    code = "too_many_requests"
    description = "Your pending requests use all the memory that one user may use. Try again shortly."
    retry_after = 1


class RateLimited(TooManyRequests):
    """An address, a user or a tool is over one of its limits (RFC 6585 section 4).

    Attributes:
        retry_after: seconds, for the Retry-After header.
        fields: the RateLimit fields of the response, as pairs of name and value.
        limit: the name of the limit, for the log.
    """

    def __init__(
        self,
        description: str,
        *,
        retry_after: int = 1,
        fields: tuple[tuple[bytes, bytes], ...] = (),
        limit: str = "",
    ) -> None:
        super().__init__(description)
        self.retry_after = retry_after
        self.fields = fields
        self.limit = limit


class ServerFull(AuthError):
    """All pending requests together hold all the memory that requests may hold (RFC 9110 section 15.6.4).

    Attributes:
        retry_after: seconds, for the Retry-After header.
    """

    status = 503
    code = "server_full"
    description = "Pending requests use all the memory of this server. Try again shortly."
    retry_after = 1


class ProviderUnavailable(AuthError):
    """The token's status is not cached, and the provider is unreachable or too many requests to it are waiting.

    Attributes:
        detail: what failed, for the log.
        retry_after: seconds, for the Retry-After header.
    """

    status = 503
    code = "identity_provider_unavailable"
    description = "The identity provider cannot be reached, so the access token cannot be checked. Try again shortly."

    def __init__(self, detail: str, *, retry_after: int = 5) -> None:
        super().__init__()
        self.detail = detail
        self.retry_after = retry_after


class AuditUnavailable(AuthError):
    """Fail closed: a request that cannot be written to the configured audit log is rejected."""

    status = 503
    code = "audit_unavailable"
    description = "The server cannot write its audit log, so it rejects all requests. Contact its operator."


def _describe_scopes(scopes: tuple[str, ...]) -> str:
    """The scopes with their noun, such as "the scopes orders and orders.delete"."""
    *first, last = scopes
    return f"the scopes {', '.join(first)} and {last}" if first else f"the scope {last}"
