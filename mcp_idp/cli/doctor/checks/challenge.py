"""Checks that the 401 response tells clients how to log in."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from mcp_idp.cli.common.safe_http import is_http_url
from mcp_idp.cli.doctor.context import text
from mcp_idp.cli.doctor.findings import Finding, Rule, Severity
from mcp_idp.cli.doctor.runner import Check
from mcp_idp.http.protected_resource import WELL_KNOWN_PATH

if TYPE_CHECKING:
    from mcp_idp.cli.doctor.challenge_header import Challenge
    from mcp_idp.cli.doctor.context import CheckContext

MISSING = Rule(
    name="challenge_missing",
    severity=Severity.ERROR,
    title="the 401 carries no Bearer challenge",
    why="clients log in only when they receive it, and many look nowhere else",
    source="RFC 6750 section 3; RFC 9728 section 5.1",
    reports=(
        "sooperset/mcp-atlassian#1257",
        "lightdash/lightdash#26726",
        "gavdilabs/cap-mcp-plugin#111",
    ),
)
ERROR = Rule(
    name="challenge_error",
    severity=Severity.WARNING,
    title="the challenge reports missing credentials as an error",
    why="a client without a token reads that its token is invalid: some then discard a valid one",
    source="RFC 6750 section 3.1",
    reports=("modelcontextprotocol/python-sdk#3103",),
)
NO_METADATA = Rule(
    name="metadata_not_named",
    severity=Severity.WARNING,
    title="the challenge does not name the metadata URL",
    why="MCP 2025-06-18 required it, and clients of that version look nowhere else",
    source="RFC 9728 section 5.1; MCP 2025-06-18",
)
BAD_METADATA = Rule(
    name="metadata_url_wrong",
    severity=Severity.ERROR,
    title="the challenge names a metadata URL that clients cannot use",
    why="clients use only this URL: its scheme and host must match the URL of the server",
    source="RFC 9728 section 5.1",
    reports=(
        "Swiggy/swiggy-mcp-server-manifest#88",
        "agentic-community/mcp-gateway-registry#219",
    ),
)
NO_SCOPE = Rule(
    name="scope_not_named",
    severity=Severity.WARNING,
    title="the challenge names no scope",
    why="clients then request the scopes in the metadata, or none, and get a token that is rejected",
    source="MCP authorization 2026-07-28, Scope Selection Strategy",
    reports=("modelcontextprotocol/python-sdk#3103", "anthropics/claude-code#28258"),
)


async def check_challenge(case: CheckContext) -> list[Finding]:
    """Checks the challenge in the response to a request without a token."""
    challenge = case.challenge
    if challenge is None:
        header = case.initial_response.header("www-authenticate") if case.initial_response else ""
        return [
            MISSING.finding(
                f"WWW-Authenticate is {header!r}" if header else "there is no WWW-Authenticate",
                f'send WWW-Authenticate: Bearer resource_metadata="{_expected(case)}", scope="…" with each 401; if the '
                "server sends it, a proxy or gateway removes it",
            )
        ]
    found = []
    if error := challenge.parameters.get("error"):
        found.append(
            ERROR.finding(f'error="{error}", although no token was sent', "omit error when the request has no token")
        )
    found += _metadata(case, challenge)
    if not challenge.scopes:
        found.append(NO_SCOPE.finding("no scope", 'add scope="…" with the scopes that a login should request'))
    return found


def _metadata(case: CheckContext, challenge: Challenge) -> list[Finding]:
    named = challenge.parameters.get("resource_metadata", "")
    expected = _expected(case)
    if not named:
        return [NO_METADATA.finding("no resource_metadata", f'add resource_metadata="{expected}"')]
    # Metadata for another URL is already a finding of its own, and the challenge follows from the same setting.
    own = text(case.resource, "resource")
    own = own if is_http_url(own) else case.url
    if not is_http_url(named) or _origin(named) not in {_origin(case.url), _origin(own)}:
        return [
            BAD_METADATA.finding(
                f"resource_metadata is {named}, but the server was called at {case.url}",
                f"set the server's public URL (here: MCP_PUBLIC_URL={case.url}): behind a proxy it cannot "
                "derive it from "
                f"requests. resource_metadata must be {expected}",
                settings={"MCP_PUBLIC_URL": case.url},
            )
        ]
    return []


def _origin(url: str) -> tuple[str, str]:
    parts = urlsplit(url)
    return parts.scheme, parts.netloc.lower()


def _expected(case: CheckContext) -> str:
    parts = urlsplit(case.url)
    return f"{parts.scheme}://{parts.netloc}{WELL_KNOWN_PATH}{parts.path}"


CHECKS = (
    Check(
        name="challenge",
        question="Does the 401 response tell clients how to log in?",
        run=check_challenge,
        depends_on=("reach",),
        kinds=(MISSING, BAD_METADATA, ERROR, NO_METADATA, NO_SCOPE),
    ),
)
