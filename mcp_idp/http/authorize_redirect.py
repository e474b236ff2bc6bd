"""Redirects authorization requests that clients send to this server (the quirk QUIRK_AUTHORIZE_REDIRECT).

Some clients ignore `authorization_servers` of the protected resource metadata (RFC 9728 section 5) and open
`/authorize` at the MCP server's own origin. The redirect leads to the authorization endpoint of the configured
provider, with the query as it is. The target never comes from the request, so this is no open redirect. Codes and
tokens do not pass through this server: it redirects no other endpoint.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from mcp_idp.http.metadata_mirror import UNAVAILABLE
from mcp_idp.http.responses import Response
from mcp_idp.util.urls import is_loopback, validate_http_url

if TYPE_CHECKING:
    from collections.abc import Container

    from starlette.types import Scope

    from mcp_idp.http.metadata_mirror import MetadataMirror

# RFC 3986 section 3.4, and what browsers send unescaped in addition.
_QUERY = re.compile(rb"[\x21\x24-\x3b\x3d\x3f-\x7e]*")
_MALFORMED = Response.json(400, {"error": "invalid_request", "error_description": "The query is malformed."})


class AuthorizeRedirect:
    """Builds the redirects.

    Args:
        mirror: the provider's metadata, with public URLs.
        own_urls: the URLs that are redirected; metadata that names one of them would cause a loop.
    """

    def __init__(self, mirror: MetadataMirror, own_urls: Container[str]) -> None:
        self._mirror = mirror
        self._own_urls = own_urls

    async def respond(self, scope: Scope) -> Response:
        """Returns the response to a GET request: the redirect, or an error if the provider's endpoint is not known."""
        query: bytes = scope["query_string"]
        if _QUERY.fullmatch(query) is None:
            return _MALFORMED
        endpoint = self._authorization_endpoint((await self._mirror.document()).get("authorization_endpoint"))
        if not endpoint:
            return UNAVAILABLE
        separator = b"&" if b"?" in endpoint else b"?"
        location = endpoint + separator + query if query else endpoint
        headers = (
            (b"location", location),
            (b"content-length", b"0"),
            (b"cache-control", b"no-store"),
            (b"referrer-policy", b"no-referrer"),
        )
        return Response(302, headers, b"")

    def _authorization_endpoint(self, url: object) -> bytes:
        """Returns the endpoint that the metadata names, or b"" if a browser must not be sent there.

        It is https, or http on loopback. It may have a query, but no fragment (RFC 6749 section 3.1).
        """
        if not isinstance(url, str):
            return b""
        base, mark, query = url.partition("?")
        try:
            validate_http_url("authorization_endpoint", base)
        except ValueError:
            return b""
        parts = urlsplit(base)
        is_protected = parts.scheme == "https" or is_loopback(parts.hostname or "")
        has_odd_query = bool(mark and not query) or _QUERY.fullmatch(query.encode()) is None
        if not is_protected or base in self._own_urls or has_odd_query:
            return b""
        return url.encode()
