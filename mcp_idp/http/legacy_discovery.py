"""Authorization server metadata and error responses for clients that do not follow RFC 9728.

Clients of MCP 2025-03-26 look for the authorization server's metadata (RFC 8414) at the MCP server's own origin. With
LEGACY_DISCOVERY=true, a copy of the provider's metadata is served there. Its `issuer` remains the provider's, because
tokens and redirects carry that value. As this is not the origin of the request, a client that compares the two (RFC
8414 section 3.3) rejects the document, as it must; such clients know RFC 9728 and do not request it here.

Clients that request authorization at this server, instead of at the one that the metadata names, get 404 with advice,
or with QUIRK_AUTHORIZE_REDIRECT=true a redirect.

Each use is counted and logged, so that an operator sees when a setting is no longer needed. If it is off, the log shows
what clients requested.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import structlog

from mcp_idp.http.authorize_redirect import AuthorizeRedirect
from mcp_idp.http.metadata_mirror import ANY_ORIGIN, MetadataMirror
from mcp_idp.http.responses import NOT_FOUND, Response
from mcp_idp.http.transport_security import preflight_headers

if TYPE_CHECKING:
    from collections.abc import Mapping

    import httpx
    from starlette.types import ASGIApp, Receive, Scope, Send

    from mcp_idp.config.settings import Settings
    from mcp_idp.util.clock import Clock

log = structlog.get_logger(__name__)
_LOG_SECONDS = 60.0
_MAX_LOGGED_CHARACTERS = 100
_WELL_KNOWN = ("/.well-known/oauth-authorization-server", "/.well-known/openid-configuration")
# The HTTP+SSE transport of MCP 2024-11-05, and the endpoints that 2025-03-26 clients fall back to without metadata.
_OLD_TRANSPORT = ("/sse", "/messages", "/messages/")
_AUTHORIZE = "/authorize"
_FALLBACK_ENDPOINTS = (_AUTHORIZE, "/token", "/register")
_REDIRECTED, _NOT_REDIRECTED = "authorization_request_redirected", "authorization_request_not_redirected"
_SERVED, _NOT_SERVED = "legacy_discovery_used", "legacy_discovery_not_served"
_SWITCHES = {
    _NOT_SERVED: "LEGACY_DISCOVERY=true serves authorization-server metadata to old clients",
    _NOT_REDIRECTED: "QUIRK_AUTHORIZE_REDIRECT=true redirects them to the provider",
}
_HINTS = {
    "transport": "The HTTP+SSE transport is not served. Use a client that speaks Streamable HTTP, with the URL {url}.",
    "endpoint": "This is no authorization server: its metadata at {metadata} names it.",
    "discovery": "The authorization server's metadata is at the authorization server, which {metadata} names. "
    "For clients that cannot read that, the operator can set LEGACY_DISCOVERY=true.",
}


class LegacyRequestCounter:
    """Counts and logs requests of old clients.

    For each path it logs the first request, then at most one line per minute with the number of requests.

    Args:
        clock: the time, to limit the log lines.

    Attributes:
        count: the number of requests by path.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._since: dict[str, float] = {}
        self.count: Counter[str] = Counter()
        self._unlogged: Counter[str] = Counter()

    def record(self, path: str, scope: Scope, event: str) -> None:
        """Records one request.

        Args:
            path: a path of `legacy_routes`; never a path taken from a request, so that requests cannot add entries.
            scope: the ASGI scope of the request.
            event: the name of the log line: what the client got.
        """
        self.count[path] += 1
        self._unlogged[path] += 1
        now = self._clock.monotonic()
        if now - self._since.get(path, -_LOG_SECONDS) < _LOG_SECONDS:
            return
        self._since[path] = now
        agent = next((value for name, value in scope["headers"] if name == b"user-agent"), b"")
        log.info(
            event,
            path=path,
            times=self._unlogged.pop(path),
            in_all=self.count[path],
            user_agent=ascii(agent.decode("latin-1"))[1:-1][:_MAX_LOGGED_CHARACTERS],
            hint=_SWITCHES.get(event),
        )


def legacy_routes(settings: Settings, metadata: str, clock: Clock, http: httpx.AsyncClient) -> Mapping[str, ASGIApp]:
    """Returns the applications for the paths that clients request which do not follow RFC 9728, by path.

    With LEGACY_DISCOVERY the well-known paths serve the provider's metadata. With QUIRK_AUTHORIZE_REDIRECT, GET
    requests for `/authorize` are redirected to the provider. All other requests get 404 with advice. Clients look at
    the root and below the path of MCP.

    Args:
        settings: what to serve, and of which provider.
        metadata: the URL of the protected resource metadata.
        clock: the time.
        http: the client for requests to the provider.
    """
    counter = LegacyRequestCounter(clock)
    where = {"url": settings.public_url, "metadata": metadata}
    advice = {kind: _not_served(text.format(**where)) for kind, text in _HINTS.items()}
    bases = ("", settings.public_path)
    endpoints = [base + path for path in _FALLBACK_ENDPOINTS for base in bases]
    forms = [form + end for form in _WELL_KNOWN for end in bases]
    below = [settings.public_path + form for form in _WELL_KNOWN]
    paths = {path: _not_found_endpoint(counter, path, advice["transport"]) for path in _OLD_TRANSPORT}
    paths |= {path: _not_found_endpoint(counter, path, advice["endpoint"]) for path in endpoints}
    paths |= {path: _not_found_endpoint(counter, path, advice["discovery"]) for path in (*forms, *below)}
    if settings.disable_auth:
        return paths
    mirror = MetadataMirror(settings, http, clock)
    if settings.quirk_authorize_redirect:
        redirected = [base + _AUTHORIZE for base in bases]
        redirect = AuthorizeRedirect(mirror, {settings.public_origin + path for path in redirected})
        for path in redirected:
            paths[path] = _redirect_endpoint(counter, path, redirect, advice["endpoint"])
    if settings.legacy_discovery:
        paths |= {path: _mirror_endpoint(counter, path, mirror) for path in forms}
    return paths


def _mirror_endpoint(counter: LegacyRequestCounter, path: str, mirror: MetadataMirror) -> ASGIApp:
    async def endpoint(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] == "OPTIONS":
            await Response(204, preflight_headers(b"*"), b"").send(send)
            return
        counter.record(path, scope, _SERVED)
        await (await mirror.respond())(scope, receive, send)

    return endpoint


def _redirect_endpoint(
    counter: LegacyRequestCounter, path: str, redirect: AuthorizeRedirect, other: Response
) -> ASGIApp:
    """Returns an application that redirects GET and HEAD; any other method gets `other`."""

    async def endpoint(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] not in {"GET", "HEAD"}:
            counter.record(path, scope, _NOT_SERVED)
            await other.send(send)
            return
        counter.record(path, scope, _REDIRECTED)
        await (await redirect.respond(scope))(scope, receive, send)

    return endpoint


def _not_found_endpoint(counter: LegacyRequestCounter, path: str, response: Response) -> ASGIApp:
    async def endpoint(scope: Scope, receive: Receive, send: Send) -> None:
        del receive
        is_redirectable = path.endswith(_AUTHORIZE) and scope["method"] == "GET"
        counter.record(path, scope, _NOT_REDIRECTED if is_redirectable else _NOT_SERVED)
        await response.send(send)

    return endpoint


def _not_served(advice: str) -> Response:
    return Response.json(NOT_FOUND.status, {"error": "not_found", "error_description": advice}, (ANY_ORIGIN,))
