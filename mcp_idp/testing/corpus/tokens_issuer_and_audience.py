"""Attacks through the issuer and the audience: iss and aud."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mcp_idp.errors import TokenErrorReason
from mcp_idp.testing.corpus.model import Attack, Stage, token
from mcp_idp.testing.corpus.token_forge import claiming, homoglyph
from mcp_idp.testing.issuer import ISSUER, RESOURCE, Issuer

if TYPE_CHECKING:
    from collections.abc import Callable


NO_AUD = Stage("tokens without aud", access={"issuers": {ISSUER: {"clients": ["cli"]}}})


JWT_IDS, AUD = "RFC 8725 section 3.8; CVE-2024-53861", "RFC 8725 section 3.9; RFC 8707 section 2; RS-12"
ONE_RESOURCE = "RFC 9700 section 2.3; MCP authorization 2026-07-28, Access Token Privilege Restriction"


def named(change: Callable[[str], Any]) -> Callable[[Issuer], str]:
    """Makes a token whose issuer is the valid one, changed by `change`."""
    return lambda issuer: claiming(issuer, iss=change(issuer.url))


def claims(**changes: Any) -> Callable[[Issuer], str]:
    """Makes a token with these claims changed; see `Issuer.claims`."""
    return lambda issuer: claiming(issuer, **changes)


ATTACKS = (
    token("iss that is a prefix of ours", JWT_IDS, "issuer", named(lambda url: url[:-1]), TokenErrorReason.ISSUER),
    token(
        "iss of another realm of the same provider",
        JWT_IDS,
        "issuer",
        named(lambda url: url[:-3] + "master"),
        TokenErrorReason.ISSUER,
    ),
    token(
        "iss with a trailing slash",
        "RFC 8414 section 3.3",
        "issuer",
        named(lambda url: url + "/"),
        TokenErrorReason.ISSUER,
    ),
    token(
        "iss in capitals where URLs have none",
        "RFC 3986 section 6.2.1",
        "issuer",
        named(str.upper),
        TokenErrorReason.ISSUER,
    ),
    token(
        "iss with our issuer as its user part",
        "RFC 3986 section 3.2.1",
        "issuer",
        named(lambda url: url + "@attacker.example"),
        TokenErrorReason.ISSUER,
    ),
    token(
        "iss with homoglyphs of our issuer",
        "RFC 8725 section 3.8",
        "issuer",
        named(homoglyph),
        TokenErrorReason.ISSUER,
    ),
    token(
        "iss as a list that contains ours",
        "RFC 7519 section 4.1.1",
        "issuer",
        named(lambda url: [url]),
        TokenErrorReason.ISSUER,
    ),
    token("no iss", "RFC 9068 section 2.2", "issuer", claims(iss=...), TokenErrorReason.ISSUER),
    token("aud of another service", AUD, "audience", claims(aud="account"), TokenErrorReason.AUDIENCE),
    token(
        "a token that this server got for another API",
        "RFC 8693 section 2.2; RS-13",
        "audience",
        claims(aud="orders-api", azp=RESOURCE, scope="orders.read mcp:tools"),
        TokenErrorReason.AUDIENCE,
    ),
    token("our aud with a trailing slash", AUD, "audience", claims(aud=RESOURCE + "/"), TokenErrorReason.AUDIENCE),
    token(
        "aud that is the origin of our resource",
        AUD,
        "audience",
        claims(aud="http://localhost:3000"),
        TokenErrorReason.AUDIENCE,
    ),
    token(
        "aud with our resource in its query",
        AUD,
        "audience",
        claims(aud=f"https://attacker.example/?{RESOURCE}"),
        TokenErrorReason.AUDIENCE,
    ),
    token("aud as an empty list", "CVE-2020-26160", "audience", claims(aud=[]), TokenErrorReason.AUDIENCE),
    token(
        "aud as a list that also contains a number",
        "RFC 7519 section 4.1.3",
        "audience_texts",
        claims(aud=[RESOURCE, 7]),
        TokenErrorReason.AUDIENCE,
    ),
    token(
        "aud as an object with our resource as a key",
        "RFC 7519 section 4.1.3",
        "audience_texts",
        claims(aud={RESOURCE: 1}),
        TokenErrorReason.AUDIENCE,
    ),
    token(
        "several audiences in one string",
        "RFC 7519 section 4.1.3",
        "audience",
        claims(aud=f"account {RESOURCE}"),
        TokenErrorReason.AUDIENCE,
    ),
    token(
        "aud in composed and decomposed letters",
        "RFC 8725 section 3.7",
        "audience",
        claims(aud=RESOURCE.replace("m", "\uff4d")),
        TokenErrorReason.AUDIENCE,
    ),
    Attack(
        name="no aud",
        source="RFC 9068 section 4",
        check="audience",
        send=claims(aud=...),
        status=403,
        challenge=None,
        message=TokenErrorReason.AUDIENCE.value,
    ),
    *(
        token(f"our aud and {name}", ONE_RESOURCE, "other_resource", claims(aud=listed), TokenErrorReason.AUDIENCE)
        for name, listed in {
            "that of another server of the realm": [RESOURCE, "http://localhost:3001/mcp"],
            "that of another server, which comes first": ["https://notes.example.com/mcp", "account", RESOURCE],
            "ours with a trailing slash": [RESOURCE, RESOURCE + "/"],
            "another server's in capitals": ["HTTPS://NOTES.EXAMPLE.COM/MCP", RESOURCE],
            "another server's after a space": [RESOURCE, " https://notes.example.com/mcp"],
            "the issuer": [RESOURCE, ISSUER],
            "ninety others": [RESOURCE, *(f"https://notes{n}.example.com/mcp" for n in range(90))],
        }.items()
    ),
    token("aud that is null", "RFC 9068 section 4", "audience", claims(aud=None), TokenErrorReason.AUDIENCE),
    token("aud as an empty string", "RFC 9068 section 4", "audience", claims(aud=""), TokenErrorReason.AUDIENCE),
    token("no aud, expired", "RFC 9068 section 4", "expired", claims(aud=..., exp=1), TokenErrorReason.EXPIRED),
    token(
        "no aud, of another issuer",
        "RFC 9068 section 4",
        "issuer",
        claims(aud=..., iss="https://attacker.example"),
        TokenErrorReason.ISSUER,
    ),
    token(
        "no aud, a refresh token",
        "RFC 9068 section 4",
        "token_type",
        claims(aud=..., typ="Refresh"),
        TokenErrorReason.TOKEN_TYPE,
    ),
    token(
        "no aud, of a client without a user",
        "docs/keycloak.md, S1",
        "user",
        claims(aud=..., sid=...),
        TokenErrorReason.NO_END_USER,
    ),
    token(
        "no aud, of a client that is not listed",
        "RS-12",
        "clients_without_audience",
        claims(aud=..., azp="other"),
        TokenErrorReason.AUDIENCE,
        NO_AUD,
    ),
    token(
        "an aud of another service, of a listed client",
        "RS-12",
        "audience",
        claims(aud="account", azp="cli"),
        TokenErrorReason.AUDIENCE,
        NO_AUD,
    ),
)
