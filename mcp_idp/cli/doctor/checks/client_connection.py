"""Checks whether one client (`--as`) reaches the server, finds the provider, and works with the server afterwards."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mcp.shared.inbound import MCP_PROTOCOL_VERSION_HEADER
from mcp_types.version import LATEST_HANDSHAKE_VERSION

from mcp_idp.cli.common.discover_request import discover_request
from mcp_idp.cli.doctor.challenge_header import read_challenge
from mcp_idp.cli.doctor.context import INSPECTOR, text
from mcp_idp.cli.doctor.findings import Finding, Rule, Severity
from mcp_idp.cli.doctor.runner import Check, with_login
from mcp_idp.util.urls import is_loopback

if TYPE_CHECKING:
    from mcp_idp.cli.common.safe_http import HttpResult
    from mcp_idp.cli.doctor.client_requests import ClientProfile
    from mcp_idp.cli.doctor.context import CheckContext

OUT_OF_REACH = Rule(
    name="client_out_of_reach",
    severity=Severity.ERROR,
    title="this client runs on its vendor's machines and cannot reach the server",
    why="server and provider must be reachable from the internet over https",
)
REQUEST_REJECTED = Rule(
    name="client_request_rejected",
    severity=Severity.ERROR,
    title="the server does not respond to this client's first request with a challenge",
    why="the client logs in only after 401 with a challenge",
    source="MCP authorization 2026-07-28, Error Handling",
)
NO_METADATA = Rule(
    name="client_finds_no_metadata",
    severity=Severity.ERROR,
    title="this client does not find the provider's metadata",
    why="it looks only at the origin of the issuer; without metadata it does not know where to register",
    source="RFC 8414 section 3.1 puts the well-known segment between host and path",
    reports=("geelen/mcp-remote#128",),
)
NO_ISS = Rule(
    name="client_requires_iss",
    severity=Severity.ERROR,
    title="this client rejects the provider's authorization responses",
    why="it requires the parameter iss, although a client must only if the provider advertises it",
    source="RFC 9207 sections 2 and 3",
)
SESSION_REJECTED = Rule(
    name="client_session_rejected",
    severity=Severity.ERROR,
    title="the server rejects this client's requests after the login",
    why="the login works, but no tool can be listed or called",
    source="MCP 2025-11-25, Streamable HTTP: without MCP-Protocol-Version a server should assume 2025-03-26",
)
_SESSION_HEADER = "mcp-session-id"


def profile_of(case: CheckContext) -> ClientProfile:
    """Returns the client of `--as`; `skip_reason` has excluded that there is none."""
    if case.client is None:
        raise ValueError("no client was chosen")
    return case.client


def skip_reason(case: CheckContext) -> str:
    """Returns a skip reason without `--as`, or if the server requires no login."""
    return with_login(case) or ("" if case.client is not None else "only with --as NAME")


async def check_connection(case: CheckContext) -> list[Finding]:
    """Sends the client's first request, looks for the metadata as the client does, and checks what it requires."""
    profile = profile_of(case)
    if profile.hosted and is_loopback(case.host):
        fix = "use the server's public https URL; docs/clients/hosted.md has what this client needs"
        return [OUT_OF_REACH.finding(f"{profile.label}: {case.url} is on this machine", fix)]
    found = await _first_request(case, profile)
    found += await _metadata(case, profile)
    if profile.requires_iss and case.provider.get("authorization_response_iss_parameter_supported") is not True:
        named = case.provider.get("authorization_response_iss_parameter_supported")
        observed = f"{profile.label}: authorization_response_iss_parameter_supported is {named!r}"
        fix = "use a provider, or a version of it, that sends iss and advertises it (Keycloak does), or another client"
        found.append(NO_ISS.finding(observed, fix))
    return found


async def _first_request(case: CheckContext, profile: ClientProfile) -> list[Finding]:
    reply = await case.http.send("POST", case.url, headers=_headers(profile), json=_initialize(profile))
    challenge = read_challenge(reply.header("www-authenticate"))
    if reply.fault is None and reply.status == 401 and challenge is not None:  # noqa: PLR2004 - Unauthorized
        return []
    observed = f"{profile.label}: {_describe(profile)} gets {reply}"
    fix = "compare with the response to other clients; a proxy or gateway may treat requests by their headers"
    return [REQUEST_REJECTED.finding(observed, fix)]


async def _metadata(case: CheckContext, profile: ClientProfile) -> list[Finding]:
    replies = [await case.http.get(url) for url in profile.metadata_urls(case.issuer)]
    if any(reply.json_if_ok for reply in replies):
        return []
    observed = f"{profile.label}: {'; '.join(f'{reply.url}: {reply}' for reply in replies)}"
    fix = (
        "use an issuer without a path, or let the provider's proxy serve its metadata at its origin too; else use "
        "another client"
    )
    return [NO_METADATA.finding(observed, fix)]


async def check_session(case: CheckContext) -> list[Finding]:
    """Opens a session with the token, lists the tools and ends the session, with the headers that the client sends."""
    profile = profile_of(case)
    headers = {**_headers(profile), "authorization": f"Bearer {case.token}"}
    reply = await case.http.send("POST", case.url, headers=headers, json=_initialize(profile))
    if reply.status != 200:  # noqa: PLR2004 - OK
        return [_rejected(profile, "initialize", reply)]
    if profile.is_stateless:
        return []
    if reply.header(_SESSION_HEADER):
        headers[_SESSION_HEADER] = reply.header(_SESSION_HEADER)
    if profile.sends_protocol_version:
        headers[MCP_PROTOCOL_VERSION_HEADER] = LATEST_HANDSHAKE_VERSION
    found = await _list_tools(case, profile, headers)
    if _SESSION_HEADER in headers:
        await case.http.send("DELETE", case.url, headers=headers)
    return found


async def _list_tools(case: CheckContext, profile: ClientProfile, headers: dict[str, str]) -> list[Finding]:
    for method, body in (
        ("notifications/initialized", {"jsonrpc": "2.0", "method": "notifications/initialized"}),
        ("tools/list", {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {}}),
    ):
        reply = await case.http.send("POST", case.url, headers=headers, json=body)
        if reply.status not in {200, 202}:
            return [_rejected(profile, method, reply)]
    return []


def _rejected(profile: ClientProfile, method: str, reply: HttpResult) -> Finding:
    version = "" if profile.sends_protocol_version else f" without {MCP_PROTOCOL_VERSION_HEADER}"
    message = text(reply.document, "error_description") or text(reply.document, "error")
    observed = f"{profile.label}: {method}{version} gets {reply} {message[:300]}".strip()
    return SESSION_REJECTED.finding(observed, "its log has the reason; a proxy may remove headers or end the stream")


def _initialize(profile: ClientProfile) -> dict[str, Any]:
    if profile.is_stateless:
        return discover_request()[0]
    info = {"name": profile.client_name or profile.name, "version": profile.version or "1"}
    params = {"protocolVersion": LATEST_HANDSHAKE_VERSION, "capabilities": {}, "clientInfo": info}
    return {"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params}


def _headers(profile: ClientProfile) -> dict[str, str]:
    """Returns the headers of its first request, which names a protocol version only if the client is stateless."""
    headers = discover_request()[1] if profile.is_stateless else {"accept": "application/json, text/event-stream"}
    return {**headers, "origin": INSPECTOR} if profile.from_browser else headers


def _describe(profile: ClientProfile) -> str:
    return f"its first request ({'server/discover' if profile.is_stateless else 'initialize'}, without a token)"


def _session_skip_reason(case: CheckContext) -> str:
    return skip_reason(case) or ("" if case.token else "only with --token - or --login")


CONNECTION = Check(
    name="client connection",
    question="Can this client reach the server and find the provider? (--as)",
    run=check_connection,
    depends_on=("issuer",),
    skip_reason=skip_reason,
    kinds=(OUT_OF_REACH, REQUEST_REJECTED, NO_METADATA, NO_ISS),
)
SESSION = Check(
    name="client session",
    question="Does the server accept this client's requests after the login? (--as with --token - or --login)",
    run=check_session,
    depends_on=("token",),
    skip_reason=_session_skip_reason,
    kinds=(SESSION_REJECTED,),
)
