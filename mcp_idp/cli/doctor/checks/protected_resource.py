"""Checks the protected resource metadata: its presence, its `resource`, and the authorization server that it names."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from mcp_idp.cli.common.safe_http import is_cleartext, is_http_url
from mcp_idp.cli.doctor.context import text, texts
from mcp_idp.cli.doctor.findings import Finding, Rule, Severity
from mcp_idp.cli.doctor.runner import Check
from mcp_idp.cli.doctor.url_diff import describe_difference
from mcp_idp.http.protected_resource import WELL_KNOWN_PATH

if TYPE_CHECKING:
    from mcp_idp.cli.common.safe_http import HttpResult
    from mcp_idp.cli.doctor.context import CheckContext

MISSING = Rule(
    name="document_missing",
    severity=Severity.ERROR,
    title="there is no protected resource metadata",
    why="it names the provider to use; without it clients guess, and register at the wrong one",
    source="RFC 9728 section 3",
    reports=("modelcontextprotocol/inspector#2296", "geelen/mcp-remote#128"),
)
NOT_AT_PATH = Rule(
    name="not_at_path",
    severity=Severity.WARNING,
    title="the metadata is at the root only",
    why="the well-known segment belongs between host and path; clients that build the URL themselves look there first",
    source="RFC 9728 section 3.1",
    reports=("modelcontextprotocol/python-sdk#1052",),
)
NOT_AT_ROOT = Rule(
    name="not_at_root",
    severity=Severity.INFO,
    title="the metadata is not at the root",
    why="a few older clients look only there",
)
TWO_VERSIONS = Rule(
    name="two_versions",
    severity=Severity.WARNING,
    title="the two well-known URLs return different documents",
    why="the provider and scopes that a client uses then depend on which URL it reads",
)
OTHER_RESOURCE = Rule(
    name="other_resource",
    severity=Severity.ERROR,
    title="the metadata is for another URL",
    why="clients compare `resource` with their URL character by character, and must stop if they differ",
    source="RFC 9728 section 3.3",
    reports=(
        "PrefectHQ/fastmcp#1431",
        "modelcontextprotocol/python-sdk#1264",
        "elgorro/aiquila#77",
    ),
)
NO_ISSUER = Rule(
    name="no_issuer",
    severity=Severity.ERROR,
    title="the metadata names no authorization server",
    why="clients do not know where to log in",
    source="MCP authorization 2026-07-28, Authorization Server Location",
)
HIDDEN_ISSUER = Rule(
    name="hidden_issuer",
    severity=Severity.ERROR,
    title="the authorization server is named by a host that only containers can resolve",
    why="the user's browser has to open it and cannot",
    source="RFC 9728 section 2",
    reports=("microcks/microcks#943",),
)
CLEAR_ISSUER = Rule(
    name="cleartext_issuer",
    severity=Severity.ERROR,
    title="the authorization server uses http and is not on this machine",
    why="passwords and tokens would cross the network unencrypted; clients reject it, and Keycloak says HTTPS required",
    source="RFC 8414 section 2; RFC 9700 section 2.6",
    reports=("keycloak/keycloak#15084", "keycloak/keycloak#25350"),
)
OFFLINE = Rule(
    name="offline_access_advertised",
    severity=Severity.WARNING,
    title="the server requests offline_access",
    why="it is for the client to request; a provider that does not know it rejects the whole login",
    source="MCP authorization 2026-07-28 (SEP-2207)",
    reports=("anthropics/claude-code#41610", "anthropics/claude-code#7744"),
)


async def check_metadata(case: CheckContext) -> list[Finding]:
    """Fetches the metadata from the URL in the challenge and from both well-known URLs."""
    parts = urlsplit(case.url)
    root = f"{parts.scheme}://{parts.netloc}{WELL_KNOWN_PATH}"
    at_path = root + parts.path.rstrip("/")
    named = (case.challenge.parameters.get("resource_metadata") if case.challenge else None) or at_path
    replies = {url: await case.http.get(url) for url in dict.fromkeys((named, at_path, root))}
    usable = [reply.json_if_ok for reply in replies.values() if reply.json_if_ok]
    if not usable:
        tried = "; ".join(f"{url}: {_describe_reply(reply)}" for url, reply in replies.items())
        fix = f"serve it at {at_path}, and name that in the challenge (RFC 9728 sections 3.1 and 5.1)"
        return [MISSING.finding(tried, fix)]
    case.resource = usable[0]
    found = []
    if not replies[at_path].json_if_ok:
        observed = f"{at_path}: {_describe_reply(replies[at_path])}"
        found.append(NOT_AT_PATH.finding(observed, "serve the same document there too"))
    if not replies[root].json_if_ok:
        found.append(
            NOT_AT_ROOT.finding(f"{root}: {_describe_reply(replies[root])}", "serve the same document there too")
        )
    if any(other != usable[0] for other in usable):
        found.append(TWO_VERSIONS.finding("the documents differ", "serve the same document at all of them"))
    return found


def _describe_reply(reply: HttpResult) -> str:
    return "no JSON object" if reply.status == 200 else str(reply)  # noqa: PLR2004 - OK


async def same_resource(case: CheckContext) -> list[Finding]:
    """Compares `resource` with the URL that clients use."""
    named = text(case.resource, "resource")
    if named == case.url:
        return []
    if not is_http_url(named):
        what, fix = f"resource is {case.resource.get('resource')!r}", f'set it to "resource": "{case.url}"'
        return [OTHER_RESOURCE.finding(what, fix, settings={"MCP_PUBLIC_URL": case.url})]
    difference = describe_difference(case.url, named)
    what = f"resource is {named}, but the server was called at {case.url}: the difference is {difference}"
    if case.url.endswith("/"):
        return [OTHER_RESOURCE.finding(what, f"configure clients with {named} only", url=named)]
    if case.is_internal_name(named):
        fix = f"set the server's public URL to the one that clients use (here: MCP_PUBLIC_URL={case.url})"
        return [OTHER_RESOURCE.finding(what, fix, settings={"MCP_PUBLIC_URL": case.url})]
    fix = (
        f"configure clients with {named}; or, if {case.url} is right, set it as the server's public URL (here: "
        f"MCP_PUBLIC_URL={case.url})"
    )
    return [OTHER_RESOURCE.finding(what, fix, url=named, settings={"MCP_PUBLIC_URL": case.url})]


async def check_authorization_server(case: CheckContext) -> list[Finding]:
    """Checks the first of `authorization_servers`, which is the one that clients use."""
    named = texts(case.resource.get("authorization_servers"))
    case.issuer = issuer = named[0] if named else ""
    found = []
    if not is_http_url(issuer):
        got = case.resource.get("authorization_servers")
        return [
            NO_ISSUER.finding(f"authorization_servers is {got!r}", "name the issuer there (here: OAUTH_SERVER_URL)")
        ]
    if case.is_internal_name(issuer):
        public = case.as_localhost(issuer)
        found.append(
            HIDDEN_ISSUER.finding(
                f"authorization_servers names {issuer}",
                "name the provider's public URL, and set the server's internal URL for it separately (here: "
                f"OAUTH_SERVER_URL={public} and OAUTH_INTERNAL_URL={issuer}; Keycloak needs KC_HOSTNAME, too)",
                settings={"OAUTH_SERVER_URL": public, "OAUTH_INTERNAL_URL": issuer},
            )
        )
    elif is_cleartext(issuer):
        secure = f"https{issuer.removeprefix('http')}"
        fix = (
            f"give the provider TLS and its https URL (here: OAUTH_SERVER_URL={secure}); its issuer must be that "
            "URL too"
        )
        settings = {"OAUTH_SERVER_URL": secure}
        found.append(CLEAR_ISSUER.finding(f"authorization_servers names {issuer}", fix, settings=settings))
    requested = {*case.scopes, *texts(case.resource.get("scopes_supported"))}
    if "offline_access" in requested:
        fix = "remove it from the challenge and from scopes_supported"
        found.append(OFFLINE.finding("challenge or metadata lists it", fix))
    return found


CHECKS = (
    Check(
        name="metadata",
        question="Is there a protected resource metadata document, at both well-known URLs?",
        run=check_metadata,
        depends_on=("reach",),
        kinds=(MISSING, NOT_AT_PATH, NOT_AT_ROOT, TWO_VERSIONS),
    ),
    Check(
        name="resource",
        question="Is the document for exactly the URL in use?",
        run=same_resource,
        depends_on=("metadata",),
        kinds=(OTHER_RESOURCE,),
    ),
    Check(
        name="provider",
        question="Does it name an authorization server that clients can reach safely?",
        run=check_authorization_server,
        depends_on=("metadata",),
        kinds=(NO_ISSUER, HIDDEN_ISSUER, CLEAR_ISSUER, OFFLINE),
    ),
)
