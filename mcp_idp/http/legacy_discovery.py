"""Authorization server metadata and error responses for clients that predate RFC 9728.

Clients of MCP 2025-03-26 look for the authorization server's metadata (RFC 8414) at the MCP server's own origin. With
LEGACY_DISCOVERY=true, a copy of the provider's metadata is served there. Its `issuer` remains the provider's, because
tokens and redirects carry that value. As this is not the origin of the request, a client that compares the two (RFC
8414 section 3.3) rejects the document, as it must; such clients know RFC 9728 and do not request it here.

Each use is counted and logged, so that an operator sees when LEGACY_DISCOVERY is no longer needed. If it is off, the
log shows what old clients requested.
"""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import structlog

from mcp_idp.http.responses import NOT_FOUND, Response
from mcp_idp.http.transport_security import preflight_headers
from mcp_idp.oauth.discovery import fetch_metadata
from mcp_idp.oauth.http import FetchError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    import httpx
    from starlette.types import ASGIApp, Receive, Scope, Send

    from mcp_idp.config.settings import Settings
    from mcp_idp.util.clock import Clock

log = structlog.get_logger(__name__)
_MAX_AGE_SECONDS = 300.0
_FAILED_SECONDS = 5.0
ANY_ORIGIN = (b"access-control-allow-origin", b"*")


class MetadataMirror:
    """Fetches and caches a copy of the provider's metadata.

    Args:
        settings: the issuer, and the URL at which this process reaches it.
        http: the client to use.
        clock: the time, for the age of the cached copy.
    """

    def __init__(self, settings: Settings, http: httpx.AsyncClient, clock: Clock) -> None:
        self._settings = settings
        self._http = http
        self._monotonic: Callable[[], float] = clock.monotonic
        self._cached: Response | None = None
        self._fresh_until = -1.0
        self._lock = asyncio.Lock()

    async def respond(self) -> Response:
        """Returns the metadata, cached for five minutes.

        While the provider is unreachable, the last copy is returned, or a 503 if there is none.
        """
        async with self._lock:
            if self._monotonic() >= self._fresh_until:
                await self._renew()
        return self._cached or _UNAVAILABLE

    async def _renew(self) -> None:
        settings = self._settings
        try:
            document = await fetch_metadata(self._http, settings.server_url, settings.internal_url)
            self._cached = _response_for(_rewrite_internal_urls(document, settings))
        except FetchError as error:
            log.warning("metadata_mirror_failed", error=str(error)[:500])
            self._fresh_until = self._monotonic() + _FAILED_SECONDS
        else:
            self._fresh_until = self._monotonic() + _MAX_AGE_SECONDS


def _response_for(document: Mapping[str, Any]) -> Response:
    headers = ((b"cache-control", b"max-age=60"), ANY_ORIGIN)
    return Response.json(200, document, headers)


def _rewrite_internal_urls(document: Mapping[str, Any], settings: Settings) -> Any:
    """Replaces the internal origin by the public one, because a provider may use the origin of the request in its URLs.

    Raises:
        FetchError: the result would still contain the provider's internal host.
    """
    inside, public = (_origin(url) for url in (settings.internal_url or settings.server_url, settings.server_url))
    # signed_metadata covers the original document, so it would not match the rewritten one.
    plain = {name: value for name, value in document.items() if name != "signed_metadata"}
    if inside == public:
        return plain
    outside = _replace_origin(plain, inside, public)
    if _names_host(outside, inside, public):
        raise FetchError(f"the document says where {inside} is, which is for this server only")
    return outside


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def _replace_origin(value: Any, inside: str, public: str) -> Any:
    """Returns `value` with the origin `inside` replaced by `public` in every URL."""
    match value:
        case str() if value == inside or value.startswith(f"{inside}/"):
            return public + value[len(inside) :]
        case dict():
            return {name: _replace_origin(member, inside, public) for name, member in value.items()}
        case list():
            return [_replace_origin(member, inside, public) for member in value]
        case _:
            return value


def _names_host(value: Any, inside: str, public: str) -> bool:
    """Whether a text in `value` names the host of `inside`, which clients do not reach.

    Hosts are compared as a whole (RFC 3986 section 3.2.2): `auth` is not in `https://auth.example.com` nor in a path.
    If both origins have the same host, the ports count too. Without a URL around it, a host counts with its port only.
    """
    internal, own = urlsplit(inside), urlsplit(public)
    host = re.escape(internal.hostname or "")
    with_port = rf"(?<![A-Za-z0-9.-]){host}\]?:{internal.port}(?![0-9])"
    in_url = rf"//(?:[^/?#\s]*@)?\[?{host}\.?\]?(?![A-Za-z0-9.\]-])"
    if internal.hostname == own.hostname:
        patterns = [rf"{in_url}(?!:)"] if internal.port is None else [with_port]
    else:
        patterns = [in_url] if internal.port is None else [in_url, with_port]
    pattern = re.compile("|".join(patterns), re.IGNORECASE)
    return any(pattern.search(text) for text in _texts(value))


def _texts(value: Any) -> Iterator[str]:
    """Yields every string in a JSON value, names of members included."""
    match value:
        case str():
            yield value
        case dict():
            yield from value
            for member in value.values():
                yield from _texts(member)
        case list():
            for member in value:
                yield from _texts(member)


_UNAVAILABLE = Response.json(
    503,
    {"error": "identity_provider_unavailable", "error_description": "The identity provider cannot be reached."},
    ((b"retry-after", b"5"), ANY_ORIGIN),
)


_LOG_SECONDS = 60.0
_MAX_LOGGED_CHARACTERS = 100
_WELL_KNOWN = ("/.well-known/oauth-authorization-server", "/.well-known/openid-configuration")
# The HTTP+SSE transport of MCP 2024-11-05, and the endpoints that 2025-03-26 clients fall back to without metadata.
_OLD_TRANSPORT = ("/sse", "/messages", "/messages/")
_FALLBACK_ENDPOINTS = ("/authorize", "/token", "/register")
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

    def record(self, path: str, scope: Scope, *, served: bool) -> None:
        """Records one request.

        Args:
            path: a path of `legacy_routes`; never a path taken from a request, so that requests cannot add entries.
            scope: the ASGI scope of the request.
            served: whether the request gets the metadata.
        """
        self.count[path] += 1
        self._unlogged[path] += 1
        now = self._clock.monotonic()
        if now - self._since.get(path, -_LOG_SECONDS) < _LOG_SECONDS:
            return
        self._since[path] = now
        agent = next((value for name, value in scope["headers"] if name == b"user-agent"), b"")
        log.info(
            "legacy_discovery_used" if served else "legacy_discovery_not_served",
            path=path,
            times=self._unlogged.pop(path),
            in_all=self.count[path],
            user_agent=ascii(agent.decode("latin-1"))[1:-1][:_MAX_LOGGED_CHARACTERS],
            hint=None if served else "LEGACY_DISCOVERY=true serves authorization-server metadata to old clients",
        )


def legacy_routes(settings: Settings, metadata: str, clock: Clock, http: httpx.AsyncClient) -> Mapping[str, ASGIApp]:
    """Returns the applications for the paths that old clients request, by path.

    With LEGACY_DISCOVERY the well-known paths serve the provider's metadata. All other paths respond 404 with advice.

    Args:
        settings: whether to serve the metadata, and of which provider.
        metadata: the URL of the protected resource metadata.
        clock: the time.
        http: the client for requests to the provider.
    """
    counter = LegacyRequestCounter(clock)
    where = {"url": settings.public_url, "metadata": metadata}
    advice = {kind: _not_served(text.format(**where)) for kind, text in _HINTS.items()}
    paths = {path: _not_found_endpoint(counter, path, advice["transport"]) for path in _OLD_TRANSPORT}
    paths |= {path: _not_found_endpoint(counter, path, advice["endpoint"]) for path in _FALLBACK_ENDPOINTS}
    forms = [form + end for form in _WELL_KNOWN for end in ("", settings.public_path)]
    if settings.legacy_discovery and not settings.disable_auth:
        mirror = MetadataMirror(settings, http, clock)
        return paths | {path: _mirror_endpoint(counter, path, mirror) for path in forms}
    return paths | {path: _not_found_endpoint(counter, path, advice["discovery"]) for path in forms}


def _mirror_endpoint(counter: LegacyRequestCounter, path: str, mirror: MetadataMirror) -> ASGIApp:
    async def endpoint(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] == "OPTIONS":
            await Response(204, preflight_headers(b"*"), b"").send(send)
            return
        counter.record(path, scope, served=True)
        await (await mirror.respond())(scope, receive, send)

    return endpoint


def _not_found_endpoint(counter: LegacyRequestCounter, path: str, response: Response) -> ASGIApp:
    async def endpoint(scope: Scope, receive: Receive, send: Send) -> None:
        del receive
        counter.record(path, scope, served=False)
        await response.send(send)

    return endpoint


def _not_served(advice: str) -> Response:
    return Response.json(NOT_FOUND.status, {"error": "not_found", "error_description": advice}, (ANY_ORIGIN,))
