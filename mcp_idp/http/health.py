"""Liveness and readiness endpoints: whether the process runs, and whether it can verify tokens and record decisions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mcp_idp.errors import AuditUnavailable
from mcp_idp.http.responses import Response

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

    from mcp_idp.observability.audit import AuditLog
    from mcp_idp.tokens.jwks import JwksCache

LIVE = Response.json(200, {"status": "live"})
READY = Response.json(200, {"status": "ready"})
NOT_READY = Response.json(
    503,
    {
        "status": "waiting",
        "error": "identity_provider_unavailable",
        "error_description": "The identity provider's keys are not loaded yet. The log has the provider's response.",
    },
    ((b"retry-after", b"5"),),
)


AUDIT_UNAVAILABLE = Response.json(
    503,
    {
        "status": "waiting",
        "error": AuditUnavailable.code,
        "error_description": "The audit log cannot be written, so all calls are rejected. The log has the cause.",
    },
    ((b"retry-after", b"5"),),
)


def readiness_endpoint(keys: JwksCache | None, audit: AuditLog | None = None) -> ASGIApp:
    """Returns the readiness endpoint: 200 while requests can be served, else 503.

    The cached keys must be usable, which they also are during a provider outage, and the audit log writable.

    Args:
        keys: the keys of the primary issuer; None if there are no keys to wait for.
        audit: the audit log; None if there is none.
    """

    async def endpoint(scope: Scope, receive: Receive, send: Send) -> None:
        response = READY if keys is None or keys.usable else NOT_READY
        if audit is not None and not audit.retry():
            response = AUDIT_UNAVAILABLE
        await response(scope, receive, send)

    return endpoint
