"""Checks CORS for browser clients, and the rejection of untrusted Host and Origin headers."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from mcp_idp.cli.common.discover_request import discover_request
from mcp_idp.cli.common.safe_http import is_http_url
from mcp_idp.cli.doctor.context import INSPECTOR, text
from mcp_idp.cli.doctor.findings import Finding, Rule, Severity
from mcp_idp.cli.doctor.runner import Check, always
from mcp_idp.util.urls import is_private

if TYPE_CHECKING:
    from mcp_idp.cli.common.safe_http import HttpResult
    from mcp_idp.cli.doctor.context import CheckContext

PREFLIGHT = Rule(
    name="preflight",
    severity=Severity.WARNING,
    title="browser clients cannot talk to the server",
    why="a page sends a preflight without a token first; if it is rejected, the server looks unreachable to the user",
    source="Fetch standard, CORS-preflight fetch",
    reports=("envoyproxy/ai-gateway#2307", "modelcontextprotocol/inspector#571"),
)
CHALLENGE_NOT_EXPOSED = Rule(
    name="hidden_challenge",
    severity=Severity.WARNING,
    title="browser clients cannot read the challenge",
    why="a page sees only exposed headers: without WWW-Authenticate it does not know how to log in",
    source="Fetch standard, CORS safelisted response-header name",
    reports=("modelcontextprotocol/inspector#571",),
)
PROVIDER_PREFLIGHT = Rule(
    name="provider_preflight",
    severity=Severity.WARNING,
    title="browser clients cannot talk to the provider",
    why="Inspector fetches the metadata, registers and requests its token from a page",
    source="Fetch standard, CORS-preflight fetch",
    reports=("keycloak/keycloak#8863", "keycloak/keycloak#39629"),
)
ANY_HOST = Rule(
    name="any_host",
    severity=Severity.WARNING,
    title="the server accepts any Host",
    why="a page can point its own domain at this address and send requests to the server as same-origin (DNS "
    "rebinding)",
    source="MCP transports 2026-07-28, Security Warning",
)
ANY_ORIGIN = Rule(
    name="any_origin",
    severity=Severity.WARNING,
    title="the server accepts requests from any web page",
    why="servers must reject an unknown Origin: otherwise any page can call it from a visitor's browser",
    source="MCP transports 2026-07-28, Security Warning",
)
_UNTRUSTED_HOST = (
    "doctor.invalid"  # no name exists below .invalid, so the server logs no warning (RFC 6761 section 6.4)
)
_HEADERS = ("authorization", "content-type", "mcp-protocol-version")


async def server_cors(case: CheckContext) -> list[Finding]:
    """Sends the preflights of MCP Inspector to the server, and checks that its page can read the 401 challenge."""
    rejected = await _preflight(case, case.url, "POST", _HEADERS)
    if not rejected and not case.open:
        body, headers = discover_request()
        reply = await case.http.send("POST", case.url, headers={**headers, "origin": INSPECTOR}, json=body)
        exposed = reply.header("access-control-expose-headers").lower()
        if not _allows_origin(reply) or "www-authenticate" not in exposed:
            observed = f"Access-Control-Expose-Headers is {exposed or 'not there'}"
            fix = "send Access-Control-Allow-Origin and Access-Control-Expose-Headers: WWW-Authenticate with each 401"
            return [CHALLENGE_NOT_EXPOSED.finding(observed, fix)]
    if not rejected:
        return []
    fix = (
        f"respond to OPTIONS from {INSPECTOR} with 204 and without a token, and allow {', '.join(_HEADERS)} (here: add "
        f"{INSPECTOR} to ALLOWED_ORIGINS; loopback is allowed where that is not set)"
    )
    return [PREFLIGHT.finding(f"{case.url}: {rejected}", fix, settings={"ALLOWED_ORIGINS": INSPECTOR})]


async def provider_cors(case: CheckContext) -> list[Finding]:
    """Sends the preflights of MCP Inspector to the provider's metadata, registration and token endpoints."""
    preflights = [("GET", case.provider_reply.url, ("mcp-protocol-version",))] if case.provider_reply else []
    preflights += [
        ("POST", text(case.provider, name), ("content-type",))
        for name in ("registration_endpoint", "token_endpoint")
        if is_http_url(text(case.provider, name))
    ]
    rejected = [
        f"{url}: {why}" for method, url, headers in preflights if (why := await _preflight(case, url, method, headers))
    ]
    if not rejected:
        return []
    keycloak = (
        "Keycloak: 26.5 or newer, KC_SPI_CORS__DEFAULT__ALLOWED_HEADERS=mcp-protocol-version, and the policy Allowed "
        f"Registration Web Origins with {INSPECTOR}"
    )
    other = f"make the provider respond to preflights from {INSPECTOR}, or put a proxy in front of it that does"
    return [PROVIDER_PREFLIGHT.finding("; ".join(rejected), keycloak if case.is_keycloak else other)]


async def _preflight(case: CheckContext, url: str, method: str, headers: tuple[str, ...]) -> str:
    """Returns why a page of MCP Inspector may not send such a request, or ""."""
    request_headers = {
        "origin": INSPECTOR,
        "access-control-request-method": method,
        "access-control-request-headers": ",".join(headers),
    }
    reply = await case.http.send("OPTIONS", url, headers=request_headers)
    if reply.fault is not None or not 200 <= reply.status < 300:  # noqa: PLR2004 - success
        return f"the response to the preflight is {reply}"
    if not _allows_origin(reply):
        return "the preflight response does not allow this origin"
    allowed = {word.strip() for word in reply.header("access-control-allow-headers").lower().split(",")}
    missing = [name for name in headers if name not in allowed and ("*" not in allowed or name == "authorization")]
    return f"the preflight response does not allow {', '.join(missing)}" if missing else ""


def _allows_origin(reply: HttpResult) -> bool:
    return reply.header("access-control-allow-origin") in {"*", INSPECTOR}


async def check_host(case: CheckContext) -> list[Finding]:
    """Sends a request with an untrusted Host header."""
    if not await _is_accepted(case, host=_UNTRUSTED_HOST):
        return []
    fix = "reject a Host that is not the server's own with 421 (other servers: allowed hosts, trusted hosts)"
    return [ANY_HOST.finding(f"Host: {_UNTRUSTED_HOST} is accepted like its own", fix)]


async def check_origin(case: CheckContext) -> list[Finding]:
    """Sends a request with an untrusted Origin header."""
    if not await _is_accepted(case, origin=f"https://{_UNTRUSTED_HOST}"):
        return []
    fix = "reject an Origin that is not allowlisted with 403"
    return [ANY_ORIGIN.finding(f"Origin: https://{_UNTRUSTED_HOST} is accepted like a request without Origin", fix)]


async def _is_accepted(case: CheckContext, **header: str) -> bool:
    """Returns whether a request with these headers gets the same status as one without them."""
    body, headers = discover_request()
    reply = await case.http.send("POST", case.url, headers={**headers, **header}, json=body)
    return case.initial_response is not None and reply.fault is None and reply.status == case.initial_response.status


def _on_a_private_network(case: CheckContext) -> str:
    if is_private(urlsplit(case.url).hostname or ""):
        return ""
    return "DNS rebinding affects only servers that are not on the public network"


CHECKS = (
    Check(
        name="pages",
        question="Can Inspector's page talk to the server and read its challenge?",
        run=server_cors,
        depends_on=("reach",),
        skip_reason=always,
        kinds=(PREFLIGHT, CHALLENGE_NOT_EXPOSED),
    ),
    Check(
        name="provider pages",
        question="Can Inspector's page talk to the provider?",
        run=provider_cors,
        depends_on=("endpoints",),
        kinds=(PROVIDER_PREFLIGHT,),
    ),
    Check(
        name="untrusted host",
        question="Is an untrusted Host rejected?",
        run=check_host,
        depends_on=("reach",),
        skip_reason=_on_a_private_network,
        kinds=(ANY_HOST,),
    ),
    Check(
        name="untrusted origin",
        question="Is an untrusted Origin rejected?",
        run=check_origin,
        depends_on=("reach",),
        skip_reason=always,
        kinds=(ANY_ORIGIN,),
    ),
)
