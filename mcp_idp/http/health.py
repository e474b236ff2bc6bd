"""Whether the process lives, and whether it can judge tokens."""

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
    """Ready while keys are held that may be used, through an outage of the provider too. None: nothing to wait for."""

    async def endpoint(scope: Scope, receive: Receive, send: Send) -> None:
        response = READY if keys is None or keys.usable else NOT_READY
        await response(scope, receive, send)

    return endpoint
