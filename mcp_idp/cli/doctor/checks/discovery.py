"""Checks the provider's metadata: whether clients find it, and whether its `issuer` is correct."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mcp_idp.cli.common.safe_http import is_http_url
from mcp_idp.cli.doctor.context import text
from mcp_idp.cli.doctor.findings import Finding, Rule, Severity
from mcp_idp.cli.doctor.runner import Check
from mcp_idp.cli.doctor.url_diff import describe_difference
from mcp_idp.oauth.discovery import well_known_urls

if TYPE_CHECKING:
    from mcp_idp.cli.doctor.context import CheckContext

UNREACHABLE = Rule(
    name="provider_unreachable",
    severity=Severity.ERROR,
    title="the provider does not respond at the URL that the server names",
    why="clients and browsers use exactly this URL",
    reports=("microcks/microcks#943", "anthropics/claude-ai-mcp#385"),
)
NO_METADATA = Rule(
    name="provider_metadata_missing",
    severity=Severity.ERROR,
    title="the provider has no metadata at any of the three well-known URLs",
    why="clients do not know where to register, where to send the user and where to get the token",
    source="RFC 8414 section 3; MCP authorization 2026-07-28, Authorization Server Metadata Discovery",
    reports=("keycloak/keycloak#40923", "modelcontextprotocol/inspector#2296", "google-gemini/gemini-cli#12447"),
)
ONLY_OPENID = Rule(
    name="only_openid_configuration",
    severity=Severity.WARNING,
    title="the provider has no RFC 8414 metadata, only OpenID Connect's",
    why="clients of MCP 2025-06-18 and earlier look only there",
    source="MCP 2025-06-18, Authorization Server Metadata",
    reports=("keycloak/keycloak#29627", "geelen/mcp-remote#128", "google-gemini/gemini-cli#12447"),
)
OTHER_ISSUER = Rule(
    name="other_issuer",
    severity=Severity.ERROR,
    title="the provider's issuer differs from the one that the server names",
    why="clients compare the two character by character, to detect impostors; tokens carry the provider's spelling",
    source="RFC 8414 section 3.3",
    reports=(
        "github/copilot-cli#4606",
        "openai/codex#37373",
        "anomalyco/opencode#50036",
    ),
)
ISSUER_FOLLOWS_HOST = Rule(
    name="hidden_provider_issuer",
    severity=Severity.ERROR,
    title="the provider's issuer names a host that only containers can resolve",
    why="its tokens carry that name, and a server that expects the public one rejects them",
    source="RFC 8414 section 3.3",
    reports=("microcks/microcks#943", "NikiforovAll/keycloak-authorization-services-dotnet#115"),
)
KEYCLOAK_HOSTNAME_HINT = (
    "start Keycloak with KC_HOSTNAME=http://localhost:8080 (the address browsers use) and "
    "KC_HOSTNAME_BACKCHANNEL_DYNAMIC=true"
)


async def discover(case: CheckContext) -> list[Finding]:
    """Fetches the issuer's metadata from all well-known URLs, as clients do."""
    replies = [await case.http.get(url) for url in well_known_urls(case.issuer)]
    usable = [reply for reply in replies if reply.json_if_ok]
    if not usable:
        tried = "; ".join(f"{reply.url}: {reply}" for reply in replies)
        if all(reply.fault is not None for reply in replies):
            fix = "start it; it must be reachable from here and from browsers at exactly the URL that the server names"
            return [UNREACHABLE.finding(f"{case.issuer}: {replies[0]}", fix)]
        fix = (
            "compare the issuer's path with the provider's documentation (here: OAUTH_SERVER_URL), without /.well-known"
        )
        return [NO_METADATA.finding(tried, fix)]
    chosen = next((reply for reply in usable if reply.document.get("issuer") == case.issuer), usable[0])
    case.provider, case.provider_reply = chosen.document, chosen
    if "oauth-authorization-server" not in usable[0].url:
        fix = "use Keycloak 26.4 or newer; for other providers a proxy can serve the same document there"
        return [ONLY_OPENID.finding(f"{replies[0].url}: {replies[0]}", fix)]
    return []


async def same_issuer(case: CheckContext) -> list[Finding]:
    """Compares the provider's `issuer` with the issuer that the server names."""
    named = text(case.provider, "issuer")
    if named == case.issuer:
        return []
    what = f"the server names {case.issuer}, the provider's metadata says {named or 'nothing'}"
    if not is_http_url(named):
        return [OTHER_ISSUER.finding(what, "make the provider's metadata name its issuer")]
    if case.is_internal_name(named):
        return [ISSUER_FOLLOWS_HOST.finding(what, f"give the provider its public name: {KEYCLOAK_HOSTNAME_HINT}")]
    return [
        OTHER_ISSUER.finding(
            f"{what}: the difference is {describe_difference(case.issuer, named)}",
            f"use exactly the provider's own issuer (here: OAUTH_SERVER_URL={named})",
            settings={"OAUTH_SERVER_URL": named},
        )
    ]


CHECKS = (
    Check(
        name="discovery",
        question="Can clients find the provider's metadata?",
        run=discover,
        depends_on=("provider",),
        kinds=(UNREACHABLE, NO_METADATA, ONLY_OPENID),
    ),
    Check(
        name="issuer",
        question="Is the provider's issuer exactly the one that the server names?",
        run=same_issuer,
        depends_on=("discovery",),
        kinds=(ISSUER_FOLLOWS_HOST, OTHER_ISSUER),
    ),
)
