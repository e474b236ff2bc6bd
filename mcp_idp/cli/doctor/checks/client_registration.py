"""Checks which clients can register: by the provider's metadata and, with `--register`, by test registrations."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mcp_idp.cli.common.safe_http import is_http_url
from mcp_idp.cli.doctor.client_profiles import REGISTERED_PROFILES
from mcp_idp.cli.doctor.context import text, texts
from mcp_idp.cli.doctor.findings import Finding, Rule, Severity
from mcp_idp.cli.doctor.runner import Check, with_login
from mcp_idp.cli.doctor.trial_registration import NOT_CLEANED_UP, trial_registration

if TYPE_CHECKING:
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
_IN_STACK = (
    "compare registration.profile in access.yaml with what the client sends; mcp-idp bootstrap check shows whether the "
    "realm still has that profile, and apply restores it"
)
_BOOTSTRAP = (
    "or use the bootstrap: registration.profile in access.yaml, then mcp-idp bootstrap apply; the registrar in front "
    "of Keycloak (docs/registrar.md) drops members of a registration that Keycloak rejects"
)


def advice(reason: str, case: CheckContext) -> str:
    """Returns what to do about a rejected registration.

    Args:
        reason: The provider's error message.
        case: The server under test. In the compose stack nobody can change Keycloak but the bootstrap.
    """
    if case.settings.in_stack:
        return _IN_STACK
    hint = next((hint for pattern, hint in _HINTS.items() if pattern in reason.lower()), None)
    if hint is None:
        hint = "change the provider's registration policy, or give users a client id"
    return f"{hint}; {_BOOTSTRAP}" if case.is_keycloak else hint


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
    """Registers a client for each of `REGISTERED_PROFILES`, and deletes each registration at once."""
    found: list[Finding] = []
    names_by_reason: dict[str, list[str]] = {}
    for profile in REGISTERED_PROFILES:
        async with trial_registration(case, profile, f"test of mcp-idp doctor ({profile.name})") as trial:
            if not trial.succeeded:
                names_by_reason.setdefault(trial.rejection, []).append(profile.name)
        found += trial.remaining
    count = sum(len(names) for names in names_by_reason.values())
    kind = ALL_REJECTED if count == len(REGISTERED_PROFILES) else SOME_REJECTED
    return [
        *(
            kind.finding(f"{', '.join(names)}: {reason}", advice(reason, case))
            for reason, names in names_by_reason.items()
        ),
        *found,
    ]


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
