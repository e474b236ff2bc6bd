"""The identity provider as one thing: its metadata, its keys, and who verifies tokens by them.

Every issuer whose tokens count: the one of OAUTH_SERVER_URL, and those of the access file.

Each has its own keys, cache and rules, so no key of one ever verifies a token of another. Which one judges a token
follows from the `iss` that the token claims; that claim then has to hold by that issuer's own signature.
"""

from __future__ import annotations

import asyncio
import re
from base64 import urlsafe_b64decode
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import structlog

from mcp_idp.access.models import IssuerOverrides
from mcp_idp.config.env import SettingsError
from mcp_idp.config.validation import validate_provider
from mcp_idp.oauth.client_auth import client_auth_from_settings
from mcp_idp.oauth.discovery import discover
from mcp_idp.oauth.endpoints import IntrospectionEndpoint
from mcp_idp.oauth.http import FetchError, fetch_json
from mcp_idp.providers import PROFILES, profile_for
from mcp_idp.tokens.claims import ClaimsPolicy
from mcp_idp.tokens.introspection import IntrospectionVerifier, LocalPrecheck
from mcp_idp.tokens.jwks import REFRESH_COOLDOWN_SECONDS, JwksCache
from mcp_idp.tokens.jwt import JwtVerifier
from mcp_idp.util import strict_json

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterable

    import httpx

    from mcp_idp.access.policy import AccessPolicy
    from mcp_idp.config.settings import Settings
    from mcp_idp.principal import Principal
    from mcp_idp.providers import ProviderProfile
    from mcp_idp.util.clock import Clock

log = structlog.get_logger(__name__)
_FETCH_SECONDS = 10.0  # discovery and key set together


class IssuerVerifier:
    """Verifies tokens of `settings.issuer`, and knows whether it could.

    While `keys` are usable, so is the address of the introspection endpoint, if that is asked: both are learnt in one
    go, are renewed together, and outlive an outage alike. `rules` are what its tokens must say; those of
    `service_clients`, and of the ones that the access file's rules for this issuer name, need no person.
    """

    def __init__(
        self,
        settings: Settings,
        access: AccessPolicy,
        clock: Clock,
        http: httpx.AsyncClient,
        service_clients: Iterable[str] = (),
    ) -> None:
        self._settings = settings
        self._http = http
        # Scopes whose tokens the provider is asked about, although they are JWTs: where a withdrawal must count soon.
        # Only the first issuer knows this server: its credentials are not for others, whose tokens go without.
        self._introspected_scopes = frozenset(access.introspect_for)
        self._access = access
        introspection_only = settings.token_mode == "introspection"  # noqa: S105 - the mode's name
        self._introspects = introspection_only or (bool(self._introspected_scopes) and settings.has_client_credentials)
        self._introspection_url = settings.introspect_url or ""
        self.keys = JwksCache(self._fetch_keys, clock, max_age=settings.key_max_age, max_stale=settings.key_max_stale)
        own = access.issuers.get(settings.server_url, IssuerOverrides())
        self._profile = _profile(settings, own)
        check_audience(settings, self._profile, own)
        self.rules = rules = _claim_rules(settings, access, self._profile, own, service_clients)
        self._signed = signed = JwtVerifier(self.keys, rules, clock, max_bytes=settings.max_token_bytes)
        self._introspection = self._introspection_verifier(signed, rules, clock) if self._introspects else None
        # See `JwtVerifier.verify` and `IntrospectionVerifier.verify`.
        self.verify: Callable[[str], Coroutine[Any, Any, Principal]] = signed.verify
        if introspection_only and self._introspection is not None:
            self.verify = self._introspection.verify
        elif self._introspected_scopes:
            self.verify = self._verify_and_introspect

    async def _verify_and_introspect(self, token: str) -> Principal:
        principal = await self._signed.verify(token)
        if self._introspected_scopes.isdisjoint(self._access.effective_scopes(principal.scopes)):
            return principal
        if self._introspection is None:
            return replace(principal, scopes=self._drop_introspected_scopes(principal.scopes))
        return await self._introspection.verify(token)

    def _drop_introspected_scopes(self, scopes: frozenset[str]) -> frozenset[str]:
        """What counts of a token that nobody can be asked about: none of the scopes that must be, and none broader."""
        effective = self._access.effective_scopes(scopes)
        return frozenset(
            scope
            for scope in effective
            if self._introspected_scopes.isdisjoint(self._access.effective_scopes((scope,)))
        )

    async def close(self) -> None:
        """End whatever is being asked of the provider."""
        if self._introspection is not None:
            await self._introspection.close()
        await self.keys.close()

    async def wait_until_ready(self) -> None:
        """Fetch the keys, again and again until the provider answers; each failure is logged by the key set."""
        where = self._settings.internal_url or self._settings.server_url
        log.info("jwks_fetch_started", provider=self._settings.provider.name, url=where)
        await self.keys.refresh()
        while self.keys.last_error is not None:
            log.warning("identity_provider_unreachable", url=where, retry_in_seconds=REFRESH_COOLDOWN_SECONDS)
            await asyncio.sleep(REFRESH_COOLDOWN_SECONDS)
            await self.keys.refresh()
        log.info("jwks_ready", issuer=self._settings.issuer)

    def _introspection_verifier(self, signed: JwtVerifier, rules: ClaimsPolicy, clock: Clock) -> IntrospectionVerifier:
        settings = self._settings
        endpoint = IntrospectionEndpoint(
            self._http, self._introspection_endpoint, clock, client_auth_from_settings(settings, clock)
        )
        precheck = LocalPrecheck(
            signed if self._profile.signed else None, opaque=self._profile.opaque, max_bytes=settings.max_token_bytes
        )
        return IntrospectionVerifier(endpoint, rules, clock, precheck)

    async def _introspection_endpoint(self) -> str:
        await self.keys.ensure_fresh()
        return self._introspection_url

    async def _fetch_keys(self) -> dict[str, Any]:
        """The key set, from where the metadata says it is. Asked anew each time: a provider may move it."""
        try:
            async with asyncio.timeout(_FETCH_SECONDS):
                return await fetch_json(self._http, await self._discover_endpoints())
        except TimeoutError as error:
            raise FetchError(f"{self._settings.server_url}: no answer within {_FETCH_SECONDS:g} s") from error

    async def _discover_endpoints(self) -> str:
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


def _profile(settings: Settings, own: IssuerOverrides) -> ProviderProfile:
    """How the issuer writes its tokens: as the settings say, but for what the access file says of this issuer."""
    profile = PROFILES[own.provider] if own.provider else settings.provider
    if own.scopes_from is not None:
        profile = replace(profile, scopes_from_roles=own.scopes_from == "roles")
    return profile


def _claim_rules(
    settings: Settings,
    access: AccessPolicy,
    profile: ProviderProfile,
    own: IssuerOverrides,
    service_clients: Iterable[str],
) -> ClaimsPolicy:
    """What tokens of the settings' issuer must say; the access file's rules for that issuer come first."""
    audience = own.audience or settings.audience
    roles_claim = own.roles_claim or (profile.roles_claim or access.roles_claim).replace("{}", audience)
    return ClaimsPolicy(
        issuer=settings.issuer,
        aliases=frozenset(own.aliases) | profile.aliases_of(settings.issuer),
        audience=audience,
        clients=frozenset(own.clients),
        service_clients=frozenset((*own.machine_clients, *service_clients)),
        profile=profile,
        access=access,
        roles_claim=roles_claim,
        leeway=settings.clock_leeway,
        max_lifetime=settings.max_token_lifetime,
    )


_SIGNED = re.compile(r"[A-Za-z0-9_-]+\.([A-Za-z0-9_-]+)\.[A-Za-z0-9_-]+", re.ASCII)


class TokenVerifierRegistry:
    """Verifies a token by the issuer that it names.

    Attributes:
        primary: the issuer of the settings. What names no other issuer is judged, and refused, there.
        all: it, and the others.

    Raises:
        SettingsError: the access file names an issuer whose tokens cannot be judged as it says.
    """

    def __init__(self, settings: Settings, access: AccessPolicy, clock: Clock, http: httpx.AsyncClient) -> None:
        # Client ids mean something at one issuer only, and those of the access file are known to the first.
        self.primary = IssuerVerifier(settings, access, clock, http, access.machine_clients)
        self.all = [self.primary]
        self._max_bytes = settings.max_token_bytes
        self._by_issuer: dict[str, IssuerVerifier] = {}
        self._named_by_first = {settings.issuer, *self.primary.rules.aliases}
        for issuer, rules in access.issuers.items():
            if issuer != settings.server_url:
                theirs = _settings_for_additional_issuer(issuer, rules, settings)
                validate_provider(theirs, f"{settings.access_file}: issuers: ")
                other = IssuerVerifier(theirs, access, clock, http)
                self.all.append(other)
                self._add(other, (issuer, *sorted(other.rules.aliases)), f"{settings.access_file}: issuers: {issuer}")
        # With one issuer there is nothing to choose.
        self.verify: Callable[[str], Coroutine[Any, Any, Principal]] = (
            self._verify_by_claim if self._by_issuer else self.primary.verify
        )

    def verifier_for(self, token: str) -> IssuerVerifier:
        """Who judges `token`."""
        return (
            self._by_issuer.get(unverified_issuer(token, self._max_bytes), self.primary)
            if self._by_issuer
            else self.primary
        )

    def _add(self, provider: IssuerVerifier, names: tuple[str, ...], place: str) -> None:
        """Let `provider`, and nobody else, judge the tokens that name one of `names`."""
        for name in names:
            if name in self._by_issuer or name in self._named_by_first:
                raise SettingsError(
                    f"{place}: another issuer already has the tokens of {name}; list only one of the two"
                )
            self._by_issuer[name] = provider

    async def _verify_by_claim(self, token: str) -> Principal:
        return await self.verifier_for(token).verify(token)

    async def close(self) -> None:
        """End whatever is being asked of any of them."""
        for provider in self.all:
            await provider.close()


def _settings_for_additional_issuer(issuer: str, rules: IssuerOverrides, settings: Settings) -> Settings:
    """The settings as they are for a further issuer: the overrides of the first one are not for it."""
    return replace(
        settings,
        server_url=issuer,
        issuer=issuer,
        internal_url=rules.internal_url,
        jwks_url=rules.jwks_url,
        audience=settings.public_url,
        provider=profile_for(issuer, rules.provider),
        token_mode="jwt",  # noqa: S106 - the mode's name; our credentials are the first issuer's
        introspect_url=None,
        client_secret=None,
        client_key=None,
    )


def unverified_issuer(token: str, max_bytes: int) -> str:
    """The `iss` that a token claims, unverified; "" where it claims none that could be read."""
    shape = _SIGNED.fullmatch(token) if len(token) <= max_bytes else None
    if shape is None:
        return ""
    try:
        claims = strict_json.loads(urlsafe_b64decode(shape[1] + "=" * (-len(shape[1]) % 4)))
    except ValueError:
        return ""
    issuer = claims.get("iss") if isinstance(claims, dict) else None
    return issuer if isinstance(issuer, str) else ""


def check_audience(settings: Settings, profile: ProviderProfile, own: IssuerOverrides) -> None:
    """Where access tokens name no audience, the access file must say whose count: none would be let in otherwise.

    Raises:
        SettingsError: it does not say.
    """
    named = own.clients or own.audience or settings.audience != settings.public_url
    if not profile.audience and not named:
        raise SettingsError(
            f"{settings.access_file}: access tokens of {profile.title} have no audience; list the clients whose tokens "
            f"count under issuers: {settings.server_url}: clients:, or set audience: there if the tokens do name one"
        )
