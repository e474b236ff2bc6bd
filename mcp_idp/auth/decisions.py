"""Records the decisions of the auth middleware in the log and the audit log, and sends rejections to the client."""

from __future__ import annotations

import secrets
import time
from typing import TYPE_CHECKING, Any

import structlog

from mcp_idp.auth.refusal_summary import RefusalSummary
from mcp_idp.errors import (
    AuditUnavailable,
    AuthError,
    InvalidToken,
    MissingCredentials,
    ProviderUnavailable,
    RateLimited,
    ToolNotListed,
)
from mcp_idp.principal import user_key

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from starlette.types import Send

    from mcp_idp.auth.challenge import ChallengeBuilder
    from mcp_idp.http.responses import Headers
    from mcp_idp.observability.audit import AuditLog
    from mcp_idp.principal import Principal

log = structlog.get_logger("mcp_idp.auth.middleware")
_LOGGED_CHARACTERS = 200
_UNTRUSTED_PROXY = "all clients of a proxy have one address: set TRUSTED_PROXIES to the address of the proxy"


class DecisionRecorder:
    """Records decisions and sends the responses to rejected requests.

    Args:
        challenger: builds the responses.
        audit: the audit log, or None.
        monotonic: returns the time in seconds, on a monotonic clock.
    """

    def __init__(
        self,
        challenger: ChallengeBuilder,
        audit: AuditLog | None = None,
        *,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._challenger = challenger
        self._audit = audit
        self._over_limit = RefusalSummary(monotonic)

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

    async def reject_address(
        self, error: RateLimited, send: Send, extra: Headers, *, address: str, untrusted_proxy: bool
    ) -> None:
        """Rejects a request because its address is over a limit. All addresses together are one log line a minute.

        Args:
            error: the limit.
            send: the ASGI send callable.
            extra: further response headers.
            address: the address, as `address_key` returns it.
            untrusted_proxy: whether the request names another address that is not believed.
        """
        correlation_id = secrets.token_hex(8)
        times = self._over_limit.count(error.limit)
        if times:
            log.warning(
                "address_over_limit",
                address=address,
                times=times,
                limit=error.limit,
                correlation_id=correlation_id,
                hint=_UNTRUSTED_PROXY if untrusted_proxy else None,
            )
        await self._challenger.response_for(error, correlation_id).send(send, extra)

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

        Rejections for a limit are summed up: one record a minute for each limit and user.

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
        if isinstance(error, RateLimited):
            error.times = self._over_limit.count((error.limit, principal and user_key(principal)))
            if not error.times:
                await self._challenger.response_for(error, correlation_id, message).send(send, extra)
                return
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


def _log_fields(error: AuthError) -> dict[str, str | int | None]:
    """Returns the details of a rejection for the log; values are untrusted, so they are escaped and truncated."""
    match error:
        case InvalidToken():
            return {"reason": error.reason.value, "expected": _log_safe(error.expected), "got": _log_safe(error.got)}
        case RateLimited():
            return {"limit": error.limit, "times": error.times}
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
