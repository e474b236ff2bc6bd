"""Discovers the provider's endpoints: RFC 8414 section 3, OpenID Connect Discovery 1.0 section 4.

An issuer may have two URLs: the public one, used in `iss` and by browsers, and an internal one at which this process
reaches it. The metadata document is fetched from the internal URL and must name the public issuer. Endpoints at the
public origin are rewritten to the internal origin.
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
    """The endpoints in the provider's metadata that token verification uses, as URLs that this process can reach."""

    jwks_url: str
    introspection_url: str | None


def well_known_urls(base: str) -> tuple[str, ...]:
    """Returns the well-known metadata URLs of an issuer, in the order in which they are tried.

    Args:
        base: the URL of the issuer; a trailing slash is ignored.
    """
    parts = urlsplit(base)
    origin, path = f"{parts.scheme}://{parts.netloc}", parts.path.rstrip("/")
    urls = (
        f"{origin}/.well-known/oauth-authorization-server{path}",
        f"{origin}/.well-known/openid-configuration{path}",
        f"{origin}{path}/.well-known/openid-configuration",
    )
    return tuple(dict.fromkeys(urls))


async def discover(http: httpx.AsyncClient, issuer: str, internal_url: str | None = None) -> ProviderMetadata:
    """Discovers the endpoints that token verification uses.

    Args:
        http: the client to use.
        issuer: as in `fetch_metadata`.
        internal_url: as in `fetch_metadata`.

    Raises:
        FetchError: as in `fetch_metadata`.
    """
    return _parse_metadata(await fetch_metadata(http, issuer, internal_url), issuer, internal_url or issuer)


async def find_token_endpoint(http: httpx.AsyncClient, issuer: str, internal_url: str | None = None) -> str:
    """Discovers the token endpoint and returns its URL.

    This is separate from `discover`, so that an unusable token endpoint does not affect token verification.

    Args:
        http: the client to use.
        issuer: as in `fetch_metadata`.
        internal_url: as in `fetch_metadata`.

    Raises:
        FetchError: as in `fetch_metadata`, or the document has no usable `token_endpoint`.
    """
    base = internal_url or issuer
    url = _internal_url(await fetch_metadata(http, issuer, internal_url), "token_endpoint", issuer, base)
    if url is None:
        raise FetchError(f"{base}: the document has no token_endpoint")
    return url


async def fetch_metadata(http: httpx.AsyncClient, issuer: str, internal_url: str | None = None) -> dict[str, Any]:
    """Fetches the provider's metadata from the first well-known URL that has a usable document.

    Args:
        http: the client to use.
        issuer: the issuer identifier, which must equal the document's `issuer` byte for byte (RFC 8414 section 3.3).
        internal_url: the URL at which this process reaches the issuer; None if that is the issuer identifier.

    Returns:
        The whole document, with its URLs unchanged.

    Raises:
        FetchError: no well-known URL has a usable document; the text lists the error of each.
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
    """Returns the URL in `member`, moved from the public to the internal origin; None if the member is absent."""
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
    """Rejects an endpoint at a third origin that would enable SSRF or a downgrade to http.

    Such an origin must not be a private address unless the provider's own is, nor plain http if the provider is https.
    """
    requested, found = urlsplit(base), urlsplit(url)
    if is_private(found.hostname or "") and not is_private(requested.hostname or ""):
        raise FetchError(f"{base}: {member} {url!r} points inside this network")
    if found.scheme == "http" and requested.scheme == "https":
        raise FetchError(f"{base}: {member} {url!r} is not https")
