"""What becomes of a token that is none, and of one in the wrong place."""

from __future__ import annotations

from base64 import urlsafe_b64encode
from typing import TYPE_CHECKING

from mcp_idp.cli.common.discover_request import discover_request
from mcp_idp.cli.doctor.challenge_header import read_challenge
from mcp_idp.cli.doctor.findings import Finding, Kind, Severity
from mcp_idp.cli.doctor.runner import Check

if TYPE_CHECKING:
    from mcp_idp.cli.common.safe_http import Reply
    from mcp_idp.cli.doctor.context import Case

TAKES_ANYTHING = Kind(
    name="takes_anything",
    severity=Severity.FAULT,
    title="the server takes a made-up token",
    why="whoever sends anything at all is let in",
    source="MCP authorization 2026-07-28, Token Handling",
)
CANNOT_ASK = Kind(
    name="cannot_ask",
    severity=Severity.FAULT,
    title="the server cannot reach its provider",
    why="it has no keys, so it can judge no token: everybody's login ends with 503",
    complaints=("microcks/microcks#943", "NikiforovAll/keycloak-authorization-services-dotnet#115"),
)
NO_NEW_LOGIN = Kind(
    name="no_new_login",
    severity=Severity.WARNING,
    title="a token that does not count is not answered with 401 and a challenge",
    why="when a token runs out in mid-session, clients log in again only after 401 with invalid_token",
    source="RFC 6750 section 3.1; MCP authorization 2026-07-28, Token Handling",
    complaints=("cursor/cursor#3722", "punkpeye/fastmcp#227", "Softeria/ms-365-mcp-server#406"),
)
IN_QUERY = Kind(
    name="token_in_query",
    severity=Severity.WARNING,
    title="the server reads tokens out of the URL",
    why="URLs stand in logs, histories and Referer headers, and the token with them",
    source="MCP authorization 2026-07-28, Token Requirements; RFC 9700 section 4.3.2",
)


def made_up_token() -> str:
    """It has the form of a signed JWT and is nobody's."""
    parts = (b'{"alg":"RS256","typ":"at+jwt","kid":"scripts-doctor"}', b'{"sub":"scripts/doctor"}', b"made up" * 36)
    return ".".join(urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts)


async def made_up(case: Case) -> list[Finding]:
    """Send a token that nobody issued."""
    case.made_up = reply = await _call(case, case.url, authorization=f"Bearer {made_up_token()}")
    if reply.fault is not None:
        return [NO_NEW_LOGIN.found(f"no answer: {reply}", "answer 401 with a challenge")]
    if 200 <= reply.status < 300:  # noqa: PLR2004 - taken
        return [TAKES_ANYTHING.found(f"it answers {reply.status}", "verify signature, issuer, audience and times")]
    if reply.status == 503:  # noqa: PLR2004 - Service Unavailable: see `reaches_provider`
        return []
    challenge = read_challenge(reply.header("www-authenticate"))
    if reply.status != 401 or challenge is None or challenge.parameters.get("error") != "invalid_token":  # noqa: PLR2004
        header = reply.header("www-authenticate") or "no WWW-Authenticate"
        mend = 'answer 401 with WWW-Authenticate: Bearer error="invalid_token", resource_metadata="…"'
        return [NO_NEW_LOGIN.found(f"it answers {reply.status}, {header}", mend)]
    return []


async def reaches_provider(case: Case) -> list[Finding]:
    """Could the server judge that token at all?"""
    if case.made_up is None or case.made_up.status != 503:  # noqa: PLR2004 - Service Unavailable
        return []
    mend = (
        "its log says which URL it tries. In a container localhost is the container: set OAUTH_INTERNAL_URL to the "
        "provider as the server reaches it, as http://keycloak:8080/realms/mcp"
    )
    return [CANNOT_ASK.found("it answers 503 to any token", mend)]


async def in_the_query(case: Case) -> list[Finding]:
    """Send the same in the URL: it must be answered like no token at all."""
    reply = await _call(case, f"{case.url}?access_token={made_up_token()}")
    challenge = read_challenge(reply.header("www-authenticate"))
    was_an_error = case.challenge is not None and "error" in case.challenge.parameters
    read = challenge is not None and challenge.parameters.get("error") == "invalid_token" and not was_an_error
    if 200 <= reply.status < 300 or read:  # noqa: PLR2004 - taken
        return [IN_QUERY.found(f"?access_token=… is answered {reply.status}", "take tokens from Authorization only")]
    return []


async def _call(case: Case, url: str, **header: str) -> Reply:
    body, headers = discover_request()
    return await case.ask.send("POST", url, headers={**headers, **header}, json=body)


CHECKS = (
    Check(
        name="made-up token",
        asks="Is a token that nobody issued refused, so that a client logs in again?",
        run=made_up,
        needs=("reach",),
        kinds=(TAKES_ANYTHING, NO_NEW_LOGIN),
    ),
    Check(
        name="server to provider",
        asks="Does the server itself reach its provider?",
        run=reaches_provider,
        needs=("made-up token", "issuer"),
        kinds=(CANNOT_ASK,),
    ),
    Check(
        name="query token",
        asks="Is a token in the URL no token?",
        run=in_the_query,
        needs=("reach",),
        kinds=(IN_QUERY,),
    ),
)
