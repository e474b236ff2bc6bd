"""Checks which clients can register: by the provider's metadata and, with `--register`, by test registrations."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx2

from mcp_idp.cli.common.client_deregistration import ClientRegistration, deregistration_url
from mcp_idp.cli.common.safe_http import is_http_url
from mcp_idp.cli.doctor.client_profiles import CLIENT_PROFILES
from mcp_idp.cli.doctor.context import INSPECTOR, text, texts
from mcp_idp.cli.doctor.findings import Finding, Rule, Severity
from mcp_idp.cli.doctor.runner import Check, with_login

if TYPE_CHECKING:
    from mcp_idp.cli.common.safe_http import HttpResult
    from mcp_idp.cli.doctor.client_profiles import ClientProfile
    from mcp_idp.cli.doctor.context import CheckContext

# The first match applies. The keys are phrases of Keycloak 26's messages, in lower case.
_OVER = (
    "the invitation is over: the initial access token has expired or is used up; create another one (here: mcp-idp "
    "bootstrap token)"
)
_HINTS = {
    "initial access token has expired": _OVER,
    "no remaining count on initial access token": _OVER,
    "failed decode token": _OVER,
    "needs an initial access token": (
        "set INITIAL_ACCESS_TOKEN for the doctor, and give users such a token or a client id (here: mcp-idp bootstrap "
        "token)"
    ),
    "not permitted to use specified clientscope": (
        "Keycloak, policies Allowed Client Scopes: list the scopes that the server requests, in both the anonymous "
        "and the authenticated one"
    ),
    "host not trusted": (
        "Keycloak, policy Trusted Hosts: turn 'Host Sending Client Registration Request Must Match' off, keep "
        "'Client URIs Must Match' on, and list the hosts of the redirect URIs"
    ),
    "trusted host": "Keycloak, policy Trusted Hosts: list the host of its redirect (and home page)",
    "max clients": "Keycloak, policy Max Clients Limit: raise it, or remove unused clients",
    "invalid origin": "Keycloak, policy Allowed Registration Web Origins: list the origin of the page",
    "https required": "use https for the provider, or set the realm's sslRequired to external",
}
_BOOTSTRAP = "or use the bootstrap: registration.profile in access.yaml, then mcp-idp bootstrap apply"


def advice(reason: str, *, keycloak: bool) -> str:
    """Returns what to do about a rejected registration.

    Args:
        reason: The provider's error message.
        keycloak: Whether the provider is Keycloak, so that the bootstrap can fix it.
    """
    hint = next((hint for pattern, hint in _HINTS.items() if pattern in reason.lower()), None)
    if hint is None:
        hint = "change the provider's registration policy, or give users a client id"
    return f"{hint}; {_BOOTSTRAP}" if keycloak else hint


NO_REGISTRATION = Rule(
    name="no_registration",
    severity=Severity.WARNING,
    title="clients cannot register themselves at the provider",
    why="only clients with a field for a client id can log in: VS Code, Claude Code, Cursor, Inspector, mcp-remote "
    "and, in its advanced settings, Claude.ai; other clients cannot",
    source="MCP authorization 2026-07-28, Client Registration Approaches",
    reports=("microsoft/vscode#252892", "modelcontextprotocol/inspector#683"),
)
ONLY_DOCUMENTS = Rule(
    name="only_documents",
    severity=Severity.INFO,
    title="the provider supports client metadata documents only",
    why="clients that support only dynamic registration (Inspector, mcp-remote) need a preregistered client id",
    source="MCP authorization 2026-07-28, Client ID Metadata Documents",
)
NO_PUBLIC_CLIENTS = Rule(
    name="no_public_clients",
    severity=Severity.WARNING,
    title="the provider does not advertise public clients",
    why="clients with a metadata document or a preregistered id have no secret; some then silently fall back to "
    "another method, or fail",
    source="RFC 8414 section 2; RFC 8252 section 8.5",
    reports=(
        "keycloak/keycloak#44403",
        "PrefectHQ/fastmcp#4600",
    ),
)
ALL_REJECTED = Rule(
    name="registration_rejected",
    severity=Severity.ERROR,
    title="the provider rejects every registration that was tried",
    why="users cannot log in with clients that register themselves",
    source="RFC 7591 section 3.2.2",
    reports=("opensearch-project/opensearch-mcp-server-py#227", "OpenLiberty/open-liberty#35062", "evoila/meho#911"),
)
SOME_REJECTED = Rule(
    name="client_rejected",
    severity=Severity.WARNING,
    title="the provider rejects the registration of this client",
    why="users of that client cannot log in",
    source="RFC 7591 section 3.2.2",
    reports=(
        "keycloak/keycloak#43654",
        "microsoft/vscode#278512",
        "opensearch-project/opensearch-mcp-server-py#227",
    ),
)
NOT_CLEANED_UP = Rule(
    name="registration_not_removed",
    severity=Severity.INFO,
    title="a test registration could not be removed",
    why="unused registrations accumulate",
    source="RFC 7592 section 2.3",
    reports=("agentic-community/mcp-gateway-registry#1119",),
)
_CREATED = (200, 201)
_ERROR = 400


async def check_supported(case: CheckContext) -> list[Finding]:
    """Checks what the metadata says about registration."""
    registers = is_http_url(text(case.provider, "registration_endpoint"))
    documents = case.provider.get("client_id_metadata_document_supported") is True
    found = []
    if not registers and not documents:
        fix = "enable dynamic registration or client ID metadata documents, or give users a client id"
        found.append(
            NO_REGISTRATION.finding("neither registration_endpoint nor client_id_metadata_document_supported", fix)
        )
    elif not registers:
        found.append(
            ONLY_DOCUMENTS.finding("client_id_metadata_document_supported is true", "also give users a client id")
        )
    listed = texts(case.provider.get("token_endpoint_auth_methods_supported"))
    if not registers and "none" not in listed:  # a registration response tells the client its method
        what = f"token_endpoint_auth_methods_supported is {' '.join(listed) or 'not there'}"
        found.append(NO_PUBLIC_CLIENTS.finding(what, 'enable public clients and list "none" (Keycloak: 26.6 or newer)'))
    return found


async def check_test_registrations(case: CheckContext) -> list[Finding]:
    """Registers a client for each profile, and deletes each registration at once."""
    found, rejected = [], []
    for profile in CLIENT_PROFILES:
        reply = await _register(case, profile)
        if reply.status in _CREATED:
            found += await _deregister(case, profile, reply)
        else:
            rejected.append((profile, reply))
    kind = ALL_REJECTED if len(rejected) == len(CLIENT_PROFILES) else SOME_REJECTED
    names_by_reason: dict[str, list[str]] = {}
    for profile, reply in rejected:
        names_by_reason.setdefault(_reason(reply), []).append(profile.name)
    return [
        *(
            kind.finding(f"{', '.join(names)}: {reason}", advice(reason, keycloak=case.is_keycloak))
            for reason, names in names_by_reason.items()
        ),
        *found,
    ]


async def _register(case: CheckContext, profile: ClientProfile) -> HttpResult:
    endpoint = text(case.provider, "registration_endpoint")
    headers = {"origin": INSPECTOR} if profile.from_browser else {}
    if token := case.initial_access_tokens.get(case.issuer):
        headers["authorization"] = f"Bearer {token}"
    return await case.http.send("POST", endpoint, headers=headers, json=profile.registration(case.scopes))


async def _deregister(case: CheckContext, profile: ClientProfile, reply: HttpResult) -> list[Finding]:
    registration = ClientRegistration.read(reply.url, reply.document)
    name = f"{profile.name}, client {str(reply.document.get('client_id'))[:200]}"
    try:
        uri = deregistration_url(registration)
    except (ValueError, httpx2.InvalidURL) as error:
        return [NOT_CLEANED_UP.finding(f"{name}: {error}", "remove it at the provider")]
    gone = await case.http.send("DELETE", uri, headers={"authorization": f"Bearer {registration.token}"})
    if gone.fault is not None or gone.status >= _ERROR:
        return [NOT_CLEANED_UP.finding(f"{name}: {gone}", "remove it at the provider")]
    return []


def _reason(reply: HttpResult) -> str:
    """Returns the rejection as text. The provider's message is truncated; the caller escapes it."""
    if reply.fault is not None:
        return str(reply)
    message = text(reply.document, "error_description") or text(reply.document, "error")
    return f"{reply.status} {message[:300]}".strip()


def _skip_reason(case: CheckContext) -> str:
    if reason := with_login(case):
        return reason
    if not is_http_url(text(case.provider, "registration_endpoint")):
        return "the provider has no registration endpoint"
    return "" if case.register else "only with --register, because it writes to the provider"


CHECKS = (
    Check(
        name="registration",
        question="Can clients register themselves?",
        run=check_supported,
        depends_on=("discovery",),
        kinds=(NO_REGISTRATION, NO_PUBLIC_CLIENTS, ONLY_DOCUMENTS),
    ),
    Check(
        name="test registration",
        question="Can common clients register? (--register; each registration is removed at once)",
        run=check_test_registrations,
        depends_on=("endpoints",),
        skip_reason=_skip_reason,
        kinds=(ALL_REJECTED, SOME_REJECTED, NOT_CLEANED_UP),
    ),
)
