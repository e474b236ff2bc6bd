"""Checks that an MCP server responds at the URL, accepts the host name, and requires a login."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urljoin, urlsplit

from mcp_idp.cli.common.discover_request import discover_request
from mcp_idp.cli.common.safe_http import HttpFailure, is_http_url
from mcp_idp.cli.doctor.challenge_header import read_challenge
from mcp_idp.cli.doctor.context import text
from mcp_idp.cli.doctor.findings import Finding, Rule, Severity
from mcp_idp.cli.doctor.runner import Check, always
from mcp_idp.cli.doctor.url_diff import describe_difference
from mcp_idp.http.protected_resource import WELL_KNOWN_PATH
from mcp_idp.util.urls import is_loopback

if TYPE_CHECKING:
    from mcp_idp.cli.common.safe_http import HttpResult
    from mcp_idp.cli.doctor.context import CheckContext

UNREACHABLE = Rule(
    name="unreachable",
    severity=Severity.ERROR,
    title="the server's URL does not respond",
    why="without a response nothing else can be checked",
)
CERTIFICATE = Rule(
    name="certificate",
    severity=Severity.ERROR,
    title="the server's certificate is not valid for clients",
    why="every client closes the connection before the login begins, and most only say 'fetch failed'",
    source="RFC 9110 section 4.3.4",
)
REDIRECTED = Rule(
    name="redirected",
    severity=Severity.ERROR,
    title="the server redirects",
    why="clients do not follow a redirect with a token, and the metadata is for another URL than the one they used",
    source="RFC 9728 section 3.3",
    reports=(
        "zoho/analytics-mcp-server#22",
        "agencyenterprise/draft-detective#774",
    ),
)
HOST_REJECTED = Rule(
    name="host_rejected",
    severity=Severity.ERROR,
    title="the server rejects its public host name",
    why="it treats requests for a host that it is not configured with as DNS rebinding",
    source="RFC 9110 section 15.5.20",
    reports=(
        "cbcoutinho/nextcloud-mcp-server#373",
        "rstierli/fortianalyzer-mcp#6",
        "awslabs/mcp#4507",
    ),
)
WRONG_PATH = Rule(
    name="wrong_path",
    severity=Severity.ERROR,
    title="no MCP server at this path",
    why="clients need the exact URL of the endpoint, path included",
)
SERVER_ERROR = Rule(
    name="server_error",
    severity=Severity.ERROR,
    title="the server responds with an error",
    why="a client can log in only after a 401 with a challenge",
    source="MCP authorization 2026-07-28, Error Handling",
)
WRONG_STATUS = Rule(
    name="forbidden_without_token",
    severity=Severity.ERROR,
    title="a request without a token is rejected, but not with 401",
    why="only 401 makes a client log in; after any other status it gives up",
    source="MCP authorization 2026-07-28, Error Handling",
)
OPEN = Rule(
    name="open",
    severity=Severity.WARNING,
    title="the server requires no login",
    why="anyone who can reach it can call every tool",
    source="MCP authorization 2026-07-28, Protocol Requirements",
)
OPEN_ON_LOOPBACK = Rule(
    name="open_on_loopback",
    severity=Severity.INFO,
    title="the server on this machine requires no login",
    why="that is fine for development only",
)
_CERTIFICATE_HELP = (
    ("expired", "renew the certificate"),
    ("self", "use a certificate of an authority that clients trust, or make them trust yours (SSL_CERT_FILE)"),
    ("issuer", "serve the whole chain, intermediate certificates included; or make clients trust your authority"),
    ("mismatch", "use a certificate that names this host (subjectAltName)"),
    ("not valid for", "use a certificate that names this host (subjectAltName)"),
)


async def check_reachable(case: CheckContext) -> list[Finding]:
    """Sends a request without a token, as a new client does."""
    body, headers = discover_request()
    case.initial_response = reply = await case.http.send("POST", case.url, headers=headers, json=body)
    if reply.fault is not None:
        return [_no_response(case, reply)]
    case.challenge = read_challenge(reply.header("www-authenticate"))
    finding = await _wrong_response(case, reply)
    return [finding] if finding is not None else []


async def _wrong_response(case: CheckContext, reply: HttpResult) -> Finding | None:
    """Returns what is wrong with a response other than 401."""
    status = reply.status
    if status in {404, 405}:
        return await _not_here(case, reply)
    if 300 <= status < 400:  # noqa: PLR2004 - redirects
        return _redirected(case, reply)
    if status == 421 or (status == 400 and b"host" in reply.body.lower()):  # noqa: PLR2004 - Misdirected Request
        return _host_rejected(case, reply)
    if status in {403, 429} or status >= 500:  # noqa: PLR2004 - server errors
        return _rejected(status)
    case.open = status != 401  # noqa: PLR2004 - Unauthorized
    if not case.open:
        return None
    kind = OPEN_ON_LOOPBACK if is_loopback(case.host) else OPEN
    return kind.finding(f"it responds {status} without a token", "require a login (here: unset DISABLE_AUTH)")


def _rejected(status: int) -> Finding:
    if status == 403:  # noqa: PLR2004 - Forbidden
        return WRONG_STATUS.finding(
            "it responds 403", "respond 401 with WWW-Authenticate to a request without credentials"
        )
    return SERVER_ERROR.finding(f"it responds {status}", "see the log of the server, or of the proxy in front of it")


def _no_response(case: CheckContext, reply: HttpResult) -> Finding:
    if reply.fault is HttpFailure.CERTIFICATE:
        detail = reply.detail.lower()
        helps = next(
            (text for word, text in _CERTIFICATE_HELP if word in detail), "check whether this is an https server"
        )
        return CERTIFICATE.finding(f"{case.url}: {reply.detail}", helps)
    start = (
        "docker compose up --wait, or mcp-idp demo --keep"
        if is_loopback(case.host)
        else "check that it runs and is reachable from here"
    )
    return UNREACHABLE.finding(f"{case.url}: {reply}", f"start it ({start}), or use another URL")


def _redirected(case: CheckContext, reply: HttpResult) -> Finding:
    try:
        target = urljoin(case.url, reply.header("location"))
    except ValueError:
        target = reply.header("location")
    return REDIRECTED.finding(
        f"{case.url} responds {reply.status}, to {target}",
        f"configure clients with {target}, or serve MCP at {case.url} without a redirect",
        url=target if is_http_url(target) else None,
    )


def _host_rejected(case: CheckContext, reply: HttpResult) -> Finding:
    name = urlsplit(case.url).netloc
    return HOST_REJECTED.finding(
        f"it responds {reply.status} to its Host, {name}",
        f"set the URL that clients use: MCP_PUBLIC_URL={case.url} here; on other servers add {name} to the allowed "
        "hosts. A proxy in front of it must forward the Host header",
        settings={"MCP_PUBLIC_URL": case.url},
    )


async def _not_here(case: CheckContext, reply: HttpResult) -> Finding:
    """Fetches the resource metadata at the root, in case only the path is wrong."""
    document = (await case.http.get(urljoin(case.url, WELL_KNOWN_PATH))).json_if_ok
    named = text(document, "resource")
    fix = "compare the path with the server's own"
    if is_http_url(named):
        difference = describe_difference(case.url, named)
        fix = f"use {named}, the URL that the server advertises. The difference is {difference}"
    return WRONG_PATH.finding(f"{case.url} responds {reply.status}", fix, url=named or None)


CHECKS = (
    Check(
        name="reach",
        question="Does an MCP server respond at this URL and require a login?",
        run=check_reachable,
        skip_reason=always,
        kinds=(
            UNREACHABLE,
            CERTIFICATE,
            REDIRECTED,
            HOST_REJECTED,
            WRONG_PATH,
            WRONG_STATUS,
            SERVER_ERROR,
            OPEN,
            OPEN_ON_LOOPBACK,
        ),
    ),
)
