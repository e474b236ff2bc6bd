"""A browser's cookies for one login, by RFC 6265 with one exception.

`Secure` cookies are sent over http: Keycloak marks its cookies Secure on http://localhost too, where browsers accept
them because loopback is trustworthy. The jars of HTTP libraries do not. Ports do not separate cookies (section 8.5).
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    import httpx2


class Cookies:
    """Cookies by host, path and name. `Domain` is ignored: a cookie goes back to the host that set it."""

    def __init__(self) -> None:
        self._values: dict[tuple[str, str, str], str] = {}

    def take(self, response: httpx2.Response) -> None:
        """Keep or drop what `response` says."""
        url = response.request.url
        for line in response.headers.get_list("set-cookie"):
            pair, *attributes = line.split(";")
            name, equals, value = pair.strip().partition("=")
            named = {k.strip().lower(): v.strip() for k, _, v in (part.partition("=") for part in attributes)}
            path = named.get("path", "")
            if not path.startswith("/"):
                path = url.path.rpartition("/")[0] or "/"
            if not equals or not name:
                continue
            key = (url.host, path, name)
            if named.get("max-age", "").startswith(("0", "-")) or " 1970 " in named.get("expires", "").replace(
                "-", " "
            ):
                self._values.pop(key, None)
            else:
                self._values[key] = value

    def header(self, url: str) -> str:
        """The `Cookie` header for `url`; the longer paths first (section 5.4)."""
        parts = urlsplit(url)
        fitting = [
            (path, f"{name}={value}")
            for (host, path, name), value in self._values.items()
            if host == (parts.hostname or "") and _path_matches(parts.path or "/", path)
        ]
        return "; ".join(pair for _, pair in sorted(fitting, key=lambda item: -len(item[0])))


def _path_matches(request: str, cookie: str) -> bool:
    """RFC 6265 section 5.1.4."""
    return request == cookie or (request.startswith(cookie) and (cookie.endswith("/") or request[len(cookie)] == "/"))
