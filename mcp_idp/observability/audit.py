"""The audit log: one JSON line per authorization decision, separate from the log of the process.

Each line contains the user, the client, what was requested, and the decision. It contains neither tokens nor arguments.
Requests without credentials are not recorded, because no decision about a user was made. Rejections of requests without
a principal are summed up by the caller (`auth/decisions.py`), because anyone can cause any number of them.
`docs/audit.md` describes the fields.
"""

from __future__ import annotations

import errno
import json
import os
import secrets
import sys
from contextlib import suppress
from datetime import UTC, datetime
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import structlog

from mcp_idp.config.env import SettingsError
from mcp_idp.errors import AuditUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from mcp_idp.principal import Principal
    from mcp_idp.util.clock import Clock

log = structlog.get_logger(__name__)
STANDARD_OUTPUT = "stdout"
_MAX_LENGTH = 200  # characters of an untrusted value
_RETRY_SECONDS = 1.0
_MAX_NAMES = 20
_NOTHING: Mapping[str, Any] = MappingProxyType({})
_METHODS_WITH_NAME = frozenset({"tools/call", "prompts/get"})


class AuditLog:
    """Writes decisions to the audit log.

    Args:
        write: writes one line, given without its line break; raises OSError if it cannot.
        clock: the time source.
    """

    def __init__(self, write: Callable[[str], object], clock: Clock) -> None:
        self._write = write
        self._clock = clock
        self._lost = 0
        self._retry_at = 0.0

    @property
    def is_available(self) -> bool:
        """Whether the last line could be written."""
        return self._lost == 0

    def retry(self) -> bool:
        """Tries to write again after a failure, at most once a second; returns whether lines can be written.

        The line that is written then contains the number of lost lines. A server that gets no requests while it is not
        ready recovers only in this way.
        """
        if self._lost and self._clock.monotonic() >= self._retry_at:
            self._retry_at = self._clock.monotonic() + _RETRY_SECONDS
            with suppress(AuditUnavailable):
                self._write_event("resumed", None, None, None, secrets.token_hex(8), more={"lost": self._lost})
        return self.is_available

    def record_rejection_counts(self, counts: Mapping[str, int]) -> None:
        """Records how many rejections without a principal were not written one by one.

        Args:
            counts: their number by reason.

        Raises:
            AuditUnavailable: the line could not be written.
        """
        self._write_event("denied", None, None, None, secrets.token_hex(8), more={"counts": dict(counts)})

    def record_decision(  # noqa: PLR0913 - keyword arguments
        self,
        status: int | None,
        *,
        principal: Principal | None,
        message: Mapping[str, Any] | None,
        correlation_id: str,
        reason: str | None = None,
        runs: Sequence[str] = (),
        within: str | None = None,
    ) -> None:
        """Records the decision about one request, or about something that a request runs.

        Args:
            status: the HTTP status of the rejection; None if the request is forwarded to the application.
            principal: the caller, if the token was verified.
            message: the JSON-RPC message, if it has been parsed.
            correlation_id: identifies the decision; for a rejection, it is also in the log of the process and in the
                response body.
            reason: why the request was rejected.
            runs: the other names of the tool or prompt that the message runs.
            within: the name in the request, if the decision is about something else that the request runs.

        Raises:
            AuditUnavailable: the line could not be written.
        """
        method, target = _method_and_target(message)
        decision = "allowed" if status is None else "denied"
        more: dict[str, Any] = {"runs": [_bounded(name) for name in runs[:_MAX_NAMES]]} if runs else {}
        if within is not None:
            more["within"] = _bounded(within)
        self._write_event(decision, principal, method, target, correlation_id, status=status, reason=reason, more=more)

    def record_token_exchange(
        self, principal: Principal, audience: str, *, correlation_id: str, reason: str | None = None
    ) -> None:
        """Records a token exchange (RFC 8693).

        Args:
            principal: the user whose token was to be exchanged.
            audience: the audience of the downstream API.
            correlation_id: identifies the exchange; if it failed, it is also in the log of the process.
            reason: why the exchange failed; None if it succeeded.

        Raises:
            AuditUnavailable: the line could not be written.
        """
        decision = "exchanged" if reason is None else "exchange_failed"
        self._write_event(decision, principal, None, _bounded(audience), correlation_id, reason=_bounded(reason))

    def _write_event(  # noqa: PLR0913 - the members of a line
        self,
        decision: str,
        principal: Principal | None,
        method: str | None,
        target: str | None,
        correlation_id: str,
        *,
        status: int | None = None,
        reason: str | None = None,
        more: Mapping[str, Any] = _NOTHING,
    ) -> None:
        event = {
            "time": datetime.fromtimestamp(self._clock.now(), UTC).isoformat(timespec="milliseconds"),
            "decision": decision,
            "status": status,
            "reason": reason,
            "issuer": principal.issuer if principal else None,
            "subject": principal.subject if principal else None,
            "client": principal.client if principal else None,
            **_actor(principal),
            "scopes": sorted(principal.scopes) if principal else None,
            "method": method,
            "target": target,
            "correlation_id": correlation_id,
            **more,
        }
        try:
            self._write(json.dumps(event, separators=(",", ":")))
        except (OSError, ValueError) as error:  # ValueError: standard output is closed
            if self.is_available:
                log.error("audit_log_write_failed", error=type(error).__name__)  # noqa: TRY400 - a traceback adds nothing
            self._lost += 1
            raise AuditUnavailable from error
        if self._lost:
            log.warning("audit_log_resumed", lost=self._lost)
            self._lost = 0


def _method_and_target(message: Mapping[str, Any] | None) -> tuple[str | None, str | None]:
    """Returns the method of a message and the tool or prompt that it names.

    The URI of a resource is left out, because it may contain arguments.
    """
    if message is None:
        return None, None
    method, params = message.get("method"), message.get("params")
    named = params if isinstance(method, str) and method in _METHODS_WITH_NAME and isinstance(params, dict) else {}
    return _bounded(method), _bounded(named.get("name"))


def _actor(principal: Principal | None) -> Mapping[str, dict[str, str | None]]:
    """Returns the member that names who acts for the user, or nothing."""
    actor = principal.actor if principal else None
    if actor is None:
        return _NOTHING
    return {"actor": {"subject": actor.subject, "issuer": actor.issuer, "client": actor.client}}


def _bounded(text: object) -> str | None:
    return text[:_MAX_LENGTH] if isinstance(text, str) else None


def open_audit_log(where: str, clock: Clock) -> AuditLog | None:
    """Opens the audit log that AUDIT_LOG configures.

    Args:
        where: "" for no audit log, "stdout" for standard output, or the path of a file to append to.
        clock: the time source.

    Returns:
        The audit log; None if `where` is "".

    Raises:
        SettingsError: the file cannot be opened for writing.
    """
    if not where:
        return None
    if where == STANDARD_OUTPUT:
        return AuditLog(lambda line: print(line, file=sys.stdout, flush=True), clock)  # noqa: T201 - AUDIT_LOG=stdout
    try:
        # The file stays open, so log rotation must copy and truncate it. Mode 0600: only the owner may read the log.
        descriptor = os.open(where, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    except OSError as error:
        raise SettingsError(f"AUDIT_LOG={where}: cannot be written ({error.strerror})") from error
    return AuditLog(_AppendOnlyFile(descriptor), clock)


class _AppendOnlyFile:
    """Appends lines to a file, each with a single write, so that lines of several processes do not interleave."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._last_write_partial = False

    def __call__(self, line: str) -> None:
        """Writes `line`, on a new line if the previous one was written only in part.

        Raises:
            OSError: the line could not be written, or only in part because the disk is full.
        """
        data = ("\n" * self._last_write_partial + line + "\n").encode()
        written = os.write(self._descriptor, data)
        self._last_write_partial = written < len(data)
        if self._last_write_partial:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
