"""The identity provider as one thing: its metadata, its keys, and who verifies tokens by them."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import structlog

from mcp_server.verify.claims import ClaimRules
from mcp_server.verify.discovery import discover
from mcp_server.verify.fetch import FetchError, fetch_json
from mcp_server.verify.jwt import JwtVerifier
from mcp_server.verify.keyset import COOL_DOWN_SECONDS, KeySet

if TYPE_CHECKING:
    import httpx

    from mcp_server.access import Access
    from mcp_server.clock import Clock
    from mcp_server.principal import Principal
    from mcp_server.settings import Settings

log = structlog.get_logger(__name__)
_FETCH_SECONDS = 10.0  # discovery and key set together


class IdentityProvider:
    """Verifies tokens of `settings.issuer`, and knows whether it could."""

    def __init__(self, settings: Settings, access: Access, clock: Clock, http: httpx.AsyncClient) -> None:
        self._settings = settings
        self._http = http
        self.keys = KeySet(self._fetch_keys, clock, max_age=settings.key_max_age, max_stale=settings.key_max_stale)
        rules = ClaimRules(
            issuer=settings.issuer,
            audience=settings.audience,
            profile=settings.provider,
            roles_claim=access.roles_claim,
            leeway=settings.clock_leeway,
            max_lifetime=settings.max_token_lifetime,
        )
        self._verifier = JwtVerifier(self.keys, rules, clock, max_bytes=settings.max_token_bytes)

    async def verify(self, token: str) -> Principal:
        """See `JwtVerifier.verify`."""
        return await self._verifier.verify(token)

    async def wait_until_reached(self) -> None:
        """Fetch the keys, again and again until the provider answers; each failure is logged by the key set."""
        where = self._settings.internal_url or self._settings.server_url
        log.info("asking the identity provider for its keys", provider=self._settings.provider.name, at=where)
        await self.keys.refresh()
        while self.keys.fault is not None:
            log.warning("waiting for the identity provider", at=where, next_try_in_seconds=COOL_DOWN_SECONDS)
            await asyncio.sleep(COOL_DOWN_SECONDS)
            await self.keys.refresh()
        log.info("ready: the identity provider's keys are held", issuer=self._settings.issuer)

    async def _fetch_keys(self) -> dict[str, Any]:
        """The key set, from where the metadata says it is. Asked anew each time: a provider may move it."""
        try:
            async with asyncio.timeout(_FETCH_SECONDS):
                url = self._settings.jwks_url
                if url is None:
                    found = await discover(self._http, self._settings.server_url, self._settings.internal_url)
                    url = found.jwks_url
                return await fetch_json(self._http, url)
        except TimeoutError as error:
            raise FetchError(f"{self._settings.server_url}: no answer within {_FETCH_SECONDS:g} s") from error
