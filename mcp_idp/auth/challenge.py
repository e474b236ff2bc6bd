"""How a refusal is told: status, `WWW-Authenticate` and body.

RFC 6750 section 3, RFC 9728 section 5.1, MCP authorization 2026-07-28 "Scope Challenge Handling". No value in a
challenge comes from the request.

Bodies are `{"error", "error_description", "correlation_id"}`. Whoever is logged in and may not do this one thing is
told as JSON-RPC tells it (section 5.1, code -32003): MCP clients show people the message of such an error, and of any
other body at most the status.
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
    ProviderUnavailable,
    ScopeResolutionError,
    ServerFull,
    ToolNotListed,
    TooManyRequests,
)
from mcp_idp.http.responses import Headers, Response

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_FORBIDDEN = -32003  # of the range that MCP leaves to implementations
_ECHOED_CHARACTERS = 256


class ChallengeBuilder:
    """Turns refusals into answers.

    Args:
        metadata_url: absolute URL of the protected resource metadata.
        login_scopes: what a first login asks for.
        scope_prefix: what the provider puts before the names of scopes.
    """

    def __init__(self, metadata_url: str, login_scopes: Sequence[str], scope_prefix: str = "") -> None:
        self._scope_prefix = scope_prefix
        self._metadata_url = metadata_url
        self._login_scopes = tuple(login_scopes)
        # Whoever sends nothing gets bytes that are ready: the cheapest answer there is.
        self.unauthenticated_response = self._build(MissingCredentials(), None)

    def response_for(self, error: AuthError, correlation_id: str, message: Mapping[str, Any] | None = None) -> Response:
        """The answer to `error`.

        Args:
            error: the refusal.
            correlation_id: leads from the body to the log line.
            message: what was refused, if it was read.
        """
        if isinstance(error, MissingCredentials):
            return self.unauthenticated_response
        if isinstance(error, InsufficientScope | InsufficientRole | ScopeResolutionError | ToolNotListed):
            return Response.json(403, _json_rpc_error(error, correlation_id, message or {}), self._headers(error))
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
            case InvalidRequest() | InvalidToken():
                return (self._challenge(error.code, self._login_scopes),)
            case InsufficientScope():
                return (self._challenge(error.code, error.required),)
            case ProviderUnavailable() | TooManyRequests() | ServerFull():
                return ((b"retry-after", b"%d" % error.retry_after),)
            case _:
                return ()

    def _challenge(self, code: str | None, scopes: Sequence[str]) -> tuple[bytes, bytes]:
        """Scope names and URLs hold neither quote nor backslash (RFC 6749 section 3.3, `validate_http_url`)."""
        parameters = [f'error="{code}"'] if code is not None else []
        prefixed_scopes = " ".join(self._scope_prefix + scope for scope in scopes)
        parameters += [f'resource_metadata="{self._metadata_url}"', f'scope="{prefixed_scopes}"']
        return b"www-authenticate", f"Bearer {', '.join(parameters)}".encode("ascii")


def _json_rpc_error(error: AuthError, correlation_id: str, message: Mapping[str, Any]) -> dict[str, Any]:
    """JSON-RPC 2.0 section 5: with the id of the request, or null where there is none that is short and plain."""
    number = message.get("id")
    is_valid_id = type(number) is int or (isinstance(number, str) and len(number) <= _ECHOED_CHARACTERS)
    data = {"error": error.code, "correlation_id": correlation_id}
    json_rpc_error = {"code": _FORBIDDEN, "message": error.description, "data": data}
    return {"jsonrpc": "2.0", "id": number if is_valid_id else None, "error": json_rpc_error}
