"""Checks how the server responds to a forged token, and to a token in the query string."""

from __future__ import annotations

from base64 import urlsafe_b64encode
from typing import TYPE_CHECKING

from mcp_idp.cli.common.discover_request import discover_request
from mcp_idp.cli.doctor.challenge_header import read_challenge
from mcp_idp.cli.doctor.findings import Finding, Rule, Severity
from mcp_idp.cli.doctor.runner import Check

if TYPE_CHECKING:
    from mcp_idp.cli.common.safe_http import HttpResult
    from mcp_idp.cli.doctor.context import CheckContext

ACCEPTS_ANY_TOKEN = Rule(
    name="accepts_any_token",
    severity=Severity.ERROR,
    title="the server accepts a made-up token",
    why="every request with any token is accepted",
    source="MCP authorization 2026-07-28, Token Handling",
)
PROVIDER_UNREACHABLE_FROM_SERVER = Rule(
    name="provider_unreachable_from_server",
    severity=Severity.ERROR,
    title="the server cannot reach its provider",
    why="without keys it cannot validate tokens: every login ends with 503",
    reports=("microcks/microcks#943", "NikiforovAll/keycloak-authorization-services-dotnet#115"),
)
NO_NEW_LOGIN = Rule(
    name="no_new_login",
    severity=Severity.WARNING,
    title="the response to an invalid token is not 401 with a challenge",
    why="when a token expires during a session, clients log in again only after 401 with invalid_token",
    source="RFC 6750 section 3.1; MCP authorization 2026-07-28, Token Handling",
    reports=("cursor/cursor#3722", "punkpeye/fastmcp#227", "Softeria/ms-365-mcp-server#406"),
)
IN_QUERY = Rule(
    name="token_in_query",
    severity=Severity.WARNING,
    title="the server reads tokens out of the URL",
    why="URLs, and the tokens in them, end up in logs, histories and Referer headers",
    source="MCP authorization 2026-07-28, Token Requirements; RFC 9700 section 4.3.2",
)


def bogus_token() -> str:
    """Returns a forged token in the form of a signed JWT."""
    parts = (b'{"alg":"RS256","typ":"at+jwt","kid":"mcp-idp-doctor"}', b'{"sub":"mcp-idp doctor"}', b"made up" * 36)
    return ".".join(urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts)


async def check_bogus_token(case: CheckContext) -> list[Finding]:
    """Sends a forged token."""
    case.bogus_token_response = reply = await _call(case, case.url, authorization=f"Bearer {bogus_token()}")
    if reply.fault is not None:
        return [NO_NEW_LOGIN.finding(f"no response: {reply}", "respond 401 with a challenge")]
    if 200 <= reply.status < 300:  # noqa: PLR2004 - success
        return [
            ACCEPTS_ANY_TOKEN.finding(f"it responds {reply.status}", "verify signature, issuer, audience and times")
        ]
    if reply.status == 503:  # noqa: PLR2004 - Service Unavailable, see `check_server_reaches_provider`
        return []
    challenge = read_challenge(reply.header("www-authenticate"))
    if reply.status != 401 or challenge is None or challenge.parameters.get("error") != "invalid_token":  # noqa: PLR2004 - Unauthorized
        header = reply.header("www-authenticate") or "no WWW-Authenticate"
        fix = 'respond 401 with WWW-Authenticate: Bearer error="invalid_token", resource_metadata="…"'
        return [NO_NEW_LOGIN.finding(f"it responds {reply.status}, {header}", fix)]
    return []


async def check_server_reaches_provider(case: CheckContext) -> list[Finding]:
    """Checks, by the response to that token, that the server can reach its provider."""
    if case.bogus_token_response is None or case.bogus_token_response.status != 503:  # noqa: PLR2004 - Service Unavailable
        return []
    fix = (
        "its log names the URL that it requests. In a container localhost is the container: set OAUTH_INTERNAL_URL to "
        "the URL at which the server reaches the provider, such as http://keycloak:8080/realms/mcp"
    )
    return [PROVIDER_UNREACHABLE_FROM_SERVER.finding("it responds 503 to any token", fix)]


async def check_query_token(case: CheckContext) -> list[Finding]:
    """Sends the same token in the query string; the server must respond as it does without a token."""
    reply = await _call(case, f"{case.url}?access_token={bogus_token()}")
    challenge = read_challenge(reply.header("www-authenticate"))
    was_an_error = case.challenge is not None and "error" in case.challenge.parameters
    read = challenge is not None and challenge.parameters.get("error") == "invalid_token" and not was_an_error
    if 200 <= reply.status < 300 or read:  # noqa: PLR2004 - success
        return [
            IN_QUERY.finding(
                f"the response to ?access_token=… is {reply.status}", "accept tokens only in the Authorization header"
            )
        ]
    return []


async def _call(case: CheckContext, url: str, **header: str) -> HttpResult:
    body, headers = discover_request()
    return await case.http.send("POST", url, headers={**headers, **header}, json=body)


CHECKS = (
    Check(
        name="invalid token",
        question="Is a made-up token rejected so that clients log in again?",
        run=check_bogus_token,
        depends_on=("reach",),
        kinds=(ACCEPTS_ANY_TOKEN, NO_NEW_LOGIN),
    ),
    Check(
        name="server to provider",
        question="Can the server reach its provider?",
        run=check_server_reaches_provider,
        depends_on=("invalid token", "issuer"),
        kinds=(PROVIDER_UNREACHABLE_FROM_SERVER,),
    ),
    Check(
        name="query token",
        question="Is a token in the URL ignored?",
        run=check_query_token,
        depends_on=("reach",),
        kinds=(IN_QUERY,),
    ),
)
