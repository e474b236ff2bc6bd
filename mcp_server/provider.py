"""The identity provider as one thing: its metadata, its keys, and who verifies tokens by them."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import structlog

from mcp_server.issuers import IssuerRules
from mcp_server.provider_checks import check_audience
from mcp_server.providers import PROFILES
from mcp_server.verify.claims import ClaimRules
from mcp_server.verify.client_auth import client_auth
from mcp_server.verify.discovery import discover
from mcp_server.verify.endpoint import IntrospectionEndpoint
from mcp_server.verify.fetch import FetchError, fetch_json
from mcp_server.verify.introspection import IntrospectionVerifier
from mcp_server.verify.jwt import JwtVerifier
from mcp_server.verify.keyset import COOL_DOWN_SECONDS, KeySet
from mcp_server.verify.precheck import Precheck

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterable

    import httpx

    from mcp_server.access import Access
    from mcp_server.clock import Clock
    from mcp_server.principal import Principal
    from mcp_server.providers import ProviderProfile
    from mcp_server.settings import Settings

log = structlog.get_logger(__name__)
_FETCH_SECONDS = 10.0  # discovery and key set together


class IdentityProvider:
    """Verifies tokens of `settings.issuer`, and knows whether it could.

    While `keys` are usable, so is the address of the introspection endpoint, if that is asked: both are learnt in one
    go, are renewed together, and outlive an outage alike. `rules` are what its tokens must say; those of
    `machine_clients`, and of the ones that the access file's rules for this issuer name, need no person.
    """

    def __init__(
        self,
        settings: Settings,
        access: Access,
        clock: Clock,
        http: httpx.AsyncClient,
        machine_clients: Iterable[str] = (),
    ) -> None:
        self._settings = settings
        self._http = http
        # Scopes whose tokens the provider is asked about, although they are JWTs: where a withdrawal must count soon.
        # Only the first issuer knows this server: its credentials are not for others, whose tokens go without.
        self._asked_about = frozenset(access.introspect_for)
        self._access = access
        only_by_asking = settings.token_mode == "introspection"  # noqa: S105 - the mode's name
        self._introspects = only_by_asking or (bool(self._asked_about) and settings.can_introspect)
        self._introspection_url = settings.introspect_url or ""
        self.keys = KeySet(self._fetch_keys, clock, max_age=settings.key_max_age, max_stale=settings.key_max_stale)
        own = access.issuers.get(settings.server_url, IssuerRules())
        self._profile = _profile(settings, own)
        check_audience(settings, self._profile, own)
        self.rules = rules = _claim_rules(settings, access, self._profile, own, machine_clients)
        self._signed = signed = JwtVerifier(self.keys, rules, clock, max_bytes=settings.max_token_bytes)
        self._introspection = self._introspection_verifier(signed, rules, clock) if self._introspects else None
        # See `JwtVerifier.verify` and `IntrospectionVerifier.verify`.
        self.verify: Callable[[str], Coroutine[Any, Any, Principal]] = signed.verify
        if only_by_asking and self._introspection is not None:
            self.verify = self._introspection.verify
        elif self._asked_about:
            self.verify = self._verify_and_ask

    async def _verify_and_ask(self, token: str) -> Principal:
        principal = await self._signed.verify(token)
        if self._asked_about.isdisjoint(self._access.expand(principal.scopes)):
            return principal
        if self._introspection is None:
            return replace(principal, scopes=self._without_asking(principal.scopes))
        return await self._introspection.verify(token)

    def _without_asking(self, scopes: frozenset[str]) -> frozenset[str]:
        """What counts of a token that nobody can be asked about: none of the scopes that must be, and none broader."""
        good_for = self._access.expand(scopes)
        return frozenset(scope for scope in good_for if self._asked_about.isdisjoint(self._access.expand((scope,))))

    async def close(self) -> None:
        """End whatever is being asked of the provider."""
        if self._introspection is not None:
            await self._introspection.close()
        await self.keys.close()

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

    def _introspection_verifier(self, signed: JwtVerifier, rules: ClaimRules, clock: Clock) -> IntrospectionVerifier:
        settings = self._settings
        endpoint = IntrospectionEndpoint(self._http, self._where_to_ask, clock, client_auth(settings, clock))
        precheck = Precheck(
            signed if self._profile.signed else None, opaque=self._profile.opaque, max_bytes=settings.max_token_bytes
        )
        return IntrospectionVerifier(endpoint, rules, clock, precheck)

    async def _where_to_ask(self) -> str:
        await self.keys.ready()
        return self._introspection_url

    async def _fetch_keys(self) -> dict[str, Any]:
        """The key set, from where the metadata says it is. Asked anew each time: a provider may move it."""
        try:
            async with asyncio.timeout(_FETCH_SECONDS):
                return await fetch_json(self._http, await self._locate())
        except TimeoutError as error:
            raise FetchError(f"{self._settings.server_url}: no answer within {_FETCH_SECONDS:g} s") from error

    async def _locate(self) -> str:
        """Where the key set is; on the way, where to introspect."""
        settings = self._settings
        keys_at, introspect_at = settings.jwks_url, settings.introspect_url
        if keys_at is None or (self._introspects and introspect_at is None):
            found = await discover(self._http, settings.server_url, settings.internal_url)
            keys_at, introspect_at = keys_at or found.jwks_url, introspect_at or found.introspection_url
        if self._introspects and introspect_at is None:
            raise FetchError(
                f"{settings.server_url}: its metadata names no introspection_endpoint; set OAUTH_INTROSPECT_URL"
            )
        self._introspection_url = introspect_at or ""
        return keys_at


def _profile(settings: Settings, own: IssuerRules) -> ProviderProfile:
    """How the issuer writes its tokens: as the settings say, but for what the access file says of this issuer."""
    profile = PROFILES[own.provider] if own.provider else settings.provider
    if own.scopes_from is not None:
        profile = replace(profile, scopes_from_roles=own.scopes_from == "roles")
    return profile


def _claim_rules(
    settings: Settings, access: Access, profile: ProviderProfile, own: IssuerRules, machine_clients: Iterable[str]
) -> ClaimRules:
    """What tokens of the settings' issuer must say; the access file's rules for that issuer come first."""
    audience = own.audience or settings.audience
    roles_claim = own.roles_claim or (profile.roles_claim or access.roles_claim).replace("{}", audience)
    return ClaimRules(
        issuer=settings.issuer,
        aliases=frozenset(own.aliases) | profile.aliases_of(settings.issuer),
        audience=audience,
        clients=frozenset(own.clients),
        machine_clients=frozenset((*own.machine_clients, *machine_clients)),
        profile=profile,
        access=access,
        roles_claim=roles_claim,
        leeway=settings.clock_leeway,
        max_lifetime=settings.max_token_lifetime,
    )
