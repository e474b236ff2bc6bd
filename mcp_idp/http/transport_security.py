"""Allow lists for Host and Origin, and CORS headers.

Both lists follow from the settings, never from the request: with DNS rebinding an attacker's page makes its own host
name resolve to this server (MCP transports 2026-07-28, "Security Warning").
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mcp_idp.config.settings import Settings
    from mcp_idp.http.responses import Headers

_LOOPBACK_HOST = re.compile(r"(localhost|127\.0\.0\.1|\[::1\])(:[0-9]{1,5})?", re.ASCII)
_LOOPBACK_ORIGIN = re.compile(r"https?://(localhost|127\.0\.0\.1|\[::1\])(:[0-9]{1,5})?", re.ASCII)
_EXPOSED = b"WWW-Authenticate, Mcp-Session-Id, MCP-Protocol-Version, Retry-After, RateLimit, RateLimit-Policy"
_ALLOWED_HEADERS = (
    b"Authorization, Content-Type, Accept, MCP-Protocol-Version, Mcp-Session-Id, Mcp-Method, Mcp-Name, Last-Event-ID, "
    b"DPoP"
)
# A parameter of a tool in a header of its own (SEP-2243). Its name is a token (RFC 9110 section 5.6.2).
_PARAMETER_HEADER = re.compile(rb"mcp-param-[!#$%&'*+.^_`|~0-9a-z-]{1,64}", re.IGNORECASE)
_MAX_PARAMETER_HEADERS = 32
_PREFLIGHT_SECONDS = b"600"


class TransportSecurity:
    """Decides which Host and Origin values are allowed.

    By default these are those of the public URL and loopback on any port. ALLOWED_HOSTS and ALLOWED_ORIGINS replace
    loopback by the values that they list.

    Args:
        settings: the public URL and the allow lists.
    """

    def __init__(self, settings: Settings) -> None:
        public = urlsplit(settings.public_url)
        default_port = {"http": ":80", "https": ":443"}[public.scheme]
        own = public.netloc.lower()
        self._hosts = {own, own.removesuffix(default_port), *(host.lower() for host in settings.allowed_hosts)}
        if public.port is None:
            self._hosts.add(own + default_port)
        self._loopback_hosts = not settings.allowed_hosts
        self._origins = {f"{public.scheme}://{own}".removesuffix(default_port), *settings.allowed_origins}
        self._loopback_origins = not settings.allowed_origins

    def is_allowed_host(self, host: bytes) -> bool:
        """Whether `host`, the value of a Host header, is allowed."""
        name = host.decode("latin-1").lower()
        return name in self._hosts or (self._loopback_hosts and _LOOPBACK_HOST.fullmatch(name) is not None)

    def is_host_alias(self, host: bytes) -> bool:
        """Whether an allowed `host` is only a loopback alias; to clients its URL is a different resource."""
        return host.decode("latin-1").lower() not in self._hosts

    def is_allowed_origin(self, origin: bytes) -> bool:
        """Whether a page of this origin may call this server; never true for `null`."""
        name = origin.decode("latin-1")
        return name in self._origins or (self._loopback_origins and _LOOPBACK_ORIGIN.fullmatch(name) is not None)


def cors_headers(origin: bytes) -> Headers:
    """Returns the headers that let a page of an allowed origin read the response.

    Credentials mode is not enabled, because this server uses no cookies.
    """
    return (
        (b"access-control-allow-origin", origin),
        (b"vary", b"Origin"),
        (b"access-control-expose-headers", _EXPOSED),
    )


def preflight_headers(origin: bytes, request_headers: Iterable[tuple[bytes, bytes]] = ()) -> Headers:
    """Returns the headers of a preflight response (Fetch standard, "CORS-preflight request").

    Preflights need no token.

    Args:
        origin: the allowed origin.
        request_headers: the headers of the request. Of the headers that it asks for, those that carry a parameter of a
            tool are allowed by name, because a wildcard does not cover requests with `Authorization`.
    """
    return (
        *cors_headers(origin),
        (b"access-control-allow-methods", b"GET, POST, DELETE"),
        (b"access-control-allow-headers", b", ".join([_ALLOWED_HEADERS, *_parameter_headers(request_headers)])),
        (b"access-control-max-age", _PREFLIGHT_SECONDS),
    )


def _parameter_headers(request_headers: Iterable[tuple[bytes, bytes]]) -> list[bytes]:
    """Returns the names of parameter headers that a preflight asks for, each once and in lower case, bounded."""
    requested = b",".join(value for name, value in request_headers if name == b"access-control-request-headers")
    words = (word.strip(b" \t").lower() for word in requested.split(b","))
    names = dict.fromkeys(word for word in words if _PARAMETER_HEADER.fullmatch(word))
    return list(names)[:_MAX_PARAMETER_HEADERS]


_FIRST_LETTERS = b"aAvV"


def merge_headers(from_application: Iterable[tuple[bytes, bytes]], added: Headers) -> list[tuple[bytes, bytes]]:
    """Returns the headers of an application's response with those of the middleware.

    The middleware decides which pages may read responses, so the application's own CORS headers are dropped: browsers
    reject a response with two of them (Fetch standard, "CORS check"). Both lists of `vary` are merged into one.

    Args:
        from_application: the application's headers.
        added: the headers to add, with lower-case names.
    """
    from_application = tuple(from_application)
    for name, _ in from_application:
        if name[:1] in _FIRST_LETTERS:
            break
    else:
        return [*from_application, *added]  # the common case: none of them can be one of the names below
    merged: list[tuple[bytes, bytes]] = []
    varies: dict[bytes, bytes] = {}
    for name, value in (*from_application, *added):
        lower = name.lower()
        if lower == b"vary":
            named = [part.strip() for part in value.split(b",")]
            varies |= {part.lower(): part for part in named if part and part.lower() not in varies}
        elif not lower.startswith(b"access-control-"):
            merged.append((name, value))
    merged += [header for header in added if header[0].startswith(b"access-control-")]
    if varies:
        merged.append((b"vary", b", ".join(varies.values())))
    return merged
