"""Checks whether MCP clients can work with the provider's metadata."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mcp_idp.cli.common.safe_http import is_cleartext, is_http_url
from mcp_idp.cli.doctor.checks.discovery import KEYCLOAK_HOSTNAME_HINT
from mcp_idp.cli.doctor.context import text, texts
from mcp_idp.cli.doctor.findings import Finding, Rule, Severity
from mcp_idp.cli.doctor.runner import Check, with_login
from mcp_idp.tokens.jwks import parse_jwks

if TYPE_CHECKING:
    from mcp_idp.cli.doctor.context import CheckContext

NO_ENDPOINT = Rule(
    name="endpoint_missing",
    severity=Severity.ERROR,
    title="the provider's metadata lacks an endpoint that logins need",
    why="the authorization code flow needs both the authorization and the token endpoint",
    source="RFC 8414 section 2",
)
HIDDEN_ENDPOINT = Rule(
    name="hidden_endpoint",
    severity=Severity.ERROR,
    title="the provider's metadata names a host that only containers can resolve",
    why="even with a correct issuer, clients fail at the step that uses this endpoint",
    reports=("microcks/microcks#943", "NikiforovAll/keycloak-authorization-services-dotnet#144"),
)
CLEAR_ENDPOINT = Rule(
    name="cleartext_endpoint",
    severity=Severity.ERROR,
    title="an endpoint of the provider uses http and is not on this machine",
    why="codes, passwords and tokens are sent there",
    source="RFC 9700 section 2.6",
    reports=("keycloak/keycloak#25350",),
)
NO_KEYS = Rule(
    name="no_keys",
    severity=Severity.WARNING,
    title="the provider publishes no key that can verify tokens",
    why="the server then has to introspect each token",
    source="RFC 7517 section 5",
)
NO_PKCE = Rule(
    name="no_pkce",
    severity=Severity.ERROR,
    title="the provider does not advertise PKCE with S256",
    why="clients must reject a provider that does not advertise it, even if it supports it",
    source="MCP authorization 2026-07-28, Authorization Code Protection",
    reports=(
        "modelcontextprotocol/csharp-sdk#730",
        "modelcontextprotocol/typescript-sdk#2831",
        "empires-security/mcp-oauth2-aws-cognito#9",
    ),
)
UNKNOWN_SCOPES = Rule(
    name="unknown_scopes",
    severity=Severity.WARNING,
    title="the server requests scopes that the provider does not list",
    why="a provider that does not know one of them rejects the registration or the whole login",
    source="RFC 8414 section 2; RFC 6749 section 4.1.2.1",
    reports=("agentic-community/mcp-gateway-registry#1143", "keycloak/keycloak#43654"),
)
_ENDPOINTS = ("authorization_endpoint", "token_endpoint", "registration_endpoint", "jwks_uri")


async def endpoints(case: CheckContext) -> list[Finding]:
    """Checks that the endpoints are present and that clients can reach them safely."""
    named = {name: text(case.provider, name) for name in _ENDPOINTS}
    found = [
        NO_ENDPOINT.finding(f"{name} is {case.provider.get(name)!r}", "make the provider publish it")
        for name in ("authorization_endpoint", "token_endpoint")
        if not is_http_url(named[name])
    ]
    hidden = [f"{name} {url}" for name, url in named.items() if is_http_url(url) and case.is_internal_name(url)]
    if hidden:
        fix = f"give the provider its public name: {KEYCLOAK_HOSTNAME_HINT}"
        found.append(HIDDEN_ENDPOINT.finding(", ".join(hidden), fix))
        return found
    clear = [f"{name} {url}" for name, url in named.items() if is_http_url(url) and is_cleartext(url)]
    if clear:
        fix = "if a proxy terminates TLS, configure the provider for it (Keycloak: KC_HOSTNAME=https://… , "
        "KC_PROXY_HEADERS)"
        found.append(CLEAR_ENDPOINT.finding(", ".join(clear), fix))
    keys = await case.http.get(named["jwks_uri"]) if is_http_url(named["jwks_uri"]) else None
    if keys is None or not parse_jwks(keys.json_if_ok):
        observed = f"{keys.url}: {keys}" if keys is not None else "no jwks_uri"
        found.append(
            NO_KEYS.finding(observed, "sign access tokens with RS256, ES256 or the like (here else: AUTH_TOKEN_MODE)")
        )
    return found


async def pkce(case: CheckContext) -> list[Finding]:
    """Checks that the metadata lists S256."""
    listed = case.provider.get("code_challenge_methods_supported")
    if "S256" in texts(listed):
        return []
    return [
        NO_PKCE.finding(
            f"code_challenge_methods_supported is {listed!r}",
            "enable PKCE at the provider; if it supports PKCE without advertising it (Entra ID, Dex), serve its "
            'metadata with "code_challenge_methods_supported": ["S256"] through a proxy',
        )
    ]


async def known_scopes(case: CheckContext) -> list[Finding]:
    """Checks that the provider lists the scopes that the server requests."""
    unknown = sorted({*case.scopes, *texts(case.resource.get("scopes_supported"))} - _supported(case))
    if not unknown:
        return []
    fix = (
        "create them (here: mcp-idp bootstrap check shows what is missing, apply creates it), or remove them from the "
        "server (here: access.yaml). A provider may also know scopes that it does not list"
    )
    return [UNKNOWN_SCOPES.finding(f"scopes_supported lacks {' '.join(unknown)}", fix)]


def _supported(case: CheckContext) -> set[str]:
    return set(texts(case.provider.get("scopes_supported")))


def _lists_scopes(case: CheckContext) -> str:
    return with_login(case) or ("" if _supported(case) else "the provider lists no scopes")


CHECKS = (
    Check(
        name="endpoints",
        question="Are the provider's endpoints and keys present, reachable and encrypted?",
        run=endpoints,
        depends_on=("issuer",),
        kinds=(NO_ENDPOINT, HIDDEN_ENDPOINT, CLEAR_ENDPOINT, NO_KEYS),
    ),
    Check(
        name="pkce",
        question="Does the provider advertise PKCE with S256?",
        run=pkce,
        depends_on=("discovery",),
        kinds=(NO_PKCE,),
    ),
    Check(
        name="scopes",
        question="Does the provider list the scopes that the server requests?",
        run=known_scopes,
        depends_on=("discovery",),
        skip_reason=_lists_scopes,
        kinds=(UNKNOWN_SCOPES,),
    ),
)
