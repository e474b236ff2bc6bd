"""The protected resource metadata: RFC 9728."""

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
    """Where the document is: the well-known segment goes between host and path (RFC 9728 section 3.1)."""
    return f"{settings.public_origin}{WELL_KNOWN_PATH}{settings.public_path}"


def metadata_paths(settings: Settings) -> tuple[str, str]:
    """The two paths it is served at: with the resource's path, and at the root for clients that look there."""
    return WELL_KNOWN_PATH + settings.public_path, WELL_KNOWN_PATH


def metadata_response(settings: Settings, access: AccessPolicy) -> Response:
    """The document: `resource` is the public URL as it is, for clients compare it with the URL they use (section 3.3).

    `scopes_supported` is what a login asks for; privileged scopes are asked for when a call needs them, and
    `offline_access` is between client and provider (MCP authorization 2026-07-28, SEP-2207).
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
    """Serves the document to any page: it is public. A page that sends MCP headers asks by a preflight first."""

    async def endpoint(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] == "OPTIONS":
            await Response(204, preflight_headers(b"*"), b"").send(send)
        else:
            await document(scope, receive, send)

    return endpoint
