"""The provider's metadata: is it found, is it the issuer's own, and can MCP clients work with what it says?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mcp_server.verify.discovery import candidates
from mcp_server.verify.keys import read_key_set
from scripts.checkup.ask import in_the_clear, is_web
from scripts.checkup.case import text, texts
from scripts.checkup.check import Check, with_login
from scripts.checkup.compare import difference
from scripts.checkup.finding import Finding, Kind, Severity

if TYPE_CHECKING:
    from scripts.checkup.case import Case

UNREACHABLE = Kind(
    name="provider_unreachable",
    severity=Severity.FAULT,
    title="the provider does not answer under the name that the server gives",
    why="clients and browsers go to that very URL",
    complaints=("microcks/microcks#943", "anthropics/claude-ai-mcp#385"),
)
NO_METADATA = Kind(
    name="provider_metadata_missing",
    severity=Severity.FAULT,
    title="the provider has no metadata at any of the three well-known URLs",
    why="clients cannot tell where to register, where to send the person and where to get the token",
    source="RFC 8414 section 3; MCP authorization 2026-07-28, Authorization Server Metadata Discovery",
    complaints=("keycloak/keycloak#40923", "modelcontextprotocol/inspector#2296", "google-gemini/gemini-cli#12447"),
)
ONLY_OPENID = Kind(
    name="only_openid_configuration",
    severity=Severity.WARNING,
    title="the provider has no RFC 8414 metadata, only OpenID Connect's",
    why="clients of MCP 2025-06-18 and before know no other place",
    source="MCP 2025-06-18, Authorization Server Metadata",
    complaints=("keycloak/keycloak#29627", "geelen/mcp-remote#128", "google-gemini/gemini-cli#12447"),
)
OTHER_ISSUER = Kind(
    name="other_issuer",
    severity=Severity.FAULT,
    title="the provider calls itself otherwise than the server does",
    why="clients compare the two letter by letter, else an impostor could answer; tokens carry the provider's spelling",
    source="RFC 8414 section 3.3",
    complaints=("jlowin/fastmcp#1431", "modelcontextprotocol/inspector#566"),
)
FOLLOWS_CALLER = Kind(
    name="hidden_provider_issuer",
    severity=Severity.FAULT,
    title="the provider's issuer is a name that only containers know",
    why="its tokens will carry that name, and the server that expects the public one refuses each of them",
    source="RFC 8414 section 3.3",
    complaints=("microcks/microcks#943", "NikiforovAll/keycloak-authorization-services-dotnet#115"),
)
NO_ENDPOINT = Kind(
    name="endpoint_missing",
    severity=Severity.FAULT,
    title="the provider's metadata lacks an endpoint that a login needs",
    why="a login by authorization code needs both the authorization and the token endpoint",
    source="RFC 8414 section 2",
)
HIDDEN_ENDPOINT = Kind(
    name="hidden_endpoint",
    severity=Severity.FAULT,
    title="the provider's metadata sends clients to a name that only containers know",
    why="the issuer can be right and an endpoint still not: clients get no further than that step",
    complaints=("microcks/microcks#943", "NikiforovAll/keycloak-authorization-services-dotnet#144"),
)
CLEAR_ENDPOINT = Kind(
    name="clear_endpoint",
    severity=Severity.FAULT,
    title="an endpoint of the provider is http, off this machine",
    why="codes, passwords and tokens go there",
    source="RFC 9700 section 2.6",
    complaints=("keycloak/keycloak#25350",),
)
NO_KEYS = Kind(
    name="no_keys",
    severity=Severity.WARNING,
    title="the provider publishes no key that tokens could be verified by",
    why="the server can then only ask about each token (introspection)",
    source="RFC 7517 section 5",
)
NO_PKCE = Kind(
    name="no_pkce",
    severity=Severity.FAULT,
    title="the provider does not advertise PKCE with S256",
    why="clients must refuse a provider that does not, whether it can do it or not",
    source="MCP authorization 2026-07-28, Authorization Code Protection",
    complaints=("modelcontextprotocol/csharp-sdk#648",),
)
UNKNOWN_SCOPES = Kind(
    name="unknown_scopes",
    severity=Severity.WARNING,
    title="the server asks for scopes that the provider does not list",
    why="a provider that does not know one of them refuses the registration or the whole login",
    source="RFC 8414 section 2; RFC 6749 section 4.1.2.1",
    complaints=("agentic-community/mcp-gateway-registry#1143", "keycloak/keycloak#43654"),
)
_ENDPOINTS = ("authorization_endpoint", "token_endpoint", "registration_endpoint", "jwks_uri")
_KEYCLOAK_NAMES = (
    "start Keycloak with KC_HOSTNAME=http://localhost:8080 (the address browsers use) and "
    "KC_HOSTNAME_BACKCHANNEL_DYNAMIC=true"
)


async def discover(case: Case) -> list[Finding]:
    """Fetch the issuer's metadata from each of the well-known places, as clients do."""
    replies = [await case.ask.get(url) for url in candidates(case.issuer)]
    usable = [reply for reply in replies if reply.found]
    if not usable:
        tried = "; ".join(f"{reply.url}: {reply}" for reply in replies)
        if all(reply.fault is not None for reply in replies):
            mend = "start it; it must be reachable from here, and from browsers, under the very URL that the server names"
            return [UNREACHABLE.found(f"{case.issuer}: {replies[0]}", mend)]
        mend = "compare the issuer's path with the provider's documentation (here: OAUTH_SERVER_URL), without /.well-known"
        return [NO_METADATA.found(tried, mend)]
    chosen = next((reply for reply in usable if reply.document.get("issuer") == case.issuer), usable[0])
    case.provider, case.provider_reply = chosen.document, chosen
    if "oauth-authorization-server" not in usable[0].url:
        mend = "Keycloak has it from 26.4 on; for other providers a proxy can serve the same document there"
        return [ONLY_OPENID.found(f"{replies[0].url}: {replies[0]}", mend)]
    return []


async def same_issuer(case: Case) -> list[Finding]:
    """Compare the provider's name for itself with the server's."""
    named = text(case.provider, "issuer")
    if named == case.issuer:
        return []
    what = f"the server names {case.issuer}, the provider's metadata says {named or 'nothing'}"
    if not is_web(named):
        return [OTHER_ISSUER.found(what, "the provider's metadata must name its issuer")]
    if case.hides(named):
        return [FOLLOWS_CALLER.found(what, f"give the provider its public name: {_KEYCLOAK_NAMES}")]
    return [
        OTHER_ISSUER.found(
            f"{what}: the difference is {difference(case.issuer, named)}",
            f"name it exactly as it names itself (here: OAUTH_SERVER_URL={named})",
            settings={"OAUTH_SERVER_URL": named},
        )
    ]


async def endpoints(case: Case) -> list[Finding]:
    """Are the endpoints there, and can clients reach them safely?"""
    named = {name: text(case.provider, name) for name in _ENDPOINTS}
    found = [
        NO_ENDPOINT.found(f"{name} is {case.provider.get(name)!r}", "the provider must publish it")
        for name in ("authorization_endpoint", "token_endpoint")
        if not is_web(named[name])
    ]
    hidden = [f"{name} {url}" for name, url in named.items() if is_web(url) and case.hides(url)]
    if hidden:
        mend = f"give the provider its public name: {_KEYCLOAK_NAMES}"
        found.append(HIDDEN_ENDPOINT.found(", ".join(hidden), mend))
        return found
    clear = [f"{name} {url}" for name, url in named.items() if is_web(url) and in_the_clear(url)]
    if clear:
        mend = "behind a proxy that ends TLS, tell the provider so (Keycloak: KC_HOSTNAME=https://… , KC_PROXY_HEADERS)"
        found.append(CLEAR_ENDPOINT.found(", ".join(clear), mend))
    keys = await case.ask.get(named["jwks_uri"]) if is_web(named["jwks_uri"]) else None
    if keys is None or not read_key_set(keys.found):
        seen = f"{keys.url}: {keys}" if keys is not None else "no jwks_uri"
        found.append(NO_KEYS.found(seen, "sign access tokens with RS256, ES256 or the like (here else: AUTH_TOKEN_MODE)"))
    return found


async def pkce(case: Case) -> list[Finding]:
    """Does the metadata list S256?"""
    listed = case.provider.get("code_challenge_methods_supported")
    if "S256" in texts(listed):
        return []
    return [
        NO_PKCE.found(
            f"code_challenge_methods_supported is {listed!r}",
            "switch PKCE on at the provider; where it can and does not say so (Entra ID, Dex), serve its metadata with "
            '"code_challenge_methods_supported": ["S256"] through a proxy',
        )
    ]


async def known_scopes(case: Case) -> list[Finding]:
    """Does the provider list the scopes that the server asks for?"""
    unknown = sorted({*case.scopes, *texts(case.resource.get("scopes_supported"))} - _supported(case))
    if not unknown:
        return []
    mend = (
        "make them (here: scripts/bootstrap_idp.py apply), or take them out of the server (here: access.yaml). A "
        "provider may also know scopes that it does not list"
    )
    return [UNKNOWN_SCOPES.found(f"scopes_supported lacks {' '.join(unknown)}", mend)]


def _supported(case: Case) -> set[str]:
    return set(texts(case.provider.get("scopes_supported")))


def _lists_scopes(case: Case) -> str:
    return with_login(case) or ("" if _supported(case) else "the provider lists no scopes")


CHECKS = (
    Check(
        name="discovery",
        asks="Is the provider's metadata found as clients look for it?",
        run=discover,
        needs=("provider",),
        kinds=(UNREACHABLE, NO_METADATA, ONLY_OPENID),
    ),
    Check(
        name="issuer",
        asks="Does the provider call itself exactly as the server calls it?",
        run=same_issuer,
        needs=("discovery",),
        kinds=(FOLLOWS_CALLER, OTHER_ISSUER),
    ),
    Check(
        name="endpoints",
        asks="Are the provider's endpoints and keys there, reachable and encrypted?",
        run=endpoints,
        needs=("issuer",),
        kinds=(NO_ENDPOINT, HIDDEN_ENDPOINT, CLEAR_ENDPOINT, NO_KEYS),
    ),
    Check(
        name="pkce",
        asks="Does the provider advertise PKCE with S256?",
        run=pkce,
        needs=("discovery",),
        kinds=(NO_PKCE,),
    ),
    Check(
        name="scopes",
        asks="Does the provider list the scopes that the server asks for?",
        run=known_scopes,
        needs=("discovery",),
        applies=_lists_scopes,
        kinds=(UNKNOWN_SCOPES,),
    ),
)
