"""Registers one client (`--as`) as it does itself, and follows its authorization request to the login page."""

from __future__ import annotations

import hashlib
import secrets
from base64 import urlsafe_b64encode
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlencode, urlsplit

from mcp_idp.cli.common.safe_http import is_http_url
from mcp_idp.cli.doctor.checks import client_connection
from mcp_idp.cli.doctor.checks.client_registration import advice
from mcp_idp.cli.doctor.context import text
from mcp_idp.cli.doctor.findings import Finding, Rule, Severity
from mcp_idp.cli.doctor.runner import Check
from mcp_idp.cli.doctor.trial_registration import NOT_CLEANED_UP, trial_registration
from mcp_idp.cli.login.html_forms import read_page

if TYPE_CHECKING:
    from mcp_idp.cli.common.safe_http import HttpResult
    from mcp_idp.cli.doctor.client_requests import ClientProfile
    from mcp_idp.cli.doctor.context import CheckContext

CANNOT_REGISTER = Rule(
    name="client_cannot_register",
    severity=Severity.ERROR,
    title="the provider rejects the registration of this client",
    why="the client sends exactly this, and users cannot change it",
    source="RFC 7591 section 3.2.2",
    reports=("keycloak/keycloak#43654", "microsoft/vscode#278512", "CyberDrain/CIPP#278"),
)
LOGIN_REJECTED = Rule(
    name="client_login_rejected",
    severity=Severity.ERROR,
    title="the provider rejects the authorization request of this client",
    why="the user never sees the login page, or returns from it with an error",
    source="RFC 6749 section 4.1.2.1",
)
OTHER_REDIRECT = Rule(
    name="client_redirect_rejected",
    severity=Severity.WARNING,
    title="the provider rejects a later login of this client",
    why="it keeps its registration and then uses another redirect URI, such as another port if its own is taken",
    source="RFC 8252 section 7.3",
    reports=("microsoft/vscode#278512", "dozigden/boardoil#11"),
)
_SCOPE_ADVICE = (
    "let this client have these scopes at the provider. Keycloak never grants a client more scopes than it registered: "
    "the registrar (docs/registrar.md) drops `scope` from registrations"
)
_REDIRECT_ADVICE = (
    "a provider must accept any port of a loopback redirect URI. Keycloak does so for a URI without a port, which the "
    "registrar (docs/registrar.md) adds"
)


async def check_login(case: CheckContext) -> list[Finding]:
    """Registers the client, sends its authorization requests without logging in, and deletes the registration."""
    profile = client_connection.profile_of(case)
    async with trial_registration(case, profile, profile.client_name) as trial:
        if trial.succeeded and trial.client_id:
            found = await _authorize(case, profile, trial.client_id)
        else:
            fix = advice(trial.rejection, case)
            found = [CANNOT_REGISTER.finding(f"{profile.label}: {trial.rejection}", fix)]
    return [*found, *trial.remaining]


async def _authorize(case: CheckContext, profile: ClientProfile, client_id: str) -> list[Finding]:
    """Sends the authorization request with each redirect URI that the client uses, the usual one first."""
    found: list[Finding] = []
    for number, redirect_uri in enumerate(profile.login_redirects or profile.redirect_uris[:1]):
        url = _authorization_url(case, profile, client_id, redirect_uri)
        reason = _rejection(await case.http.get(url, accept="text/html"), redirect_uri)
        if not reason:
            continue
        scope = profile.authorization_scope(case.scopes, case.provider)
        observed = f"{profile.label}: with redirect_uri={redirect_uri} and scope={scope or 'none'}: {reason}"
        kind = OTHER_REDIRECT if number else LOGIN_REJECTED
        found.append(kind.finding(observed, _advice(reason)))
        if kind is LOGIN_REJECTED:
            break  # the others would fail for the same reason
    return found


def _authorization_url(case: CheckContext, profile: ClientProfile, client_id: str, redirect_uri: str) -> str:
    """Returns an authorization request (RFC 6749 section 4.1.1) with PKCE and the resource (RFC 8707)."""
    parts = urlsplit(text(case.provider, "authorization_endpoint"))
    digest = hashlib.sha256(secrets.token_urlsafe(32).encode()).digest()
    parameters = {
        "response_type": "code",
        "client_id": client_id,
        "redirect_uri": redirect_uri,
        "state": secrets.token_urlsafe(16),
        "code_challenge": urlsafe_b64encode(digest).rstrip(b"=").decode(),
        "code_challenge_method": "S256",
        "resource": case.url,
        "scope": profile.authorization_scope(case.scopes, case.provider),
    }
    query = [*parse_qsl(parts.query), *((name, value) for name, value in parameters.items() if value)]
    return parts._replace(query=urlencode(query)).geturl()


def _rejection(reply: HttpResult, redirect_uri: str) -> str:
    """Returns why the response leads to no login page, or ""."""
    if reply.fault is not None:
        return str(reply)
    location = reply.header("location")
    if location.startswith(redirect_uri):  # back to the client, before any login
        parameters = dict(parse_qsl(location.partition("?")[2]))
        error = parameters.get("error", "")
        return f"{error} {parameters.get('error_description', '')[:300]}".strip() if error else ""
    if reply.status < 400 and (reply.status < 300 or location):  # noqa: PLR2004 - a page, or the way to it
        return ""
    page = read_page(reply.body.decode(errors="replace"), reply.url)
    message = page.message or text(reply.document, "error_description") or page.title
    return f"{reply.status} {message[:300]}".strip()


def _advice(reason: str) -> str:
    if "scope" in reason:
        return _SCOPE_ADVICE
    return _REDIRECT_ADVICE if "redirect" in reason else "the provider's log has the reason"


def _skip_reason(case: CheckContext) -> str:
    if reason := client_connection.skip_reason(case):
        return reason
    missing = not is_http_url(text(case.provider, "registration_endpoint"))
    return "the provider has no registration endpoint" if missing else ""


CHECKS = (
    client_connection.CONNECTION,
    Check(
        name="client login",
        question="Can this client register and get the login page? (--as; the registration is removed at once)",
        run=check_login,
        depends_on=("endpoints", "client connection"),
        skip_reason=_skip_reason,
        kinds=(CANNOT_REGISTER, LOGIN_REJECTED, OTHER_REDIRECT, NOT_CLEANED_UP),
    ),
    client_connection.SESSION,
)
