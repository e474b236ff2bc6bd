"""Records the decisions of the auth middleware in the log and the audit log, and sends rejections to the client."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any

import structlog

from mcp_idp.errors import (
    AuditUnavailable,
    AuthError,
    InvalidToken,
    MissingCredentials,
    ProviderUnavailable,
    ToolNotListed,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.types import Send

    from mcp_idp.auth.challenge import ChallengeBuilder
    from mcp_idp.http.responses import Headers
    from mcp_idp.observability.audit import AuditLog
    from mcp_idp.principal import Principal

log = structlog.get_logger("mcp_idp.auth.middleware")
_LOGGED_CHARACTERS = 200


class DecisionRecorder:
    """Records decisions and sends the responses to rejected requests.

    Args:
        challenger: builds the responses.
        audit: the audit log, or None.
    """

    def __init__(self, challenger: ChallengeBuilder, audit: AuditLog | None = None) -> None:
        self._challenger = challenger
        self._audit = audit

    def log_authenticated(self, principal: Principal) -> None:
        """Logs that a token was accepted; called once per token, not once per request."""
        scopes = " ".join(sorted(principal.scopes))
        log.info(
            "authenticated",
            subject=_log_safe(principal.subject),
            client=_log_safe(principal.client),
            scopes=_log_safe(scopes),
        )

    def record_allowed(self, principal: Principal, message: Mapping[str, Any] | None) -> None:
        """Records in the audit log that a request is forwarded to the application.

        Args:
            principal: the caller.
            message: the JSON-RPC message; None if the request has none.

        Raises:
            AuditUnavailable: the decision could not be recorded, so the request must be rejected.
        """
        if self._audit is not None:
            self._audit.record_decision(None, principal=principal, message=message, correlation_id=secrets.token_hex(8))

    async def send_challenge(self, send: Send, extra: Headers) -> None:
        """Responds 401 to a request without credentials.

        Args:
            send: the ASGI send callable.
            extra: further response headers.
        """
        log.debug("unauthenticated_request")
        await self._challenger.unauthenticated_response.send(send, extra)

    async def reject(
        self,
        error: AuthError,
        send: Send,
        extra: Headers,
        *,
        principal: Principal | None = None,
        message: Mapping[str, Any] | None = None,
    ) -> None:
        """Logs and audits a rejection and sends the response.

        If the audit log cannot be written, the response is 503 (`AuditUnavailable`) instead.

        Args:
            error: why the request is rejected.
            send: the ASGI send callable.
            extra: further response headers.
            principal: the caller, if the token was verified.
            message: the JSON-RPC message, if it has been parsed.
        """
        if isinstance(error, MissingCredentials):
            await self.send_challenge(send, extra)
            return
        correlation_id = secrets.token_hex(8)
        log.warning(
            "request_rejected",
            status=error.status,
            code=error.code,
            correlation_id=correlation_id,
            **_log_fields(error),
        )
        if self._audit is not None and not isinstance(error, AuditUnavailable):
            reason = error.reason.value if isinstance(error, InvalidToken) else error.code
            try:
                self._audit.record_decision(
                    error.status, principal=principal, message=message, correlation_id=correlation_id, reason=reason
                )
            except AuditUnavailable as unavailable:
                error = unavailable
        await self._challenger.response_for(error, correlation_id, message).send(send, extra)


def _log_fields(error: AuthError) -> dict[str, str | None]:
    """Returns the details of a rejection for the log; values are untrusted, so they are escaped and truncated."""
    match error:
        case InvalidToken():
            return {"reason": error.reason.value, "expected": _log_safe(error.expected), "got": _log_safe(error.got)}
        case ProviderUnavailable():
            return {"error": _log_safe(error.detail)}
        case ToolNotListed():
            # A name that is not a string is not logged, only its type: it may be an arbitrarily large structure.
            return {"tool": _log_safe(error.name if isinstance(error.name, str) else type(error.name).__name__)}
        case _:
            return {"detail": _log_safe(" ".join([error.description, *getattr(error, "__notes__", ())]))}


def _log_safe(value: object) -> str | None:
    text = value if isinstance(value, str) and value.isprintable() else repr(value)
    return None if value is None else text[:_LOGGED_CHARACTERS]
