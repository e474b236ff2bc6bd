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
    title="the access token is no JWT",
    why="only the provider can say what it is good for: a server that verifies signatures has nothing to verify",
    source="RFC 7662; RFC 9068",
    reports=("danny-avila/LibreChat#13401", "microsoft/vscode#249727"),
)
ENCRYPTED = Rule(
    name="encrypted_token",
    severity=Severity.ERROR,
    title="the access token is encrypted (a JWE, five parts)",
    why="only its provider can read it. Auth0 does so where no API was named as the audience",
    source="RFC 7516 section 3.1",
    reports=("microsoft/vscode#274226", "geelen/mcp-remote#142", "danny-avila/LibreChat#13402"),
)
FORM = Rule(
    name="token_form",
    severity=Severity.ERROR,
    title="the token's header or content is not what an access token has",
    why="what two readers could understand differently is refused",
    source="RFC 8725 section 3",
)
ALGORITHM = Rule(
    name="token_algorithm",
    severity=Severity.ERROR,
    title="the token is not signed with a public-key algorithm",
    why="with a shared secret, whoever can verify tokens can also make them",
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
    why="it comes from another provider or realm, from before a key was withdrawn, or from a forger",
    source="RFC 7515 section 4.1.4",
)
ISSUER = Rule(
    name="token_issuer",
    severity=Severity.ERROR,
    title="the token is of another issuer than the server expects",
    why="issuers are compared letter by letter; most often the provider was reached under two names",
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
    why="a server must take only tokens whose audience is itself, else a token for any other service would do",
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
    why="it ran out, or the clocks of provider and server disagree",
    source="RFC 7519 sections 4.1.4 to 4.1.6",
    reports=(
        "mcp-hangar/mcp-hangar#630",
        "cursor/cursor#3722",
    ),
)
LIFETIME = Rule(
    name="token_lifetime",
    severity=Severity.ERROR,
    title="the token lives longer than the server believes",
    why="a stolen token is good until it ends; a provider that can be talked into ten years is not believed",
    source="RFC 9700 section 4.10",
)
TYPE = Rule(
    name="token_type",
    severity=Severity.ERROR,
    title="the token is no access token",
    why="an ID or refresh token of the same provider proves a login, not the right to call this server",
    source="RFC 8725 section 3.11; RFC 9068 section 2.1",
)
NO_USER = Rule(
    name="token_without_person",
    severity=Severity.ERROR,
    title="the token belongs to a program, not to a person",
    why="where anybody may register a client, anybody gets such a token without a login",
    source="RFC 9068 section 5; MCP extension OAuth client credentials",
)
SENDER = Rule(
    name="token_sender",
    severity=Severity.ERROR,
    title="the token is bound to its sender",
    why="it counts only with its proof (DPoP, mutual TLS), which MCP clients do not send",
    source="RFC 9449; RFC 8705",
)
INACTIVE = Rule(
    name="token_inactive",
    severity=Severity.ERROR,
    title="the provider says that the token is not active",
    why="it was withdrawn, or the provider does not tell this client about it",
    source="RFC 7662 section 2.2",
)
NOT_EVALUATED = Rule(
    name="token_not_judged",
    severity=Severity.WARNING,
    title="the token could not be judged from here",
    why="its signature needs the provider's keys",
)
NO_SUBJECT = Rule(
    name="token_subject",
    severity=Severity.WARNING,
    title="the token does not say whom it is about",
    why="sessions and notes cannot belong to anybody; the scope that is missing often brings the audience, too",
    source="RFC 9068 section 2.2",
    reports=("evoila/meho#791", "agentic-community/mcp-gateway-registry#1132"),
)
NO_LOGIN = Rule(
    name="login_failed",
    severity=Severity.ERROR,
    title="a login brings no token",
    why="where nothing above says why, the provider's own words do",
)
NO_SCOPE = Rule(
    name="token_scope",
    severity=Severity.ERROR,
    title="the token lacks the scope that every request needs",
    why="the server answers 403 to all of them",
    source="RFC 6750 section 3.1",
    reports=("keycloak/keycloak#43654", "laravel/mcp#258"),
)
SERVER_DISAGREES = Rule(
    name="token_refused_anyhow",
    severity=Severity.ERROR,
    title="the server refuses a token that these rules would take",
    why="it is set otherwise than it says, or has rules of its own",
    reports=("anthropics/claude-code#90497",),
)


_REALM = "compare the provider, or the realm, with the one that the server trusts (here: OAUTH_SERVER_URL)"
_CLOCKS = "set the clocks of both machines right (NTP), then log in again"
_NEW = "log in again"
FIX_BY_REASON: Mapping[TokenErrorReason, tuple[Rule, str]] = {
    TokenErrorReason.TOO_LONG: (
        FORM,
        "take claims out of the token at the provider (groups, roles), or raise MAX_TOKEN_BYTES",
    ),
    TokenErrorReason.NOT_A_JWT: (
        OPAQUE,
        (
            "let the provider write JWTs (Auth0: name the API as audience; Ory: strategies.access_token: jwt; Zitadel: "
            "token type of the application), or ask the provider about each: AUTH_TOKEN_MODE=introspection"
        ),
    ),
    TokenErrorReason.OPAQUE: (FORM, "what was handed over is no token: take the access_token member alone"),
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
    TokenErrorReason.CRITICAL_EXTENSION: (FORM, "switch the extension off at the provider"),
    TokenErrorReason.HEADER_TYPE: (TYPE, "hand over the access token, not the ID token"),
    TokenErrorReason.KEY_UNKNOWN: (KEY, _REALM),
    TokenErrorReason.KEY_ALGORITHM_MISMATCH: (KEY, _REALM),
    TokenErrorReason.SIGNATURE: (KEY, f"{_REALM}; a token that was cut or pasted with a gap fails, too"),
    TokenErrorReason.CLAIMS_MALFORMED: (FORM, "compare the claim with RFC 7519 section 4.1"),
    TokenErrorReason.ISSUER: (
        ISSUER,
        (
            "give the provider one public name and use that everywhere (Keycloak: KC_HOSTNAME=http://localhost:8080 "
            "with KC_HOSTNAME_BACKCHANNEL_DYNAMIC=true; here: OAUTH_SERVER_URL is what tokens say, "
            "OAUTH_INTERNAL_URL where the server reaches it)"
        ),
    ),
    TokenErrorReason.AUDIENCE: (
        AUDIENCE,
        (
            "Keycloak: put an audience mapper with the server's exact URL on a scope that the client asks for (here: "
            "scripts/bootstrap_idp.py apply), and give the person the role that brings the scope; elsewhere: make the "
            "URL an API or resource of the provider, or set JWT_AUDIENCE to the identifier it writes"
        ),
    ),
    TokenErrorReason.EXPIRED: (TIME, f"{_NEW}; if the token is fresh: {_CLOCKS}"),
    TokenErrorReason.NOT_YET_VALID: (TIME, _CLOCKS),
    TokenErrorReason.IAT_IN_FUTURE: (TIME, _CLOCKS),
    TokenErrorReason.LIFETIME: (
        LIFETIME,
        "shorten access tokens at the provider (minutes, not days), or raise MAX_TOKEN_LIFETIME",
    ),
    TokenErrorReason.TOKEN_TYPE: (TYPE, "hand over the access token, neither the ID nor the refresh token"),
    TokenErrorReason.NO_END_USER: (
        NO_USER,
        (
            "log in as a person; for a program that shall get in: list its client under machine_clients of the issuer "
            "in access.yaml"
        ),
    ),
    TokenErrorReason.SENDER_BOUND: (SENDER, "switch DPoP and certificate-bound tokens off for this client"),
    TokenErrorReason.INACTIVE: (
        INACTIVE,
        f"{_NEW}; Keycloak tells only a client in the token's audience: OAUTH_CLIENT_ID must be one",
    ),
}
