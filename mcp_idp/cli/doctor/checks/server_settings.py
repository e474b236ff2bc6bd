"""Checks the server's settings, where this machine has them: do they contradict what server and provider publish?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from mcp_idp.access.policy import AccessFileError, load_access
from mcp_idp.cli.common.safe_http import is_http_url
from mcp_idp.cli.common.server_settings import find_contradictions
from mcp_idp.cli.doctor.context import text
from mcp_idp.cli.doctor.findings import Finding, Rule, Severity
from mcp_idp.cli.doctor.runner import Check, with_login
from mcp_idp.tokens.jwks import parse_jwks

if TYPE_CHECKING:
    from mcp_idp.cli.doctor.context import CheckContext

CONTRADICTS = Rule(
    name="setting_contradicts",
    severity=Severity.WARNING,
    title="a setting of the server contradicts what it publishes",
    why="logins work, but the server rejects every token: it expects another value than the provider writes",
    source="RFC 9068 section 4",
    reports=("anthropics/claude-code#90497",),
)
NO_INTROSPECTION = Rule(
    name="introspection_missing",
    severity=Severity.ERROR,
    title="the server introspects tokens, and the provider has no endpoint for it",
    why="no token can be validated: every login ends with 503",
    source="RFC 7662 section 2",
    reports=("agigante80/actual-mcp-server#464",),
)
OTHER_ACCESS_FILE = Rule(
    name="other_access_file",
    severity=Severity.WARNING,
    title="the server requests other scopes than its access file names",
    why="it was started with another file, or before a change: bootstrap and server then disagree about scopes",
)


async def check_settings(case: CheckContext) -> list[Finding]:
    """Compares the settings with what server and provider publish."""
    return [*_overrides(case), *await _keys(case), *_introspection(case), *_access_file(case)]


def _overrides(case: CheckContext) -> list[Finding]:
    """Compares with what Keycloak's tokens have. Other providers write identifiers of their own; a token shows them."""
    if case.token or not case.is_keycloak:
        return []
    return [
        CONTRADICTS.finding(
            f"{found} (from {case.settings.source})",
            f"unset {found.name} and restart the server, unless tokens have it: mcp-idp doctor --login shows them",
        )
        for found in find_contradictions(case.settings, (case.url,), text(case.provider, "issuer"))
    ]


async def _keys(case: CheckContext) -> list[Finding]:
    """Compares the keys at JWT_JWKS_URL with the provider's, if both can be fetched from here."""
    url, provider_url = case.settings.values.get("JWT_JWKS_URL", ""), text(case.provider, "jwks_uri")
    if not is_http_url(url) or not is_http_url(provider_url) or url == provider_url or case.is_internal_name(url):
        return []
    used, published = [parse_jwks((await case.http.get(each)).json_if_ok) for each in (url, provider_url)]
    if not used or not published or set(used) & set(published):
        return []
    observed = f"JWT_JWKS_URL is {url}, which has none of the keys at {provider_url} (from {case.settings.source})"
    return [CONTRADICTS.finding(observed, "unset JWT_JWKS_URL and restart the server: it finds the keys by itself")]


def _introspection(case: CheckContext) -> list[Finding]:
    values = case.settings.values
    is_known = values.get("OAUTH_INTROSPECT_URL") or is_http_url(text(case.provider, "introspection_endpoint"))
    if values.get("AUTH_TOKEN_MODE") != "introspection" or is_known:
        return []
    fix = (
        "unset AUTH_TOKEN_MODE, if tokens are JWTs; or set OAUTH_INTROSPECT_URL, if the endpoint is not in the metadata"
    )
    return [NO_INTROSPECTION.finding("AUTH_TOKEN_MODE is introspection; there is no introspection_endpoint", fix)]


def _access_file(case: CheckContext) -> list[Finding]:
    name = case.settings.values.get("ACCESS_FILE", "").removeprefix("./")
    try:
        scopes = load_access(Path(name)).login_scopes if name else case.scopes
    except AccessFileError:
        return []  # it is elsewhere
    if set(scopes) == set(case.scopes):
        return []
    observed = f"the server requests {' '.join(case.scopes) or 'none'}; {name} here names {' '.join(scopes)}"
    fix = "restart the server; if it then still differs, set ACCESS_FILE to the same file for server and bootstrap"
    return [OTHER_ACCESS_FILE.finding(observed, fix)]


def _skip_reason(case: CheckContext) -> str:
    return with_login(case) or ("" if case.settings.source else "they are not on this machine")


CHECKS = (
    Check(
        name="settings",
        question="Do the server's settings agree with what it and its provider publish?",
        run=check_settings,
        depends_on=("issuer",),
        skip_reason=_skip_reason,
        kinds=(CONTRADICTS, NO_INTROSPECTION, OTHER_ACCESS_FILE),
    ),
)
