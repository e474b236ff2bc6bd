"""A copy of the provider's metadata, for clients that look for it at this server (see `legacy_discovery`)."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import structlog

from mcp_server.answer import Answer
from mcp_server.verify.discovery import fetch_metadata
from mcp_server.verify.fetch import FetchError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import httpx

    from mcp_server.clock import Clock
    from mcp_server.settings import Settings

log = structlog.get_logger(__name__)
_MAX_AGE_SECONDS = 300.0
_FAILED_SECONDS = 5.0
ANY_ORIGIN = (b"access-control-allow-origin", b"*")


class Mirror:
    """The provider's metadata as an ASGI application.

    Args:
        settings: who the provider is, and where this process reaches it.
        http: the client to ask with.
        clock: for the age of what is held.
    """

    def __init__(self, settings: Settings, http: httpx.AsyncClient, clock: Clock) -> None:
        self._settings = settings
        self._http = http
        self._monotonic: Callable[[], float] = clock.monotonic
        self._held: Answer | None = None
        self._fresh_until = -1.0
        self._one_at_a_time = asyncio.Lock()

    async def answer(self) -> Answer:
        """The document, held for some minutes; through an outage the last one; 503 where there never was one."""
        async with self._one_at_a_time:
            if self._monotonic() >= self._fresh_until:
                await self._renew()
        return self._held or _UNAVAILABLE

    async def _renew(self) -> None:
        settings = self._settings
        try:
            document = await fetch_metadata(self._http, settings.server_url, settings.internal_url)
            self._held = _answer(_public(document, settings))
        except FetchError as error:
            log.warning("the provider's metadata cannot be mirrored", fault=str(error)[:500])
            self._fresh_until = self._monotonic() + _FAILED_SECONDS
        else:
            self._fresh_until = self._monotonic() + _MAX_AGE_SECONDS


def _answer(document: Mapping[str, Any]) -> Answer:
    headers = ((b"cache-control", b"max-age=60"), ANY_ORIGIN)
    return Answer.of_json(200, document, headers)


def _public(document: Mapping[str, Any], settings: Settings) -> Any:
    """The document as the outside sees it: a provider may name the address that it was asked at.

    Raises:
        FetchError: part of it would still say where inside the network the provider is.
    """
    inside, public = (_origin(url) for url in (settings.internal_url or settings.server_url, settings.server_url))
    # What the provider signed speaks of the document as it was.
    plain = {name: value for name, value in document.items() if name != "signed_metadata"}
    if inside == public:
        return plain
    outside = _replaced(plain, inside, public)
    if inside.partition("//")[2] in json.dumps(outside, ensure_ascii=False):
        raise FetchError(f"the document says where {inside} is, which is for this server only")
    return outside


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def _replaced(value: Any, inside: str, public: str) -> Any:
    """`value` with every URL at the origin `inside` at the origin `public`."""
    match value:
        case str() if value == inside or value.startswith(f"{inside}/"):
            return public + value[len(inside) :]
        case dict():
            return {name: _replaced(member, inside, public) for name, member in value.items()}
        case list():
            return [_replaced(member, inside, public) for member in value]
        case _:
            return value


_UNAVAILABLE = Answer.of_json(
    503,
    {"error": "identity_provider_unavailable", "error_description": "The identity provider cannot be reached."},
    ((b"retry-after", b"5"), ANY_ORIGIN),
)
