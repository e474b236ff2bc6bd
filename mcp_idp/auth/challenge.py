"""Builds the responses to rejected requests: status, `WWW-Authenticate` header and body.

Sources: RFC 6750 section 3, RFC 9728 section 5.1, MCP authorization 2026-07-28 "Scope Challenge Handling". No value in
a challenge comes from the request.

The body is `{"error", "error_description", "correlation_id"}`. A caller who lacks the authorization for this
request gets a JSON-RPC error instead (JSON-RPC 2.0 section 5.1, code -32003): MCP clients display the message of
such an error; of any other body they display at most the status.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mcp_idp.errors import (
    AuthError,
    InsufficientRole,
    InsufficientScope,
    InvalidRequest,
    InvalidToken,
    MissingCredentials,
    NoAudience,
    NotListed,
    ProviderUnavailable,
    RateLimited,
    ScopeResolutionError,
    ServerFull,
    TokenTooLong,
    TooManyRequests,
)
from mcp_idp.http.body import MAX_ID_CHARACTERS
from mcp_idp.http.responses import Headers, Response

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_FORBIDDEN = -32003  # in the range that MCP leaves to implementations
# Their response is a JSON-RPC error, whose message clients show to the user.
_SHOWN = (InsufficientScope, InsufficientRole, ScopeResolutionError, NotListed, NoAudience, TokenTooLong)


class ChallengeBuilder:
    """Builds the responses to rejected requests.

    Args:
        metadata_url: the absolute URL of the protected resource metadata.
        login_scopes: the scopes that the challenge of an unauthenticated request asks for, without prefix.
        scope_prefix: the prefix that the provider puts before scope names.

    Attributes:
        unauthenticated_response: the prebuilt 401 for requests without credentials.
    """

    def __init__(self, metadata_url: str, login_scopes: Sequence[str], scope_prefix: str = "") -> None:
        self._scope_prefix = scope_prefix
        self._metadata_url = metadata_url
        self._login_scopes = tuple(login_scopes)
        # Built once: requests without credentials are frequent and get this response at the lowest possible cost.
        self.unauthenticated_response = self._build(MissingCredentials(), None)

    def response_for(self, error: AuthError, correlation_id: str, message: Mapping[str, Any] | None = None) -> Response:
        """Returns the response to a rejected request.

        Args:
            error: why the request is rejected.
            correlation_id: identifies the log line of this rejection; it is part of the body, except that of the
                prebuilt 401.
            message: the JSON-RPC message of the request, if it has been parsed; a JSON-RPC error repeats its id.
        """
        if isinstance(error, MissingCredentials):
            return self.unauthenticated_response
        if isinstance(error, _SHOWN):
            return Response.json(
                error.status, _json_rpc_error(error, correlation_id, message or {}), self._headers(error)
            )
        return self._build(error, correlation_id)

    def _build(self, error: AuthError, correlation_id: str | None) -> Response:
        document = {"error": error.code, "error_description": error.description}
        if correlation_id is not None:
            document["correlation_id"] = correlation_id
        return Response.json(error.status, document, self._headers(error))

    def _headers(self, error: AuthError) -> Headers:
        match error:
            case MissingCredentials():
                return (self._challenge(None, self._login_scopes),)
            case InvalidRequest() | InvalidToken() if not isinstance(error, _SHOWN):
                return (self._challenge(error.code, self._login_scopes),)
            case InsufficientScope():
                return (self._challenge(error.code, error.required),)
            case RateLimited():
                return ((b"retry-after", b"%d" % error.retry_after), *error.fields)
            case ProviderUnavailable() | TooManyRequests() | ServerFull():
                return ((b"retry-after", b"%d" % error.retry_after),)
            case _:
                return ()

    def _challenge(self, code: str | None, scopes: Sequence[str]) -> tuple[bytes, bytes]:
        """Returns the WWW-Authenticate header.

        The values need no escaping: scope names and URLs contain neither quotes nor backslashes (RFC 6749 section 3.3,
        `validate_http_url`).
        """
        parameters = [f'error="{code}"'] if code is not None else []
        prefixed_scopes = " ".join(self._scope_prefix + scope for scope in scopes)
        parameters += [f'resource_metadata="{self._metadata_url}"', f'scope="{prefixed_scopes}"']
        return b"www-authenticate", f"Bearer {', '.join(parameters)}".encode("ascii")


def _json_rpc_error(error: AuthError, correlation_id: str, message: Mapping[str, Any]) -> dict[str, Any]:
    """Returns a JSON-RPC error (JSON-RPC 2.0 section 5).

    Its id is that of the request if it is an integer or a string of at most `MAX_ID_CHARACTERS`, otherwise null.
    """
    number = message.get("id")
    is_valid_id = type(number) is int or (isinstance(number, str) and len(number) <= MAX_ID_CHARACTERS)
    data = {"error": error.code, "correlation_id": correlation_id}
    json_rpc_error = {"code": _FORBIDDEN, "message": error.description, "data": data}
    return {"jsonrpc": "2.0", "id": number if is_valid_id else None, "error": json_rpc_error}
