"""What the gate decided: told to the caller, to the log, and to the audit log where there is one."""

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
    """Tells decisions.

    Args:
        challenger: words a refusal for the caller.
        audit: keeps every decision, or None.
    """

    def __init__(self, challenger: ChallengeBuilder, audit: AuditLog | None = None) -> None:
        self._challenger = challenger
        self._audit = audit

    def log_authenticated(self, principal: Principal) -> None:
        """Tell the log that a token was believed: once for many requests."""
        scopes = " ".join(sorted(principal.scopes))
        log.info(
            "authenticated",
            subject=_log_safe(principal.subject),
            client=_log_safe(principal.client),
            scopes=_log_safe(scopes),
        )

    def record_allowed(self, principal: Principal, message: Mapping[str, Any] | None) -> None:
        """Note that a request goes on to the application.

        Raises:
            AuditUnavailable: it could not be noted, so it must not go on.
        """
        if self._audit is not None:
            self._audit.record_decision(None, principal=principal, message=message, correlation_id=secrets.token_hex(8))

    async def send_challenge(self, send: Send, extra: Headers) -> None:
        """Answer who sent no credentials."""
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
        """Answer a request that does not go on, with `extra` headers; `message` is what it asked, as far as read."""
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
    """What the log says and the wire does not; bounded, and in escaped form since it comes from outside."""
    match error:
        case InvalidToken():
            return {"reason": error.reason.value, "expected": _log_safe(error.expected), "got": _log_safe(error.got)}
        case ProviderUnavailable():
            return {"error": _log_safe(error.detail)}
        case ToolNotListed():
            # What is no text is no name: it is not written out, however much of it there is.
            return {"tool": _log_safe(error.name if isinstance(error.name, str) else type(error.name).__name__)}
        case _:
            return {"detail": _log_safe(" ".join([error.description, *getattr(error, "__notes__", ())]))}


def _log_safe(value: object) -> str | None:
    text = value if isinstance(value, str) and value.isprintable() else repr(value)
    return None if value is None else text[:_LOGGED_CHARACTERS]
