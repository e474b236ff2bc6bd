"""The real Dex as the corpus of attacks knows a provider: its own tokens, and others in its name.

An attacker has neither Dex's key nor a way to make it write what he likes. The corpus has: whatever a row says of the
claims is signed by Dex's own key, taken out of its database. So a token is refused for what it says and for no other
reason, as it must be on the day when Dex, or an account at it, is talked into something.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import httpx
import jwt
from jwt.algorithms import RSAAlgorithm

from mcp_idp.testing.issuer import NOW, Issuer, public_jwk
from tests.support.dex import REDIRECT, Dex
from tests.support.keycloak.realm import claims

if TYPE_CHECKING:
    from tests.support.postgres import Postgres

    Json = dict[str, Any]

_TIMES = ("iat", "nbf", "exp")
_YEARS = 10 * 365 * 86400.0


@dataclass(kw_only=True)
class DexIssuer(Issuer):
    """Dex itself.

    Attributes:
        login: what the token endpoint gave `reader` for a code.
        refreshed: what it gave for the refresh token of another login.
        of_nobody: what it gave a person without a group.
        for_itself: what it gave, past the front, to a client that asked for no audience.
        for_us: what it gave, past the front, to a client that asked for ours.
        code: an authorization code that was not used.
    """

    elsewhere: bool = True
    login: Json = field(repr=False)
    refreshed: Json = field(repr=False)
    of_nobody: Json = field(repr=False)
    for_itself: Json = field(repr=False)
    for_us: Json = field(repr=False)
    code: str = field(repr=False)

    def claims(self, **changes: Any) -> Json:
        """Those of the access token of a login. Rows say when by `NOW`, which is now here."""
        passed = self.now - NOW
        for name in _TIMES:
            at = changes.get(name)
            if isinstance(at, int | float) and not isinstance(at, bool) and NOW - _YEARS < at < NOW + _YEARS:
                changes[name] = at + passed
        payload = {**claims(self.login["access_token"]), **changes}
        return {name: value for name, value in payload.items() if value is not ...}

    def token(self, *, key: Any = None, kid: str | None = None, alg: str = "RS256", **changes: Any) -> str:
        """The very token of the login, or with other claims one in Dex's name."""
        if key is None and kid is None and not changes:
            return str(self.login["access_token"])
        header = {"kid": kid or self.header["kid"], "typ": None}
        return jwt.encode(self.claims(**changes), key or self.key, algorithm=alg, headers=header)

    def http(self) -> httpx.AsyncClient:
        """To the front; on the loopback interface, whatever the environment says of proxies."""
        return httpx.AsyncClient(trust_env=False, timeout=20)

    def later(self, seconds: float) -> DexIssuer:
        """The same Dex and the same tokens, at a server that is started `seconds` later."""
        return replace(self, now=self.now + seconds)


def issuer_of(dex: Dex, database: Postgres, direct: int) -> DexIssuer:
    """Log people in at `dex`, which is reached past its front at the port `direct`."""
    secret = database.signing_key()
    key = RSAAlgorithm.from_jwk(secret)
    inside = Dex(dex.folder, port=direct, public_url=dex.public_url)
    tokens = dex.log_in("reader", "mcp-native-10")
    login = dex.log_in("reader", "mcp-native-11")
    audience = f"openid groups audience:server:client_id:{dex.public_url}"
    return DexIssuer(
        url=dex.issuer,
        keys=[public_jwk(key, kid=secret["kid"])],  # type: ignore[arg-type] # the private half is what Dex keeps
        key=key,  # type: ignore[arg-type] # the same
        header=jwt.get_unverified_header(login["access_token"]),
        now=float(claims(login["access_token"])["iat"]),
        login=login,
        refreshed=dex.refresh("mcp-native-10", tokens["refresh_token"]),
        of_nobody=dex.log_in("nobody", "mcp-native-12"),
        for_itself=inside.log_in("reader", "mcp-native-13", scope="openid groups"),
        for_us=inside.log_in("reader", "mcp-native-14", scope=audience),
        code=dex.visit("reader", dex.authorization_url("mcp-native-15", redirect_uri=REDIRECT))["code"],
    )
