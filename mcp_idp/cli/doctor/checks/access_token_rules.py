"""The rules for access tokens: what can be wrong, and the fix for each reason that a token can be rejected for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mcp_idp.cli.doctor.findings import Rule, Severity
from mcp_idp.errors import TokenErrorReason

if TYPE_CHECKING:
    from collections.abc import Mapping


OPAQUE = Rule(
    name="opaque_token",
    severity=Severity.ERROR,
    title="the access token is not a JWT",
    why="only the provider can read it: a server that verifies signatures cannot validate it",
    source="RFC 7662; RFC 9068",
    reports=("danny-avila/LibreChat#13401", "microsoft/vscode#249727"),
)
ENCRYPTED = Rule(
    name="encrypted_token",
    severity=Severity.ERROR,
    title="the access token is encrypted (a JWE, five parts)",
    why="only its provider can read it. Auth0 issues these when no API is requested as the audience",
    source="RFC 7516 section 3.1",
    reports=("microsoft/vscode#274226", "geelen/mcp-remote#142", "danny-avila/LibreChat#13402"),
)
FORM = Rule(
    name="token_form",
    severity=Severity.ERROR,
    title="the token's header or content is malformed",
    why="the server rejects what two parsers could read differently",
    source="RFC 8725 section 3",
)
ALGORITHM = Rule(
    name="token_algorithm",
    severity=Severity.ERROR,
    title="the token is not signed with a public-key algorithm",
    why="with a shared secret, every party that can verify tokens can also forge them",
    source="RFC 8725 section 3.1",
    reports=(
        "goauthentik/authentik#4824",
        "goauthentik/authentik#9250",
    ),
)
KEY = Rule(
    name="token_key",
    severity=Severity.ERROR,
    title="the token was not signed by a key of this provider",
    why="it comes from another provider or realm, was signed with a withdrawn key, or is forged",
    source="RFC 7515 section 4.1.4",
)
ISSUER = Rule(
    name="token_issuer",
    severity=Severity.ERROR,
    title="the token is from a different issuer than the server expects",
    why="issuers are compared character by character; usually the provider is reached under two names",
    source="RFC 7519 section 4.1.1; RFC 9068 section 4",
    reports=(
        "microcks/microcks#943",
        "NikiforovAll/keycloak-authorization-services-dotnet#115",
        "agentic-community/mcp-gateway-registry#1143",
    ),
)
AUDIENCE = Rule(
    name="token_audience",
    severity=Severity.ERROR,
    title="the token is not for this server",
    why="a server must accept only tokens issued for it, otherwise a token for any other service would be valid here",
    source="RFC 8707 section 2; MCP authorization 2026-07-28, Access Token Privilege Restriction",
    reports=(
        "keycloak/keycloak#41526",
        "keycloak/keycloak#14355",
        "agentic-community/mcp-gateway-registry#1132",
        "apache/solr-mcp#192",
        "anthropics/claude-code#90497",
    ),
)
TIME = Rule(
    name="token_time",
    severity=Severity.ERROR,
    title="the token is not valid now",
    why="it has expired, or the clocks of provider and server disagree",
    source="RFC 7519 sections 4.1.4 to 4.1.6",
    reports=(
        "mcp-hangar/mcp-hangar#630",
        "cursor/cursor#3722",
    ),
)
LIFETIME = Rule(
    name="token_lifetime",
    severity=Severity.ERROR,
    title="the token's lifetime is longer than the server accepts",
    why="a stolen token is usable until it expires, so the server limits the lifetime that a provider may choose",
    source="RFC 9700 section 4.10",
)
TYPE = Rule(
    name="token_type",
    severity=Severity.ERROR,
    title="the token is not an access token",
    why="an ID or refresh token of the same provider does not authorize calls to this server",
    source="RFC 8725 section 3.11; RFC 9068 section 2.1",
)
NO_USER = Rule(
    name="token_without_user",
    severity=Severity.ERROR,
    title="the token belongs to a client, not to a user",
    why="if anyone may register a client, anyone can get such a token without a login",
    source="RFC 9068 section 5; MCP extension OAuth client credentials",
)
SENDER = Rule(
    name="token_sender",
    severity=Severity.ERROR,
    title="the token is bound to its sender",
    why="it is valid only with a proof of possession (DPoP, mutual TLS), which MCP clients do not send",
    source="RFC 9449; RFC 8705",
)
INACTIVE = Rule(
    name="token_inactive",
    severity=Severity.ERROR,
    title="the provider reports that the token is not active",
    why="it was revoked, or the provider does not disclose it to this client",
    source="RFC 7662 section 2.2",
)
NOT_EVALUATED = Rule(
    name="token_unchecked",
    severity=Severity.WARNING,
    title="the token could not be validated from here",
    why="verifying its signature requires the provider's keys",
)
NO_SUBJECT = Rule(
    name="token_subject",
    severity=Severity.WARNING,
    title="the token has no subject",
    why="sessions and notes need an owner; the missing scope often adds the audience too",
    source="RFC 9068 section 2.2",
    reports=("evoila/meho#791", "agentic-community/mcp-gateway-registry#1132"),
)
NO_LOGIN = Rule(
    name="login_failed",
    severity=Severity.ERROR,
    title="a login yields no token",
    why="if no finding above explains it, the provider's error message does",
)
NO_SCOPE = Rule(
    name="token_scope",
    severity=Severity.ERROR,
    title="the token lacks the scope that every request needs",
    why="the server responds 403 to all of them",
    source="RFC 6750 section 3.1",
    reports=("keycloak/keycloak#43654", "laravel/mcp#258"),
)
SERVER_DISAGREES = Rule(
    name="token_rejected",
    severity=Severity.ERROR,
    title="the server rejects a token that these rules accept",
    why="its settings differ from what it advertises, or it has additional rules",
    reports=("anthropics/claude-code#90497",),
)


# The settings that override what the server expects by default, by the reason that it gives.
OVERRIDES: Mapping[TokenErrorReason, str] = {
    TokenErrorReason.AUDIENCE: "JWT_AUDIENCE",
    TokenErrorReason.ISSUER: "JWT_ISSUER",
    TokenErrorReason.KEY_UNKNOWN: "JWT_JWKS_URL",
    TokenErrorReason.SIGNATURE: "JWT_JWKS_URL",
}
_REALM = "compare the provider, or the realm, with the one that the server trusts (here: OAUTH_SERVER_URL)"
_CLOCKS = "correct the clocks of both machines (NTP), then log in again"
_NEW = "log in again"
FIX_BY_REASON: Mapping[TokenErrorReason, tuple[Rule, str]] = {
    TokenErrorReason.TOO_LONG: (
        FORM,
        "remove claims from the token at the provider (groups, roles), or raise MAX_TOKEN_BYTES",
    ),
    TokenErrorReason.NOT_A_JWT: (
        OPAQUE,
        (
            "configure the provider to issue JWTs (Auth0: name the API as audience; Ory: strategies.access_token: "
            "jwt; Zitadel: token type of the application), or introspect each token: AUTH_TOKEN_MODE=introspection"
        ),
    ),
    TokenErrorReason.OPAQUE: (FORM, "the input is not a token: pass the value of access_token only"),
    TokenErrorReason.ENCRYPTED: (
        ENCRYPTED,
        (
            "Auth0: switch on the Resource Parameter Compatibility Profile, and make the MCP URL an API's identifier; "
            "elsewhere switch the encryption of access tokens off"
        ),
    ),
    TokenErrorReason.HEADER_MALFORMED: (FORM, "is this really the provider's access token?"),
    TokenErrorReason.ALGORITHM: (
        ALGORITHM,
        (
            "sign access tokens with RS256 or ES256 (Keycloak: the realm's signature algorithm; authentik: choose a "
            "signing key)"
        ),
    ),
    TokenErrorReason.CRITICAL_EXTENSION: (FORM, "disable the extension at the provider"),
    TokenErrorReason.HEADER_TYPE: (TYPE, "pass the access token, not the ID token"),
    TokenErrorReason.KEY_UNKNOWN: (KEY, _REALM),
    TokenErrorReason.KEY_ALGORITHM_MISMATCH: (KEY, _REALM),
    TokenErrorReason.SIGNATURE: (KEY, f"{_REALM}; a truncated token or one pasted with a gap fails too"),
    TokenErrorReason.CLAIMS_MALFORMED: (FORM, "compare the claim with RFC 7519 section 4.1"),
    TokenErrorReason.ISSUER: (
        ISSUER,
        (
            "give the provider one public name and use it everywhere (Keycloak: KC_HOSTNAME=http://localhost:8080 "
            "with KC_HOSTNAME_BACKCHANNEL_DYNAMIC=true; here: OAUTH_SERVER_URL is what tokens say, "
            "OAUTH_INTERNAL_URL where the server reaches it)"
        ),
    ),
    TokenErrorReason.AUDIENCE: (
        AUDIENCE,
        (
            "Keycloak: put an audience mapper with the server's exact URL on a scope that the client requests (here: "
            "mcp-idp bootstrap check shows whether it is missing, apply adds it), and assign the role that grants the "
            "scope to the user; elsewhere: make the URL an API or resource of the provider, or set JWT_AUDIENCE to the "
            "identifier it writes"
        ),
    ),
    TokenErrorReason.EXPIRED: (TIME, f"{_NEW}; if the token is fresh: {_CLOCKS}"),
    TokenErrorReason.NOT_YET_VALID: (TIME, _CLOCKS),
    TokenErrorReason.IAT_IN_FUTURE: (TIME, _CLOCKS),
    TokenErrorReason.LIFETIME: (
        LIFETIME,
        "shorten access tokens at the provider (minutes, not days), or raise MAX_TOKEN_LIFETIME",
    ),
    TokenErrorReason.TOKEN_TYPE: (TYPE, "pass the access token, not the ID or refresh token"),
    TokenErrorReason.NO_END_USER: (
        NO_USER,
        ("log in as a user; to admit a machine client, list it under machine_clients of the issuer in access.yaml"),
    ),
    TokenErrorReason.SENDER_BOUND: (SENDER, "disable DPoP and certificate-bound tokens for this client"),
    TokenErrorReason.INACTIVE: (
        INACTIVE,
        f"{_NEW}; Keycloak introspects a token only for a client in its audience: set OAUTH_CLIENT_ID to one",
    ),
}
