"""Liveness and readiness endpoints: whether the process runs, and whether it can verify tokens."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mcp_idp.http.responses import Response

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

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


def readiness_endpoint(keys: JwksCache | None) -> ASGIApp:
    """Returns the readiness endpoint: 200 while the cached keys are usable, also during a provider outage, else 503.

    Args:
        keys: the keys of the primary issuer; None if there are no keys to wait for, then always 200.
    """

    async def endpoint(scope: Scope, receive: Receive, send: Send) -> None:
        response = READY if keys is None or keys.usable else NOT_READY
        await response(scope, receive, send)

    return endpoint
