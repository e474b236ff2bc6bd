"""Reports what a server does, or could do, for clients that do not follow the specification (`--quirks`)."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from mcp_idp.cli.doctor.context import INSPECTOR, text
from mcp_idp.cli.doctor.findings import Finding, Rule, Severity
from mcp_idp.cli.doctor.runner import Check, with_login
from mcp_idp.config.quirks import AUTHORIZE_REDIRECT, LEGACY_DISCOVERY, ORIGIN_METADATA, Quirk

if TYPE_CHECKING:
    from mcp_idp.cli.doctor.context import CheckContext

_FORMS = ("/.well-known/oauth-authorization-server", "/.well-known/openid-configuration")
_REQUEST = "?response_type=code&client_id=doctor&code_challenge_method=S256"
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_PARAMETER = "mcp-param-region"


def _rule(quirk: Quirk) -> Rule:
    return Rule(
        name=f"quirk_{quirk.name}",
        severity=Severity.INFO,
        title=f"{quirk.name}, for clients that do not follow the specification",
        why=f"it helps {quirk.helps}",
        source="MCP authorization 2026-07-28, Authorization Server Discovery",
        reports=quirk.reports,
    )


RULES = {quirk.name: _rule(quirk) for quirk in (AUTHORIZE_REDIRECT, LEGACY_DISCOVERY, ORIGIN_METADATA)}
PARAMETER_HEADERS = Rule(
    name="parameter_headers",
    severity=Severity.INFO,
    title="web pages cannot send parameters of tools in headers",
    why="clients send such a header for each parameter with x-mcp-header; browsers block a call whose header the "
    "preflight response does not name",
    source="MCP transports 2026-07-28, Custom Headers from Tool Parameters",
    reports=("speakeasy-api/gram#5396",),
)


async def check_quirks(case: CheckContext) -> list[Finding]:
    """Tries what clients with these quirks request."""
    server, provider = _origin(case.url), _origin(case.issuer)
    found = []
    if server != provider:
        redirected = await case.http.get(f"{server}/authorize{_REQUEST}")
        is_on = redirected.status in _REDIRECTS and _leads_to_provider(case, redirected.header("location"))
        found.append(_finding(AUTHORIZE_REDIRECT, f"GET {server}/authorize: {redirected.status}", is_on=is_on))
        found.append(await _metadata_at(case, server, LEGACY_DISCOVERY))
    if urlsplit(case.issuer).path.strip("/"):
        found.append(await _metadata_at(case, provider, ORIGIN_METADATA))
    return found + await _parameter_headers(case)


async def _metadata_at(case: CheckContext, origin: str, quirk: Quirk) -> Finding:
    replies = [await case.http.get(origin + form) for form in _FORMS]
    is_on = any(text(reply.json_if_ok, "issuer") == case.issuer for reply in replies)
    statuses = ", ".join(f"GET {origin}{form}: {reply}" for form, reply in zip(_FORMS, replies, strict=True))
    return _finding(quirk, statuses, is_on=is_on)


def _finding(quirk: Quirk, observed: str, *, is_on: bool) -> Finding:
    state = "on" if is_on else "off"
    fix = (
        f"nothing, if such clients are in use: the log has {quirk.event} whenever it helps one (here: unset "
        f"{quirk.setting})"
        if is_on
        else f"nothing, unless such a client fails: then turn it on (here: {quirk.setting}={quirk.on})"
    )
    settings = {} if is_on else {quirk.setting: quirk.on}
    return RULES[quirk.name].finding(f"{quirk.name} is {state}; {observed}", fix, settings=settings)


async def _parameter_headers(case: CheckContext) -> list[Finding]:
    headers = {
        "origin": INSPECTOR,
        "access-control-request-method": "POST",
        "access-control-request-headers": f"authorization,{_PARAMETER}",
    }
    reply = await case.http.send("OPTIONS", case.url, headers=headers)
    allowed = {word.strip() for word in reply.header("access-control-allow-headers").lower().split(",")}
    if _PARAMETER in allowed:
        return []
    fix = "name the requested Mcp-Param-… headers in Access-Control-Allow-Headers: * does not cover Authorization"
    return [PARAMETER_HEADERS.finding(f"the preflight response does not allow {_PARAMETER}", fix)]


def _leads_to_provider(case: CheckContext, location: str) -> bool:
    endpoint = text(case.provider, "authorization_endpoint")
    return bool(endpoint) and location.startswith(f"{endpoint}{'&' if '?' in endpoint else '?'}")


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def _skip_reason(case: CheckContext) -> str:
    return with_login(case) or ("" if case.quirks else "only with --quirks")


CHECKS = (
    Check(
        name="quirks",
        question="What does the stack do for clients that do not follow the specification? (--quirks)",
        run=check_quirks,
        depends_on=("discovery",),
        skip_reason=_skip_reason,
        kinds=(*RULES.values(), PARAMETER_HEADERS),
    ),
)
