"""The audit log: one JSON line for each decision about somebody's request, apart from the log of the process.

It says who, with which client, asked for what, and what was decided; neither tokens nor arguments. Requests without
credentials are not in it: nothing was decided about anybody. Fields are in `docs/audit.md`.
"""

from __future__ import annotations

import errno
import json
import os
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import structlog

from mcp_idp.config.env import SettingsError
from mcp_idp.errors import AuditUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from mcp_idp.principal import Principal
    from mcp_idp.util.clock import Clock

log = structlog.get_logger(__name__)
STANDARD_OUTPUT = "stdout"
_LONGEST = 200  # characters of what comes from outside
_NAMED = frozenset({"tools/call", "prompts/get"})


class AuditLog:
    """Writes decisions.

    Args:
        write: takes one line, without its end; raises OSError where it cannot be kept.
        clock: the time of a decision.
    """

    def __init__(self, write: Callable[[str], object], clock: Clock) -> None:
        self._write = write
        self._clock = clock

    def record_decision(
        self,
        status: int | None,
        *,
        principal: Principal | None,
        message: Mapping[str, Any] | None,
        correlation_id: str,
        reason: str | None = None,
    ) -> None:
        """Write one decision.

        Args:
            status: the refusal's; None is "let through to the application".
            principal: who asks, if a token said so and was believed.
            message: the JSON-RPC message, if it has been read.
            correlation_id: of a refusal, leads to the log of the process and to the body the client got.
            reason: why it was refused.

        Raises:
            AuditUnavailable: it could not be kept.
        """
        method, target = _method_and_target(message)
        decision = "allowed" if status is None else "denied"
        self._write_event(decision, principal, method, target, correlation_id, status=status, reason=reason)

    def record_token_exchange(
        self, principal: Principal, audience: str, *, correlation_id: str, reason: str | None = None
    ) -> None:
        """Write down that a token of `principal` was exchanged for one for `audience`, or was not for this `reason`.

        Raises:
            AuditUnavailable: it could not be kept.
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
    ) -> None:
        event = {
            "time": datetime.fromtimestamp(self._clock.now(), UTC).isoformat(timespec="milliseconds"),
            "decision": decision,
            "status": status,
            "reason": reason,
            "issuer": principal.issuer if principal else None,
            "subject": principal.subject if principal else None,
            "client": principal.client if principal else None,
            "scopes": sorted(principal.scopes) if principal else None,
            "method": method,
            "target": target,
            "correlation_id": correlation_id,
        }
        try:
            self._write(json.dumps(event, separators=(",", ":")))
        except OSError as error:
            log.error("audit_log_write_failed", error=type(error).__name__)  # noqa: TRY400 - a traceback says no more
            raise AuditUnavailable from error


def _method_and_target(message: Mapping[str, Any] | None) -> tuple[str | None, str | None]:
    """The method of a message, and the tool or prompt it names. A resource's URI may hold arguments: it stays out."""
    if message is None:
        return None, None
    method, params = message.get("method"), message.get("params")
    named = params if isinstance(method, str) and method in _NAMED and isinstance(params, dict) else {}
    return _bounded(method), _bounded(named.get("name"))


def _bounded(text: object) -> str | None:
    return text[:_LONGEST] if isinstance(text, str) else None


def open_audit_log(where: str, clock: Clock) -> AuditLog | None:
    """The audit log that AUDIT_LOG asks for: none for "", standard output, or a file that is added to.

    Raises:
        SettingsError: the file cannot be written.
    """
    if not where:
        return None
    if where == STANDARD_OUTPUT:
        return AuditLog(lambda line: print(line, file=sys.stdout, flush=True), clock)  # noqa: T201 - this is its place
    try:
        # Opened once: whoever rotates it copies and truncates. Only its owner may read who did what.
        descriptor = os.open(where, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    except OSError as error:
        raise SettingsError(f"AUDIT_LOG={where}: cannot be written ({error.strerror})") from error
    return AuditLog(_AppendOnlyFile(descriptor), clock)


class _AppendOnlyFile:
    """Writes lines to a file: one write each, so that those of several processes do not mix."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._last_write_partial = False

    def __call__(self, line: str) -> None:
        """Write `line`, by itself if the one before is there in part.

        Raises:
            OSError: not all of it could be written: a disk that fills up takes what it has room for.
        """
        data = ("\n" * self._last_write_partial + line + "\n").encode()
        written = os.write(self._descriptor, data)
        self._last_write_partial = written < len(data)
        if self._last_write_partial:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
