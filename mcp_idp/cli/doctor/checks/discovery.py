"""The provider's metadata: is it found, and is it the issuer's own?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mcp_idp.cli.common.safe_http import is_web
from mcp_idp.cli.doctor.context import text
from mcp_idp.cli.doctor.findings import Finding, Kind, Severity
from mcp_idp.cli.doctor.runner import Check
from mcp_idp.cli.doctor.url_diff import difference
from mcp_idp.oauth.discovery import candidates

if TYPE_CHECKING:
    from mcp_idp.cli.doctor.context import Case

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
    complaints=(
        "github/copilot-cli#4606",
        "openai/codex#37373",
        "anomalyco/opencode#50036",
    ),
)
FOLLOWS_CALLER = Kind(
    name="hidden_provider_issuer",
    severity=Severity.FAULT,
    title="the provider's issuer is a name that only containers know",
    why="its tokens will carry that name, and the server that expects the public one refuses each of them",
    source="RFC 8414 section 3.3",
    complaints=("microcks/microcks#943", "NikiforovAll/keycloak-authorization-services-dotnet#115"),
)
KEYCLOAK_NAMES = (
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
            mend = (
                "start it; it must be reachable from here, and from browsers, under the very URL that the server names"
            )
            return [UNREACHABLE.found(f"{case.issuer}: {replies[0]}", mend)]
        mend = (
            "compare the issuer's path with the provider's documentation (here: OAUTH_SERVER_URL), without /.well-known"
        )
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
        return [FOLLOWS_CALLER.found(what, f"give the provider its public name: {KEYCLOAK_NAMES}")]
    return [
        OTHER_ISSUER.found(
            f"{what}: the difference is {difference(case.issuer, named)}",
            f"name it exactly as it names itself (here: OAUTH_SERVER_URL={named})",
            settings={"OAUTH_SERVER_URL": named},
        )
    ]


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
)
