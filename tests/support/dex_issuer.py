"""The real Dex as a provider of the corpus: its own tokens, and forged ones signed with its key.

The corpus signs claims of its rows with Dex's own key, which it reads from Dex's database; an attacker could not. So a
token is rejected for its claims and for no other reason, as is necessary if Dex or an account at it is compromised.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import httpx
import jwt
from jwt.algorithms import RSAAlgorithm

from mcp_idp.testing.fake_provider import shift_times
from mcp_idp.testing.issuer import NOW, Issuer, public_jwk
from tests.support.dex import REDIRECT, Dex
from tests.support.keycloak.realm import claims

if TYPE_CHECKING:
    from tests.support.postgres import Postgres

    Json = dict[str, Any]


@dataclass(kw_only=True)
class DexIssuer(Issuer):
    """The running Dex.

    Attributes:
        login: the token response for a login of `reader`.
        refreshed: the token response for the refresh token of another login.
        without_user: the token response for a user without a group.
        for_itself: the token response, bypassing the proxy, for a client that requested no audience.
        for_our_audience: the token response, bypassing the proxy, for a client that requested ours.
        code: an unused authorization code.
    """

    elsewhere: bool = True
    login: Json = field(repr=False)
    refreshed: Json = field(repr=False)
    without_user: Json = field(repr=False)
    for_itself: Json = field(repr=False)
    for_our_audience: Json = field(repr=False)
    code: str = field(repr=False)

    def claims(self, **changes: Any) -> Json:
        """Returns the claims of a login's access token with `changes`; times relative to `NOW` are shifted to now."""
        payload = {**claims(self.login["access_token"]), **shift_times(changes, self.now - NOW)}
        return {name: value for name, value in payload.items() if value is not ...}

    def token(self, *, key: Any = None, kid: str | None = None, alg: str = "RS256", **changes: Any) -> str:
        """Returns the token of the login or, with `changes`, a token signed with Dex's key."""
        if key is None and kid is None and not changes:
            return str(self.login["access_token"])
        header = {"kid": kid or self.header["kid"], "typ": None}
        return jwt.encode(self.claims(**changes), key or self.key, algorithm=alg, headers=header)

    def http(self) -> httpx.AsyncClient:
        """Returns an HTTP client for the proxy on the loopback interface, ignoring proxy settings."""
        return httpx.AsyncClient(trust_env=False, timeout=20)

    def later(self, seconds: float) -> DexIssuer:
        """Returns the same Dex and tokens for a server whose clock is `seconds` later."""
        return replace(self, now=self.now + seconds)


def issuer_of(dex: Dex, database: Postgres, direct: int) -> DexIssuer:
    """Logs users in at `dex`, which is also reachable without the proxy at the port `direct`."""
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
        without_user=dex.log_in("nobody", "mcp-native-12"),
        for_itself=inside.log_in("reader", "mcp-native-13", scope="openid groups"),
        for_our_audience=inside.log_in("reader", "mcp-native-14", scope=audience),
        code=dex.visit("reader", dex.authorization_url("mcp-native-15", redirect_uri=REDIRECT))["code"],
    )
