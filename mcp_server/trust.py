"""Every issuer whose tokens count: the one of OAUTH_SERVER_URL, and those of the access file.

Each has its own keys, cache and rules, so no key of one ever verifies a token of another. Which one judges a token
follows from the `iss` that the token claims; that claim then has to hold by that issuer's own signature.
"""

from __future__ import annotations

import re
from base64 import urlsafe_b64decode
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from mcp_server import strict_json
from mcp_server.environment import SettingsError
from mcp_server.provider import IdentityProvider
from mcp_server.provider_checks import check_provider
from mcp_server.providers import profile_for

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    import httpx

    from mcp_server.access import Access
    from mcp_server.clock import Clock
    from mcp_server.issuers import IssuerRules
    from mcp_server.principal import Principal
    from mcp_server.settings import Settings

_SIGNED = re.compile(r"[A-Za-z0-9_-]+\.([A-Za-z0-9_-]+)\.[A-Za-z0-9_-]+", re.ASCII)


class TrustedIssuers:
    """Verifies a token by the issuer that it names.

    Attributes:
        first: the issuer of the settings. What names no other issuer is judged, and refused, there.
        all: it, and the others.

    Raises:
        SettingsError: the access file names an issuer whose tokens cannot be judged as it says.
    """

    def __init__(self, settings: Settings, access: Access, clock: Clock, http: httpx.AsyncClient) -> None:
        # Client ids mean something at one issuer only, and those of the access file are known to the first.
        self.first = IdentityProvider(settings, access, clock, http, access.machine_clients)
        self.all = [self.first]
        self._max_bytes = settings.max_token_bytes
        self._by_claim: dict[str, IdentityProvider] = {}
        self._named_by_first = {settings.issuer, *self.first.rules.aliases}
        for issuer, rules in access.issuers.items():
            if issuer != settings.server_url:
                theirs = _settings_for(issuer, rules, settings)
                check_provider(theirs, f"{settings.access_file}: issuers: ")
                other = IdentityProvider(theirs, access, clock, http)
                self.all.append(other)
                self._add(other, (issuer, *sorted(other.rules.aliases)), f"{settings.access_file}: issuers: {issuer}")
        # With one issuer there is nothing to choose.
        self.verify: Callable[[str], Coroutine[Any, Any, Principal]] = (
            self._verify_by_claim if self._by_claim else self.first.verify
        )

    def provider_of(self, token: str) -> IdentityProvider:
        """Who judges `token`."""
        return self._by_claim.get(claimed_issuer(token, self._max_bytes), self.first) if self._by_claim else self.first

    def _add(self, provider: IdentityProvider, names: tuple[str, ...], place: str) -> None:
        """Let `provider`, and nobody else, judge the tokens that name one of `names`."""
        for name in names:
            if name in self._by_claim or name in self._named_by_first:
                raise SettingsError(f"{place}: tokens of {name} are another issuer's already; list one of the two")
            self._by_claim[name] = provider

    async def _verify_by_claim(self, token: str) -> Principal:
        return await self.provider_of(token).verify(token)

    async def close(self) -> None:
        """End whatever is being asked of any of them."""
        for provider in self.all:
            await provider.close()


def _settings_for(issuer: str, rules: IssuerRules, settings: Settings) -> Settings:
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


def claimed_issuer(token: str, max_bytes: int) -> str:
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
