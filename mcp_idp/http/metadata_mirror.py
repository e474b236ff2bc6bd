"""A copy of the provider's metadata, for clients that look for it at this server.

Its `issuer` remains the provider's, because tokens and redirects carry that value. URLs that only this process can
reach are replaced by public ones.
"""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import structlog

from mcp_idp.http.responses import Response
from mcp_idp.oauth.discovery import fetch_metadata
from mcp_idp.oauth.http import FetchError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    import httpx

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
        self._document: Mapping[str, Any] = {}
        self._cached: Response | None = None
        self._fresh_until = -1.0
        self._lock = asyncio.Lock()

    async def respond(self) -> Response:
        """Returns the metadata, cached for five minutes.

        While the provider is unreachable, the last copy is returned, or a 503 if there is none.
        """
        await self._ensure_fresh()
        return self._cached or UNAVAILABLE

    async def document(self) -> Mapping[str, Any]:
        """Returns the metadata, cached as for `respond`; an empty object if there is none."""
        await self._ensure_fresh()
        return self._document

    async def _ensure_fresh(self) -> None:
        async with self._lock:
            if self._monotonic() >= self._fresh_until:
                await self._renew()

    async def _renew(self) -> None:
        settings = self._settings
        try:
            document = await fetch_metadata(self._http, settings.server_url, settings.internal_url)
            self._document = _rewrite_internal_urls(document, settings)
            self._cached = _response_for(self._document)
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


UNAVAILABLE = Response.json(
    503,
    {"error": "identity_provider_unavailable", "error_description": "The identity provider cannot be reached."},
    ((b"retry-after", b"5"), ANY_ORIGIN),
)
