"""Where an issuer publishes its keys: RFC 8414 section 3, OpenID Connect Discovery 1.0 section 4.

One issuer may have two addresses: the public one in `iss` and in browsers, and an internal one at which this process
reaches it. The document is fetched from the internal one, must name the public issuer, and what it says of the public
origin is read as the internal one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import structlog

from mcp_idp.oauth.http import FetchError, fetch_json
from mcp_idp.util.urls import is_private, validate_http_url

if TYPE_CHECKING:
    import httpx

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class ProviderMetadata:
    """What this server needs of the provider's metadata, as URLs it can reach."""

    jwks_url: str
    introspection_url: str | None


def well_known_urls(base: str) -> tuple[str, ...]:
    """The well-known URLs of the issuer at `base`, in the order they are tried. Its last slash is no part of them."""
    parts = urlsplit(base)
    origin, path = f"{parts.scheme}://{parts.netloc}", parts.path.rstrip("/")
    urls = (
        f"{origin}/.well-known/oauth-authorization-server{path}",
        f"{origin}/.well-known/openid-configuration{path}",
        f"{origin}{path}/.well-known/openid-configuration",
    )
    return tuple(dict.fromkeys(urls))


async def discover(http: httpx.AsyncClient, issuer: str, internal_url: str | None = None) -> ProviderMetadata:
    """What this server needs to know of the provider; arguments and error as those of `fetch_metadata`."""
    return _parse_metadata(await fetch_metadata(http, issuer, internal_url), issuer, internal_url or issuer)


async def find_token_endpoint(http: httpx.AsyncClient, issuer: str, internal_url: str | None = None) -> str:
    """Where the provider gives tokens. Not a part of `discover`: a fault in it is none of who only checks tokens.

    Raises:
        FetchError: as `fetch_metadata`, or the document has no address for it that could be used.
    """
    base = internal_url or issuer
    url = _internal_url(await fetch_metadata(http, issuer, internal_url), "token_endpoint", issuer, base)
    if url is None:
        raise FetchError(f"{base}: the document has no token_endpoint")
    return url


async def fetch_metadata(http: httpx.AsyncClient, issuer: str, internal_url: str | None = None) -> dict[str, Any]:
    """Ask the provider for its metadata: the whole document, as it was found at the address that was asked.

    Args:
        http: the client to ask with.
        issuer: the identifier the document must have, byte for byte (RFC 8414 section 3.3).
        internal_url: where this process reaches the same issuer, if not at its identifier.

    Raises:
        FetchError: no candidate gave a usable document; the text lists what each answered.
    """
    faults: list[str] = []
    for url in well_known_urls(internal_url or issuer):
        try:
            document = await fetch_json(http, url)
            _parse_metadata(document, issuer, internal_url or issuer)
        except FetchError as error:
            faults.append(str(error))
        else:
            return document
    raise FetchError("; ".join(faults))


def _parse_metadata(document: dict[str, Any], issuer: str, base: str) -> ProviderMetadata:
    named = document.get("issuer")
    if named != issuer:
        raise FetchError(f"{base}: the document is of the issuer {str(named)[:200]!r}, expected {issuer!r}")
    jwks_url = _internal_url(document, "jwks_uri", issuer, base)
    if jwks_url is None:
        raise FetchError(f"{base}: the document has no jwks_uri")
    return ProviderMetadata(jwks_url, _internal_url(document, "introspection_endpoint", issuer, base))


def _internal_url(document: dict[str, Any], member: str, issuer: str, base: str) -> str | None:
    """The URL in `member`, at the internal origin if it is at the public one."""
    url = document.get(member)
    if url is None:
        return None
    if not isinstance(url, str):
        raise FetchError(f"{base}: {member} is not a string")
    try:
        validate_http_url(member, url)
    except ValueError as error:
        raise FetchError(f"{base}: {error}") from error
    public, inside, found = urlsplit(issuer), urlsplit(base), urlsplit(url)
    if (found.scheme, found.netloc) == (public.scheme, public.netloc):
        return found._replace(scheme=inside.scheme, netloc=inside.netloc).geturl()
    if (found.scheme, found.netloc) == (inside.scheme, inside.netloc):
        return url
    _reject_ssrf_target(member, url, base)
    return url


def _reject_ssrf_target(member: str, url: str, base: str) -> None:
    """A third origin may not be inside our network, nor in the clear where the provider itself is not."""
    requested, found = urlsplit(base), urlsplit(url)
    if is_private(found.hostname or "") and not is_private(requested.hostname or ""):
        raise FetchError(f"{base}: {member} {url!r} points inside this network")
    if found.scheme == "http" and requested.scheme == "https":
        raise FetchError(f"{base}: {member} {url!r} is not https")
