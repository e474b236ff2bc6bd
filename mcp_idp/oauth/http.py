"""One bounded GET for a JSON document of the identity provider.

Whose certificates the identity provider may have: those of the usual authorities, and of one of your own.
"""

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
    """What connections to the provider are judged by; names and times are checked whatever the authority.

    Args:
        ca_file: certificates in PEM that count besides the usual ones.

    Raises:
        SettingsError: there is none in the file.
    """
    context = httpx.create_ssl_context(trust_env=False)
    if ca_file is not None:
        try:
            context.load_verify_locations(cafile=ca_file)
        except OSError as error:  # ssl.SSLError too: nothing in it is a certificate
            reason = error.strerror or type(error).__name__
            raise SettingsError(f"OAUTH_CA_FILE={ca_file}: no certificate can be read from it ({reason})") from error
    return context


MAX_DOCUMENT_BYTES = 512 * 1024
TIMEOUT_SECONDS = 5.0
_OK = 200


class FetchError(Exception):
    """The document could not be had; the text says which and why, for the log."""


async def fetch_json(http: httpx.AsyncClient, url: str, token: str | None = None) -> dict[str, Any]:
    """The JSON object at `url`, at most `MAX_DOCUMENT_BYTES` long, within `TIMEOUT_SECONDS` in all.

    `token` is shown as bearer (RFC 6750 section 2.1), where the document is for who has one. A redirect is not
    followed: it would let whoever answers choose the provider.

    Raises:
        FetchError: anything but 200 with a JSON object inside the bounds.
    """
    try:
        async with asyncio.timeout(TIMEOUT_SECONDS):
            body = await _read(http, url, token)
        document = strict_json.loads(body)
    except TimeoutError as error:
        raise FetchError(f"{url}: no answer within {TIMEOUT_SECONDS:g} s") from error
    except (httpx.HTTPError, httpx.InvalidURL, UnicodeError) as error:  # the last for a host that is no IDNA name
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
    """The body of a `response` that is under way from `url`, of at most `max_bytes` bytes as they came.

    Raises:
        FetchError: its status is none of `statuses`, or it is longer.
    """
    if response.status_code not in statuses:
        raise FetchError(f"{url}: status {response.status_code}")
    body = bytearray()
    async for chunk in response.aiter_raw():
        body += chunk
        if len(body) > max_bytes:
            raise FetchError(f"{url}: longer than {max_bytes} bytes")
    return bytes(body)
