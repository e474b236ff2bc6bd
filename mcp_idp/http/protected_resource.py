"""Protected resource metadata: RFC 9728."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mcp_idp.http.responses import Response
from mcp_idp.http.transport_security import preflight_headers

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

    from mcp_idp.access.policy import AccessPolicy
    from mcp_idp.config.settings import Settings

WELL_KNOWN_PATH = "/.well-known/oauth-protected-resource"
_MAX_AGE_SECONDS = 60


def metadata_url(settings: Settings) -> str:
    """Returns the URL of the document: the well-known segment goes between host and path (RFC 9728 section 3.1)."""
    return f"{settings.public_origin}{WELL_KNOWN_PATH}{settings.public_path}"


def metadata_paths(settings: Settings) -> tuple[str, str]:
    """Returns the paths of the document: with the resource's path, and without it for clients that look there."""
    return WELL_KNOWN_PATH + settings.public_path, WELL_KNOWN_PATH


def metadata_response(settings: Settings, access: AccessPolicy) -> Response:
    """Builds the response with the document.

    `resource` is the public URL unchanged, because clients compare it with the URL they use (RFC 9728 section 3.3).
    `scopes_supported` lists the scopes to request at login (`login_scopes`): privileged scopes are requested only when
    a call requires them, and `offline_access` is between client and provider (MCP authorization 2026-07-28, SEP-2207).

    Args:
        settings: the URLs of the resource and of the primary issuer.
        access: further issuers, the login scopes and the resource's name.
    """
    document = {
        "resource": settings.public_url,
        "authorization_servers": list(dict.fromkeys((settings.server_url, *access.issuers))),
        "scopes_supported": access.with_scope_prefix(access.login_scopes),
        "bearer_methods_supported": ["header"],
        "resource_name": access.resource.name,
        "resource_documentation": f"{settings.public_origin}/",
    }
    headers = (
        (b"cache-control", b"max-age=%d" % _MAX_AGE_SECONDS),
        (b"access-control-allow-origin", b"*"),
    )
    return Response.json(200, document, headers)


def metadata_endpoint(document: Response) -> ASGIApp:
    """Returns the ASGI application that serves the document, to web pages of any origin because it is public.

    It also answers CORS preflights, which browsers send before a request with MCP headers.
    """

    async def endpoint(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] == "OPTIONS":
            await Response(204, preflight_headers(b"*"), b"").send(send)
        else:
            await document(scope, receive, send)

    return endpoint
