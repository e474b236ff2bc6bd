"""Verifies the tokens of every trusted issuer: that of OAUTH_SERVER_URL and those listed in the access file.

`IssuerVerifier` combines what verification needs for one issuer: metadata, keys, claims policy and introspection.
`TokenVerifierRegistry` selects the verifier by the token's unverified `iss`; that verifier then checks `iss` under its
own issuer's signature. Each issuer has its own keys, cache and policy, so a key of one issuer never verifies a token of
another.
"""

from __future__ import annotations

import asyncio
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
from mcp_idp.tokens.introspection import MAX_RESULT_AGE, IntrospectionLimits, IntrospectionVerifier, LocalPrecheck
from mcp_idp.tokens.jwks import REFRESH_COOLDOWN_SECONDS, JwksCache
from mcp_idp.tokens.jwt import JwtVerifier
from mcp_idp.tokens.unverified_issuer import unverified_issuer

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable

    import httpx

    from mcp_idp.access.policy import AccessPolicy
    from mcp_idp.config.settings import Settings
    from mcp_idp.principal import Principal
    from mcp_idp.providers import ProviderProfile
    from mcp_idp.util.clock import Clock

log = structlog.get_logger(__name__)
_FETCH_SECONDS = 10.0  # discovery and key set together
_NO_ENDPOINT = "its metadata names no introspection_endpoint; set OAUTH_INTROSPECT_URL"


class IssuerVerifier:
    """Verifies the tokens of `settings.issuer`.

    The URL of the introspection endpoint is discovered and refreshed together with the keys, so it is known whenever
    `keys` is usable, also during a provider outage.

    Args:
        settings: the issuer, its endpoints, and how to verify its tokens.
        access: scopes, roles, and the overrides for this issuer under `issuers`.
        clock: the time.
        http: the client for calls to the provider.
        service_clients: clients whose tokens are accepted without an end user, in addition to those that the access
            file's overrides for this issuer name.

    Attributes:
        keys: the issuer's keys.
        rules: the requirements for the claims of its tokens.

    Raises:
        SettingsError: as `check_audience`.
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
        # JWTs with these scopes are introspected too, so that a revocation takes effect soon. Only the first issuer
        # knows this server's client credentials; tokens of other issuers lose these scopes instead.
        self._introspected_scopes = frozenset(access.introspect_for)
        self._access = access
        self._introspects_all = settings.token_mode == "introspection"  # noqa: S105 - the mode's name
        self._introspects = self._introspects_all or (
            bool(self._introspected_scopes) and settings.has_client_credentials
        )
        self._introspection_url = settings.introspect_url or ""
        self._lacks_introspection = False
        self.keys = JwksCache(self._fetch_keys, clock, max_age=settings.key_max_age, max_stale=settings.key_max_stale)
        own = access.issuers.get(settings.server_url, IssuerOverrides())
        self._profile = _profile(settings, own)
        check_audience(settings, self._profile, own)
        self.rules = rules = _claim_rules(settings, access, self._profile, own, service_clients)
        # Where tokens are introspected, half is for the verified signatures and half for the responses.
        share = settings.memory_plan.own_tokens // (1 + len(access.issuers))
        share = share // 2 if self._introspects else share
        self._signed = signed = JwtVerifier(
            self.keys, rules, clock, max_bytes=settings.max_token_bytes, cache_bytes=share
        )
        self._introspection = self._introspection_verifier(signed, rules, clock, share) if self._introspects else None

    async def verify(self, token: str, requester: Hashable = None) -> Principal:
        """Verifies a token of this issuer and returns its principal.

        Args:
            token: the token as received.
            requester: who sent it, such as the address; None if unknown. Calls to the provider are shared fairly among
                requesters.

        Raises:
            AuthError: as `JwtVerifier.verify` and `IntrospectionVerifier.verify` document.
        """
        if self._introspects_all and self._introspection is not None:
            return await self._introspection.verify(token, requester)
        principal = await self._signed.verify(token, requester)
        if not self._introspected_scopes or self._introspected_scopes.isdisjoint(
            self._access.effective_scopes(principal.scopes)
        ):
            return principal
        if self._introspection is None:
            return replace(principal, scopes=self._drop_introspected_scopes(principal.scopes))
        return await self._introspection.verify(token, requester)

    def seconds_known(self, token: str) -> float:
        """Returns for how many seconds the status of a verified token is known without verifying it again."""
        known = None if self._introspection is None else self._introspection.seconds_known(token)
        return MAX_RESULT_AGE if known is None else known

    def _drop_introspected_scopes(self, scopes: frozenset[str]) -> frozenset[str]:
        """Returns the scopes that remain when a token cannot be introspected.

        Drops each scope that requires introspection and each broader scope that implies one.
        """
        effective = self._access.effective_scopes(scopes)
        return frozenset(
            scope
            for scope in effective
            if self._introspected_scopes.isdisjoint(self._access.effective_scopes((scope,)))
        )

    async def close(self) -> None:
        """Cancels the calls to the provider that are in progress."""
        if self._introspection is not None:
            await self._introspection.close()
        await self.keys.close()

    async def check_metadata(self) -> None:
        """Fetches the provider's metadata, if tokens are introspected at the endpoint that it names.

        A provider that does not respond within `_FETCH_SECONDS` says nothing: `wait_until_ready` waits for it.

        Raises:
            SettingsError: the metadata names no such endpoint, so waiting cannot help.
        """
        if not self._introspects or self._settings.introspect_url is not None:
            return
        await self.keys.refresh()
        if self._lacks_introspection:
            raise SettingsError(
                f"OAUTH_SERVER_URL={self._settings.server_url}: {_NO_ENDPOINT}, "
                + (
                    "or AUTH_TOKEN_MODE=jwt if its tokens are JWTs"
                    if self._introspects_all
                    else f"or remove introspect_for from {self._settings.access_file}"
                )
            )

    async def wait_until_ready(self) -> None:
        """Fetches the keys, retrying until it succeeds; `JwksCache` logs each failure."""
        where = self._settings.internal_url or self._settings.server_url
        log.info("jwks_fetch_started", provider=self._settings.provider.name, url=where)
        await self.keys.refresh()
        while self.keys.last_error is not None:
            log.warning("identity_provider_unreachable", url=where, retry_in_seconds=REFRESH_COOLDOWN_SECONDS)
            await asyncio.sleep(REFRESH_COOLDOWN_SECONDS)
            await self.keys.refresh()
        log.info("jwks_ready", issuer=self._settings.issuer)

    @property
    def cached_bytes(self) -> int:
        """What the caches of its tokens hold."""
        return self._signed.cached_bytes + (self._introspection.cached_bytes if self._introspection else 0)

    @property
    def cache_lookups(self) -> tuple[int, int]:
        """How often the status of a token was known, and how often it was not."""
        return (self._introspection or self._signed).cache_lookups

    def _introspection_verifier(
        self, signed: JwtVerifier, rules: ClaimsPolicy, clock: Clock, cache_bytes: int
    ) -> IntrospectionVerifier:
        settings = self._settings
        endpoint = IntrospectionEndpoint(
            self._http, self._introspection_endpoint, clock, client_auth_from_settings(settings, clock)
        )
        precheck = LocalPrecheck(
            signed if self._profile.signed else None, opaque=self._profile.opaque, max_bytes=settings.max_token_bytes
        )
        limits = IntrospectionLimits(in_flight_each=settings.limits.introspections_per_address, cache_bytes=cache_bytes)
        return IntrospectionVerifier(endpoint, rules, clock, precheck, limits)

    async def _introspection_endpoint(self) -> str:
        await self.keys.ensure_fresh()
        return self._introspection_url

    async def _fetch_keys(self) -> dict[str, Any]:
        """Fetches the JWK Set. Discovery runs each time, because a provider may change the URL."""
        try:
            async with asyncio.timeout(_FETCH_SECONDS):
                return await fetch_json(self._http, await self._discover_endpoints())
        except TimeoutError as error:
            raise FetchError(f"{self._settings.server_url}: no response within {_FETCH_SECONDS:g} s") from error

    async def _discover_endpoints(self) -> str:
        """Returns the URL of the JWK Set and stores that of the introspection endpoint."""
        settings = self._settings
        keys_at, introspect_at = settings.jwks_url, settings.introspect_url
        if keys_at is None or (self._introspects and introspect_at is None):
            found = await discover(self._http, settings.server_url, settings.internal_url)
            keys_at, introspect_at = keys_at or found.jwks_url, introspect_at or found.introspection_url
        self._lacks_introspection = self._introspects and introspect_at is None
        if self._lacks_introspection:
            raise FetchError(f"{settings.server_url}: {_NO_ENDPOINT}")
        self._introspection_url = introspect_at or ""
        return keys_at


def _profile(settings: Settings, own: IssuerOverrides) -> ProviderProfile:
    """Returns the provider profile of the settings, with the access file's overrides for this issuer applied."""
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
    """Builds the claims policy for the settings' issuer; the access file's overrides take precedence."""
    audience = own.audience or settings.audience
    roles_claim = own.roles_claim or (profile.roles_claim or access.roles_claim).replace("{}", audience)
    further = own.further_audiences if own.further_audiences is not None else () if profile.one_resource else None
    return ClaimsPolicy(
        issuer=settings.issuer,
        aliases=frozenset(own.aliases) | profile.aliases_of(settings.issuer),
        audience=audience,
        further_audiences=None if further is None else frozenset((settings.public_url, *further)),
        clients=frozenset(own.clients),
        service_clients=frozenset((*own.machine_clients, *service_clients)),
        profile=profile,
        access=access,
        roles_claim=roles_claim,
        leeway=settings.clock_leeway,
        max_lifetime=settings.max_token_lifetime,
    )


class TokenVerifierRegistry:
    """Verifies each token with the verifier of the issuer that it names.

    Args:
        settings: the primary issuer, and what applies to all issuers.
        access: the other issuers, and the scopes and roles.
        clock: the time.
        http: the client for calls to the providers.

    Attributes:
        primary: the verifier of the settings' issuer. It also gets, and rejects, tokens of unknown issuers.
        all: the primary verifier, then the others.

    Raises:
        SettingsError: the access file lists an issuer that cannot be used as configured.
    """

    def __init__(self, settings: Settings, access: AccessPolicy, clock: Clock, http: httpx.AsyncClient) -> None:
        # Client ids are unique per issuer only; those under machine_clients belong to the first issuer.
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

    async def verify(self, token: str, requester: Hashable = None) -> Principal:
        """Verifies a token with the verifier of the issuer that it names and returns its principal.

        Args:
            token: the token as received.
            requester: as in `IssuerVerifier.verify`.

        Raises:
            AuthError: as `IssuerVerifier.verify` documents.
        """
        return await self.verifier_for(token).verify(token, requester)

    def verifier_for(self, token: str) -> IssuerVerifier:
        """Returns the verifier of the issuer that `token` names, or the primary one if that issuer is unknown."""
        return (
            self._by_issuer.get(unverified_issuer(token, self._max_bytes), self.primary)
            if self._by_issuer
            else self.primary
        )

    def seconds_known(self, token: str) -> float:
        """Returns for how many seconds the status of a verified token is known without verifying it again."""
        return self.verifier_for(token).seconds_known(token)

    @property
    def cached_bytes(self) -> int:
        """What the caches of all issuers' tokens hold."""
        return sum(verifier.cached_bytes for verifier in self.all)

    def _add(self, provider: IssuerVerifier, names: tuple[str, ...], place: str) -> None:
        """Registers `provider` for the issuer identifiers `names`, each of which may have one verifier only."""
        for name in names:
            if name in self._by_issuer or name in self._named_by_first:
                raise SettingsError(
                    f"{place}: another issuer already has the tokens of {name}; list only one of the two"
                )
            self._by_issuer[name] = provider

    async def close(self) -> None:
        """Cancels the calls to all providers that are in progress."""
        for provider in self.all:
            await provider.close()


def _settings_for_additional_issuer(issuer: str, rules: IssuerOverrides, settings: Settings) -> Settings:
    """Derives the settings for an additional issuer, without the overrides that belong to the first one."""
    return replace(
        settings,
        server_url=issuer,
        issuer=issuer,
        internal_url=rules.internal_url,
        jwks_url=rules.jwks_url,
        audience=settings.public_url,
        provider=profile_for(issuer, rules.provider),
        token_mode="jwt",  # noqa: S106 - the name of a mode; no introspection, because only the first issuer knows us
        introspect_url=None,
        client_secret=None,
        client_key=None,
    )


def check_audience(settings: Settings, profile: ProviderProfile, own: IssuerOverrides) -> None:
    """Requires clients or an audience in the configuration if the provider's access tokens have no `aud`.

    Without either, every token of that provider would be rejected.

    Args:
        settings: the audience, and the name of the access file.
        profile: how the provider writes its tokens.
        own: the access file's overrides for this issuer.

    Raises:
        SettingsError: neither is configured.
    """
    named = own.clients or own.audience or settings.audience != settings.public_url
    if not profile.audience and not named:
        raise SettingsError(
            f"{settings.access_file}: access tokens of {profile.title} have no audience; list the clients whose tokens "
            f"count under issuers: {settings.server_url}: clients:, or set audience: there if the tokens do name one"
        )
