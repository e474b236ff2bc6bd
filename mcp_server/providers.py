"""What differs from one identity provider to the next, as data.

A profile is chosen by the issuer, or by OAUTH_PROVIDER where the issuer does not tell (Keycloak and Dex live on
anybody's host). `docs/decisions/` and the providers' own documentation are the sources of each value.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class ProviderProfile:
    """How one provider writes its access tokens.

    Attributes:
        name: what OAUTH_PROVIDER calls it.
        header_types: accepted `typ` of the JOSE header, in lower case and without `application/`; "" stands for none.
        claim_types: claims that tell an access token from an ID or refresh token, with the values an access token has
            (compared without regard to case). A claim that is absent is refused, unless None is among the values.
        client_claims: where the client's id stands; the first that is present counts.
        scope_claims: where the granted scopes stand, as a list or a space-separated string; all of them count.
        user_claim: a claim that only a token with a logged-in person has, or None where the provider has no such mark.
        opaque: True where access tokens are never JWTs, so that only introspection can judge them.
    """

    name: str
    header_types: frozenset[str] = frozenset({"at+jwt"})
    claim_types: tuple[tuple[str, frozenset[str | None]], ...] = ()
    client_claims: tuple[str, ...] = ("client_id", "azp")
    scope_claims: tuple[str, ...] = ("scope", "scp")
    user_claim: str | None = None
    opaque: bool = False


_ANY_JWT = frozenset({"at+jwt", "jwt", ""})

KEYCLOAK = ProviderProfile(
    "keycloak",
    # at+jwt where the client has access.token.header.type.rfc9068
    header_types=frozenset({"at+jwt", "jwt"}),
    # an ID token says ID, a refresh token Refresh or Offline; DPoP-bound tokens say DPoP and are refused for their cnf
    claim_types=(("typ", frozenset({"bearer"})),),
    client_claims=("azp",),
    scope_claims=("scope",),
    user_claim="sid",
)
NANOIDP = ProviderProfile(
    "nanoidp",
    header_types=frozenset({"at+jwt", "jwt"}),
    claim_types=(("token_use", frozenset({"access"})),),
    client_claims=("client_id",),
    scope_claims=("scope",),
)
GOOGLE = ProviderProfile("google", opaque=True)
# Nobody we know: take what RFC 9068 asks for, and plain JWTs as long as nothing in them says that they are something
# else. What only an ID token has (nonce, at_hash, c_hash) and a foreign token_use or typ are refused for all.
GENERIC = ProviderProfile(
    "generic",
    header_types=_ANY_JWT,
    claim_types=(
        ("typ", frozenset({"bearer", "at+jwt", None})),
        ("token_use", frozenset({"access", "access_token", None})),
        ("nonce", frozenset({None})),
        ("at_hash", frozenset({None})),
        ("c_hash", frozenset({None})),
    ),
    client_claims=("client_id", "azp", "cid", "appid"),
)

PROFILES: Mapping[str, ProviderProfile] = {p.name: p for p in (KEYCLOAK, NANOIDP, GOOGLE, GENERIC)}


def profile_for(issuer: str, name: str | None = None) -> ProviderProfile:
    """The profile called `name`, or the one that the issuer's URL gives away, or `generic`."""
    if name is not None:
        return PROFILES[name]
    if issuer.rstrip("/") == "https://accounts.google.com":
        return GOOGLE
    if "/realms/" in issuer:
        return KEYCLOAK
    return GENERIC
