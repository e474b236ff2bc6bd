"""Records the decisions of the auth middleware in the log and the audit log, and sends rejections to the client.

Any client can cause rejections without a principal, and any user can exceed a limit, as often as they like. So the
first rejection of each reason (and user) is recorded in full, and the others as numbers, once a minute: they cannot
fill a disk, and the audit log stays writable for authorized calls.
"""

from __future__ import annotations

import secrets
from contextlib import suppress
from logging import DEBUG, INFO, WARNING
from time import monotonic
from typing import TYPE_CHECKING, Any

import structlog

from mcp_idp.errors import (
    AuditUnavailable,
    AuthError,
    InsufficientRole,
    InsufficientScope,
    InvalidToken,
    MissingCredentials,
    NotListed,
    OriginNotAllowed,
    ProviderUnavailable,
    RateLimited,
)
from mcp_idp.principal import user_client_key
from mcp_idp.util.repeated_events import RepeatedEvents
from mcp_idp.util.urls import is_below_invalid

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Mapping

    from starlette.types import Send

    from mcp_idp.auth.challenge import ChallengeBuilder
    from mcp_idp.http.responses import Headers
    from mcp_idp.observability.audit import AuditLog
    from mcp_idp.principal import Principal

log = structlog.get_logger("mcp_idp.auth.middleware")
_LOGGED_CHARACTERS = 200
_UNTRUSTED_PROXY = "all clients of a proxy have one address: set TRUSTED_PROXIES to the address of the proxy"

_NO_SUBJECT = (
    "RFC 9068 section 2.2 requires sub: limits count all tokens of the client as one user, a session is bound to its "
    "token, and the audit log cannot name the user (Keycloak: give the client the scope basic)"
)


class DecisionRecorder:
    """Records decisions and sends the responses to rejected requests.

    Args:
        challenger: builds the responses.
        audit: the audit log, or None.
        repeated: says which rejections without a principal, and for a limit, are recorded in full.
        count: called with the reason of each rejection.
    """

    def __init__(
        self,
        challenger: ChallengeBuilder,
        audit: AuditLog | None = None,
        repeated: RepeatedEvents | None = None,
        count: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._challenger = challenger
        self._audit = audit
        self._repeated = repeated or RepeatedEvents(monotonic)
        self._count = count

    def log_authenticated(self, principal: Principal) -> None:
        """Logs that a token was accepted; called once per token, not once per request."""
        scopes = " ".join(sorted(principal.scopes))
        log.info(
            "authenticated",
            subject=_log_safe(principal.subject),
            client=_log_safe(principal.client),
            scopes=_log_safe(scopes),
            **_actor_field(principal),
        )
        if principal.subject is None:
            log.warning("token_without_subject", client=_log_safe(principal.client), hint=_NO_SUBJECT)

    def record_allowed(
        self, principal: Principal, message: Mapping[str, Any] | None, runs: Iterable[tuple[str, str]] = ()
    ) -> str | None:
        """Records in the audit log that a request is forwarded to the application.

        Args:
            principal: the caller.
            message: the JSON-RPC message; None if the request has none.
            runs: the other names of what the message runs, each with its method.

        Returns:
            The correlation id of the line; None if there is no audit log.

        Raises:
            AuditUnavailable: the decision could not be recorded, so the request must be rejected.
        """
        if self._audit is None:
            return None
        correlation_id = secrets.token_hex(8)
        self._audit.record_decision(
            None, principal=principal, message=message, correlation_id=correlation_id, runs=_names(runs)
        )
        return correlation_id

    def record_nested(  # noqa: PLR0913 - keyword arguments
        self,
        principal: Principal | None,
        message: Mapping[str, Any],
        runs: Iterable[tuple[str, str]],
        *,
        within: str | None,
        correlation_id: str | None,
        error: AuthError | None = None,
    ) -> None:
        """Records a decision about what one request runs besides what it names.

        Args:
            principal: the caller; None if there is none.
            message: names what is to run, as a JSON-RPC message would.
            runs: the other names of what is to run, each with its method.
            within: the name in the request.
            correlation_id: that of the request; None for a new one.
            error: why it must not run; None if it may.

        Raises:
            AuditUnavailable: the decision could not be recorded, so nothing must run.
        """
        correlation_id = correlation_id or secrets.token_hex(8)
        if error is not None:
            self._count(_reason(error))
            log.warning(
                "component_rejected",
                code=error.code,
                correlation_id=correlation_id,
                name=_log_safe(next(iter(message["params"].values()))),
                within=_log_safe(within),
                **_log_fields(error),
            )
        if self._audit is not None:
            self._audit.record_decision(
                None if error is None else error.status,
                principal=principal,
                message=message,
                correlation_id=correlation_id,
                reason=None if error is None else error.code,
                runs=_names(runs),
                within=within,
            )

    async def send_challenge(self, send: Send, extra: Headers) -> None:
        """Responds 401 to a request without credentials.

        Args:
            send: the ASGI send callable.
            extra: further response headers.
        """
        log.debug("unauthenticated_request")
        self._count(MissingCredentials.code)
        await self._challenger.unauthenticated_response.send(send, extra)

    async def reject_address(
        self, error: RateLimited, send: Send, extra: Headers, *, address: str, has_untrusted_proxy: bool
    ) -> None:
        """Rejects a request because its address is over a limit. Only the first such request is logged in full.

        Args:
            error: the limit.
            send: the ASGI send callable.
            extra: further response headers.
            address: the address, as `address_key` returns it.
            has_untrusted_proxy: whether the request has a forwarded address that is not trusted.
        """
        correlation_id = secrets.token_hex(8)
        self._count(_reason(error))
        record = log.warning if self._repeated.is_first(_reason(error)) else log.debug
        record(
            "address_over_limit",
            address=address,
            limit=error.limit,
            correlation_id=correlation_id,
            hint=_UNTRUSTED_PROXY if has_untrusted_proxy else None,
        )
        await self._challenger.response_for(error, correlation_id).send(send, extra)

    async def reject(  # noqa: PLR0913 - keyword arguments
        self,
        error: AuthError,
        send: Send,
        extra: Headers,
        *,
        principal: Principal | None = None,
        message: Mapping[str, Any] | None = None,
        runs: Iterable[tuple[str, str]] = (),
    ) -> None:
        """Logs and audits a rejection and sends the response.

        If the audit log cannot be written, the response to an authenticated request is 503 (`AuditUnavailable`)
        instead. Of the rejections of one user for one limit, the first is recorded in full.

        Args:
            error: why the request is rejected.
            send: the ASGI send callable.
            extra: further response headers.
            principal: the caller, if the token was verified.
            message: the JSON-RPC message, if it has been parsed.
            runs: the other names of what the message would run, each with its method.
        """
        if isinstance(error, MissingCredentials):
            await self.send_challenge(send, extra)
            return
        correlation_id = secrets.token_hex(8)
        self._count(_reason(error))
        is_recorded = self._is_recorded(error, principal)
        log.log(
            _level(error) if is_recorded else DEBUG,
            "request_rejected",
            status=error.status,
            code=error.code,
            correlation_id=correlation_id,
            **_log_fields(error),
        )
        if is_recorded and self._audit is not None and not isinstance(error, AuditUnavailable):
            try:
                self._audit.record_decision(
                    error.status,
                    principal=principal,
                    message=message,
                    correlation_id=correlation_id,
                    reason=_reason(error),
                    runs=_names(runs),
                )
            except AuditUnavailable as unavailable:
                error = error if principal is None else unavailable
        await self._challenger.response_for(error, correlation_id, message).send(send, extra)

    def _is_recorded(self, error: AuthError, principal: Principal | None) -> bool:
        """Whether a rejection is recorded in full."""
        if principal is not None and not isinstance(error, RateLimited):
            return True
        who: Hashable = None if principal is None else user_client_key(principal)
        return self._repeated.is_first(_reason(error), who)

    def report_repeated(self) -> None:
        """Records the numbers of rejections that were not recorded in full since the last call."""
        counts = self._repeated.take_counts()
        if not counts:
            return
        log.warning(
            "requests_rejected", counts=dict(counts), hint="each reason was logged once; debug logs each request"
        )
        if self._audit is not None:
            with suppress(AuditUnavailable):  # logged there
                self._audit.record_rejection_counts(counts)


def _actor_field(principal: Principal) -> dict[str, str | None]:
    """Returns who acts for the user, for the log; nothing if the user acts."""
    actor = principal.actor
    return {} if actor is None else {"actor": _log_safe(actor.subject or actor.client)}


def _level(error: AuthError) -> int:
    """Returns the log level of a rejection: a warning if the operator may have to change something.

    Expired tokens and missing permissions are usual. No web page exists below `.invalid` (RFC 6761 section 6.4); such
    an Origin comes from a test, for example that of `mcp-idp doctor`.
    """
    match error:
        case InvalidToken() | InsufficientScope() | InsufficientRole():
            return INFO
        case OriginNotAllowed() if all(is_below_invalid(origin) for origin in error.origins):
            return INFO
        case _:
            return WARNING


def _reason(error: AuthError) -> str:
    match error:
        case InvalidToken():
            return error.reason.value
        case RateLimited() if error.limit:
            return f"{error.code}:{error.limit}"
        case _:
            return error.code


def _names(runs: Iterable[tuple[str, str]]) -> tuple[str, ...]:
    """Returns the names, without the URIs of resources, which may contain arguments."""
    return tuple(name for method, name in runs if method != "resources/read")


def _log_fields(error: AuthError) -> dict[str, str | int | None]:
    """Returns the details of a rejection for the log; values are untrusted, so they are escaped and truncated."""
    match error:
        case InvalidToken():
            return {"reason": error.reason.value, "expected": _log_safe(error.expected), "got": _log_safe(error.got)}
        case RateLimited():
            return {"limit": error.limit}
        case ProviderUnavailable():
            return {"error": _log_safe(error.detail)}
        case NotListed():
            # A name that is not a string is not logged, only its type: it may be an arbitrarily large structure.
            return {"tool": _log_safe(error.name if isinstance(error.name, str) else type(error.name).__name__)}
        case OriginNotAllowed():
            return {"origin": _log_safe(", ".join(error.origins)), "hint": error.description}
        case _:
            return {"detail": _log_safe(" ".join([error.description, *getattr(error, "__notes__", ())]))}


def _log_safe(value: object) -> str | None:
    text = value if isinstance(value, str) and value.isprintable() else repr(value)
    return None if value is None else text[:_LOGGED_CHARACTERS]
