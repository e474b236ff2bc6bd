"""Browser pages: may those that should get in, and are those that should not kept out?"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from mcp_idp.cli.common.discover_request import discover_request
from mcp_idp.cli.common.safe_http import is_web
from mcp_idp.cli.doctor.context import INSPECTOR, text
from mcp_idp.cli.doctor.findings import Finding, Kind, Severity
from mcp_idp.cli.doctor.runner import Check, always
from mcp_idp.util.urls import is_private

if TYPE_CHECKING:
    from mcp_idp.cli.common.safe_http import Reply
    from mcp_idp.cli.doctor.context import Case

PREFLIGHT = Kind(
    name="preflight",
    severity=Severity.WARNING,
    title="browser clients cannot talk to the server",
    why="a page asks by a preflight first, without a token; any answer but yes looks to its user like a dead server",
    source="Fetch standard, CORS-preflight fetch",
    complaints=("envoyproxy/ai-gateway#2307", "modelcontextprotocol/inspector#571"),
)
HIDDEN_CHALLENGE = Kind(
    name="hidden_challenge",
    severity=Severity.WARNING,
    title="browser clients cannot read the challenge",
    why="a page sees only headers that are exposed: without WWW-Authenticate it does not learn how to log in",
    source="Fetch standard, CORS safelisted response-header name",
    complaints=("modelcontextprotocol/inspector#571",),
)
PROVIDER_PREFLIGHT = Kind(
    name="provider_preflight",
    severity=Severity.WARNING,
    title="browser clients cannot talk to the provider",
    why="Inspector fetches the metadata, registers and gets its token from a page",
    source="Fetch standard, CORS-preflight fetch",
    complaints=("keycloak/keycloak#8863", "keycloak/keycloak#39629"),
)
ANY_HOST = Kind(
    name="any_host",
    severity=Severity.WARNING,
    title="the server answers to any Host",
    why="a page can point its own name at this address and talk to the server as if it were its own (DNS rebinding)",
    source="MCP transports 2026-07-28, Security Warning",
)
ANY_ORIGIN = Kind(
    name="any_origin",
    severity=Severity.WARNING,
    title="the server answers to any web page",
    why="servers must refuse an Origin they do not know: pages of strangers can call it from a visitor's browser",
    source="MCP transports 2026-07-28, Security Warning",
)
_FOREIGN = "evil.example"
_HEADERS = ("authorization", "content-type", "mcp-protocol-version")


async def server_cors(case: Case) -> list[Finding]:
    """Preflights from Inspector's page, and whether it can read the 401."""
    refused = await _preflight(case, case.url, "POST", _HEADERS)
    if not refused and not case.open:
        body, headers = discover_request()
        reply = await case.ask.send("POST", case.url, headers={**headers, "origin": INSPECTOR}, json=body)
        exposed = reply.header("access-control-expose-headers").lower()
        if not _admits(reply) or "www-authenticate" not in exposed:
            shown = f"Access-Control-Expose-Headers is {exposed or 'not there'}"
            mend = "send Access-Control-Allow-Origin and Access-Control-Expose-Headers: WWW-Authenticate with each 401"
            return [HIDDEN_CHALLENGE.found(shown, mend)]
    if not refused:
        return []
    mend = (
        f"answer OPTIONS from {INSPECTOR} with 204 and without a token, and allow {', '.join(_HEADERS)} (here: add "
        f"{INSPECTOR} to ALLOWED_ORIGINS; loopback is allowed where that is not set)"
    )
    return [PREFLIGHT.found(f"{case.url}: {refused}", mend, settings={"ALLOWED_ORIGINS": INSPECTOR})]


async def provider_cors(case: Case) -> list[Finding]:
    """The same at the provider: its metadata, registration and token endpoints."""
    asked = [("GET", case.provider_reply.url, ("mcp-protocol-version",))] if case.provider_reply else []
    asked += [
        ("POST", text(case.provider, name), ("content-type",))
        for name in ("registration_endpoint", "token_endpoint")
        if is_web(text(case.provider, name))
    ]
    refused = [
        f"{url}: {why}" for method, url, headers in asked if (why := await _preflight(case, url, method, headers))
    ]
    if not refused:
        return []
    keycloak = (
        "Keycloak: 26.5 or newer, KC_SPI_CORS__DEFAULT__ALLOWED_HEADERS=mcp-protocol-version, and the policy Allowed "
        f"Registration Web Origins with {INSPECTOR}"
    )
    other = f"let the provider answer preflights from {INSPECTOR}, or put a proxy before it that does"
    return [PROVIDER_PREFLIGHT.found("; ".join(refused), keycloak if case.is_keycloak else other)]


async def _preflight(case: Case, url: str, method: str, headers: tuple[str, ...]) -> str:
    """Why a page of Inspector may not send such a request, or ""."""
    asks = {
        "origin": INSPECTOR,
        "access-control-request-method": method,
        "access-control-request-headers": ",".join(headers),
    }
    reply = await case.ask.send("OPTIONS", url, headers=asks)
    if reply.fault is not None or not 200 <= reply.status < 300:  # noqa: PLR2004 - the preflight must be ok
        return f"the preflight is answered {reply}"
    if not _admits(reply):
        return "the preflight's answer allows no page of this origin"
    allowed = {word.strip() for word in reply.header("access-control-allow-headers").lower().split(",")}
    missing = [name for name in headers if name not in allowed and ("*" not in allowed or name == "authorization")]
    return f"the preflight's answer does not allow {', '.join(missing)}" if missing else ""


def _admits(reply: Reply) -> bool:
    return reply.header("access-control-allow-origin") in {"*", INSPECTOR}


async def foreign_host(case: Case) -> list[Finding]:
    """A request that names a stranger's Host."""
    if not await _answered(case, host=_FOREIGN):
        return []
    mend = "refuse a Host that is not the server's own with 421 (other servers: allowed hosts, trusted hosts)"
    return [ANY_HOST.found(f"Host: {_FOREIGN} is answered like its own", mend)]


async def foreign_origin(case: Case) -> list[Finding]:
    """A request from a stranger's page."""
    if not await _answered(case, origin=f"https://{_FOREIGN}"):
        return []
    mend = "refuse an Origin that is not on a list with 403"
    return [ANY_ORIGIN.found(f"Origin: https://{_FOREIGN} is answered like none", mend)]


async def _answered(case: Case, **header: str) -> bool:
    """Whether a request with this `header` gets the very answer that one without it gets."""
    body, headers = discover_request()
    reply = await case.ask.send("POST", case.url, headers={**headers, **header}, json=body)
    return case.knock is not None and reply.fault is None and reply.status == case.knock.status


def _on_a_private_network(case: Case) -> str:
    if is_private(urlsplit(case.url).hostname or ""):
        return ""
    return "DNS rebinding is about servers that the public network does not reach"


CHECKS = (
    Check(
        name="pages",
        asks="Can Inspector's page talk to the server and read its challenge?",
        run=server_cors,
        needs=("reach",),
        applies=always,
        kinds=(PREFLIGHT, HIDDEN_CHALLENGE),
    ),
    Check(
        name="provider pages",
        asks="Can Inspector's page talk to the provider?",
        run=provider_cors,
        needs=("endpoints",),
        kinds=(PROVIDER_PREFLIGHT,),
    ),
    Check(
        name="foreign host",
        asks="Is a foreign Host refused?",
        run=foreign_host,
        needs=("reach",),
        applies=_on_a_private_network,
        kinds=(ANY_HOST,),
    ),
    Check(
        name="foreign origin",
        asks="Is a foreign Origin refused?",
        run=foreign_origin,
        needs=("reach",),
        applies=always,
        kinds=(ANY_ORIGIN,),
    ),
)
