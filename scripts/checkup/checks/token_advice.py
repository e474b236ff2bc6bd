"""For each reason that a token can be refused for: what it is called, and what mends it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mcp_server.errors import Reason
from scripts.checkup.checks.token_kinds import (
    ALGORITHM,
    AUDIENCE,
    ENCRYPTED,
    FORM,
    INACTIVE,
    ISSUER,
    KEY,
    LIFETIME,
    NO_PERSON,
    OPAQUE,
    SENDER,
    TIME,
    TYPE,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from scripts.checkup.finding import Kind

_REALM = "compare the provider, or the realm, with the one that the server trusts (here: OAUTH_SERVER_URL)"
_CLOCKS = "set the clocks of both machines right (NTP), then log in again"
_NEW = "log in again"
ADVICE: Mapping[Reason, tuple[Kind, str]] = {
    Reason.TOO_LONG: (FORM, "take claims out of the token at the provider (groups, roles), or raise MAX_TOKEN_BYTES"),
    Reason.NOT_A_JWT: (
        OPAQUE,
        (
            "let the provider write JWTs (Auth0: name the API as audience; Ory: strategies.access_token: jwt; Zitadel: "
            "token type of the application), or ask the provider about each: AUTH_TOKEN_MODE=introspection"
        ),
    ),
    Reason.OPAQUE: (FORM, "what was handed over is no token: take the access_token member alone"),
    Reason.ENCRYPTED: (
        ENCRYPTED,
        (
            "Auth0: switch on the Resource Parameter Compatibility Profile, and make the MCP URL an API's identifier; "
            "elsewhere switch the encryption of access tokens off"
        ),
    ),
    Reason.HEADER_MALFORMED: (FORM, "is this really the provider's access token?"),
    Reason.ALGORITHM: (
        ALGORITHM,
        (
            "sign access tokens with RS256 or ES256 (Keycloak: the realm's signature algorithm; authentik: choose a "
            "signing key)"
        ),
    ),
    Reason.CRITICAL_EXTENSION: (FORM, "switch the extension off at the provider"),
    Reason.HEADER_TYPE: (TYPE, "hand over the access token, not the ID token"),
    Reason.KEY_UNKNOWN: (KEY, _REALM),
    Reason.KEY_MISMATCH: (KEY, _REALM),
    Reason.SIGNATURE: (KEY, f"{_REALM}; a token that was cut or pasted with a gap fails, too"),
    Reason.CLAIMS_MALFORMED: (FORM, "compare the claim with RFC 7519 section 4.1"),
    Reason.ISSUER: (
        ISSUER,
        (
            "give the provider one public name and use that everywhere (Keycloak: KC_HOSTNAME=http://localhost:8080 "
            "with KC_HOSTNAME_BACKCHANNEL_DYNAMIC=true; here: OAUTH_SERVER_URL is what tokens say, "
            "OAUTH_INTERNAL_URL where the server reaches it)"
        ),
    ),
    Reason.AUDIENCE: (
        AUDIENCE,
        (
            "Keycloak: put an audience mapper with the server's exact URL on a scope that the client asks for (here: "
            "scripts/bootstrap_idp.py apply), and give the person the role that brings the scope; elsewhere: make the "
            "URL an API or resource of the provider, or set JWT_AUDIENCE to the identifier it writes"
        ),
    ),
    Reason.EXPIRED: (TIME, f"{_NEW}; if the token is fresh: {_CLOCKS}"),
    Reason.NOT_YET_VALID: (TIME, _CLOCKS),
    Reason.ISSUED_IN_FUTURE: (TIME, _CLOCKS),
    Reason.LIFETIME: (
        LIFETIME,
        "shorten access tokens at the provider (minutes, not days), or raise MAX_TOKEN_LIFETIME",
    ),
    Reason.TOKEN_TYPE: (TYPE, "hand over the access token, neither the ID nor the refresh token"),
    Reason.NO_USER: (
        NO_PERSON,
        (
            "log in as a person; for a program that shall get in: list its client under machine_clients of the issuer "
            "in access.yaml"
        ),
    ),
    Reason.SENDER_BOUND: (SENDER, "switch DPoP and certificate-bound tokens off for this client"),
    Reason.INACTIVE: (
        INACTIVE,
        f"{_NEW}; Keycloak tells only a client in the token's audience: OAUTH_CLIENT_ID must be one",
    ),
}
