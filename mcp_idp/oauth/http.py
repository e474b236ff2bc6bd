"""Bounded HTTP requests to the identity provider, and the TLS trust for them."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import httpx

from mcp_idp.config.env import SettingsError
from mcp_idp.util import strict_json

if TYPE_CHECKING:
    import ssl
    from pathlib import Path


def ssl_context(ca_file: Path | None) -> ssl.SSLContext:
    """Returns the TLS context for connections to the provider; host names and validity periods are always checked.

    Args:
        ca_file: PEM file with CA certificates to trust in addition to the default ones.

    Raises:
        SettingsError: the file has no readable certificate.
    """
    context = httpx.create_ssl_context(trust_env=False)
    if ca_file is not None:
        try:
            context.load_verify_locations(cafile=ca_file)
        except OSError as error:  # includes ssl.SSLError, raised if the file has no certificate
            fault = f"no certificate can be read from it ({error.strerror})"
            raise SettingsError(f"OAUTH_CA_FILE={ca_file}: {fault}") from error
    return context


MAX_DOCUMENT_BYTES = 512 * 1024
TIMEOUT_SECONDS = 5.0
_OK = 200


class FetchError(Exception):
    """A document could not be fetched; the text names its URL and the reason, for the log."""


async def fetch_json(http: httpx.AsyncClient, url: str, token: str | None = None) -> dict[str, Any]:
    """Fetches the JSON object at `url`, of at most `MAX_DOCUMENT_BYTES`, within `TIMEOUT_SECONDS` in total.

    Redirects are not followed, because a redirect could replace the provider.

    Args:
        http: the client to use.
        url: the URL of the document.
        token: sent as a bearer token (RFC 6750 section 2.1); None to send none.

    Raises:
        FetchError: the response is not a 200 with a JSON object within the limits.
    """
    try:
        async with asyncio.timeout(TIMEOUT_SECONDS):
            body = await _read(http, url, token)
        document = strict_json.loads(body)
    except TimeoutError as error:
        raise FetchError(f"{url}: no response within {TIMEOUT_SECONDS:g} s") from error
    except (httpx.HTTPError, httpx.InvalidURL, UnicodeError) as error:  # UnicodeError: invalid IDNA host
        raise FetchError(f"{url}: {type(error).__name__}: {error}") from error
    except strict_json.StrictJsonError as error:
        raise FetchError(f"{url}: {error}") from error
    if not isinstance(document, dict):
        raise FetchError(f"{url}: not a JSON object")
    return document


async def _read(http: httpx.AsyncClient, url: str, token: str | None) -> bytes:
    headers = {"accept": "application/json", "accept-encoding": "identity"}
    if token is not None:
        headers["authorization"] = f"Bearer {token}"
    async with http.stream("GET", url, headers=headers, follow_redirects=False) as response:
        return await read_bounded(response, url, MAX_DOCUMENT_BYTES)


async def read_bounded(
    response: httpx.Response, url: str, max_bytes: int, statuses: frozenset[int] = frozenset({_OK})
) -> bytes:
    """Reads the body of a streamed response.

    Args:
        response: the response, whose body has not been read.
        url: for the error text.
        max_bytes: maximum length of the body, in bytes before content decoding.
        statuses: the accepted HTTP statuses.

    Raises:
        FetchError: the status is not accepted, or the body is too long.
    """
    if response.status_code not in statuses:
        raise FetchError(f"{url}: status {response.status_code}")
    body = bytearray()
    async for chunk in response.aiter_raw():
        body += chunk
        if len(body) > max_bytes:
            raise FetchError(f"{url}: longer than {max_bytes} bytes")
    return bytes(body)
