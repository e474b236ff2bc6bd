"""Liveness and readiness: whether the process runs, can verify tokens and record decisions, and how full it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mcp_idp.errors import AuditUnavailable
from mcp_idp.http.responses import Response
from mcp_idp.util.request_memory import AUTHENTICATED_CALLBACK

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.types import ASGIApp, Receive, Scope, Send

    from mcp_idp.observability.audit import AuditLog
    from mcp_idp.tokens.jwks import JwksCache

LIVE = Response.json(200, {"status": "live"})
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


def readiness_endpoint(
    keys: JwksCache | None, usage: Callable[[], dict[str, int]], audit: AuditLog | None = None
) -> ASGIApp:
    """Returns the readiness endpoint: 200 while requests can be served, else 503.

    The cached keys must be usable, which they also are during a provider outage, and the audit log writable.

    The response says, for each part of the memory plan, how many percent of it are used.

    Args:
        keys: the keys of the primary issuer; None if there are no keys to wait for.
        usage: returns the percentages by part. Our HTTP server adds those of connections.
        audit: the audit log; None if there is none.
    """

    async def endpoint(scope: Scope, receive: Receive, send: Send) -> None:
        if audit is not None and not audit.retry():
            await AUDIT_UNAVAILABLE(scope, receive, send)
            return
        if keys is not None and not keys.usable:
            await NOT_READY(scope, receive, send)
            return
        server = scope.get("extensions", {}).get(AUTHENTICATED_CALLBACK)
        percent = {**usage(), **(server["usage"]() if server is not None else {})}
        await Response.json(200, {"status": "ready", "memory_percent": percent})(scope, receive, send)

    return endpoint
