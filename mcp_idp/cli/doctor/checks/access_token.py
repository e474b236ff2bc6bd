"""Checks an actual access token: which of the server's rules reject it, and whether the server accepts it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mcp_idp.cli.common.discover_request import discover_request
from mcp_idp.cli.common.token_summary import string_list
from mcp_idp.cli.doctor.checks.access_token_rules import (
    FIX_BY_REASON,
    NO_LOGIN,
    NO_SCOPE,
    NO_SUBJECT,
    NOT_EVALUATED,
    OVERRIDES,
    SERVER_DISAGREES,
)
from mcp_idp.cli.doctor.context import text
from mcp_idp.cli.doctor.runner import Check, with_login
from mcp_idp.cli.doctor.url_diff import describe_difference
from mcp_idp.errors import TokenErrorReason

if TYPE_CHECKING:
    from mcp_idp.cli.doctor.context import CheckContext
    from mcp_idp.cli.doctor.findings import Finding
    from mcp_idp.cli.inspect.evaluation import RuleFailure, TokenEvaluation


async def check_login(case: CheckContext) -> list[Finding]:
    """Reports the error of a requested login that returned no token."""
    if case.failure is None:
        return []
    fix = "; ".join(case.failure.advice) or "mcp-idp login shows each step"
    return [NO_LOGIN.finding(case.failure.message, fix)]


async def check_token(case: CheckContext) -> list[Finding]:
    """Evaluates the token with the server's rules; if none rejects it, sends it to the server."""
    if case.evaluate is None:
        return []
    evaluation = await case.evaluate(case.token, case)
    # Scopes first: at most providers a scope brings the audience, and a role grants the scope.
    found = [*_scope(case, evaluation), *(_rejection(case, failure) for failure in evaluation.failures)]
    if evaluation.unavailable:
        fix = "make the provider's keys reachable from here"
        found.append(NOT_EVALUATED.finding(evaluation.unavailable, fix))
    if evaluation.readable and "sub" not in evaluation.claims:
        fix = (
            "Keycloak: give the client the default scope 'basic', which adds sub; clients created by the admin API "
            "have only the scopes named there"
        )
        found.append(NO_SUBJECT.finding("the token has no sub", fix))
    if not found:
        found += await _check_server_response(case)
    return found


def _rejection(case: CheckContext, failure: RuleFailure) -> Finding:
    reason = failure.rule
    kind, fix = FIX_BY_REASON[reason]
    what = f"expected {failure.expected}, got {failure.got}"
    settings: dict[str, str] = {}
    if _is_overridden(case, failure):
        name = OVERRIDES[reason]
        fix = f"unset {name} (from {case.settings.source}) and restart the server: the token has what both publish"
        return kind.finding(f"{what}: {name} is {case.settings.values[name]}", fix)
    if reason is TokenErrorReason.ISSUER and isinstance(failure.raw, str):
        what = f"{what}: the difference is {describe_difference(str(failure.expected), failure.raw)}"
        if not case.is_internal_name(failure.raw):
            settings = {"OAUTH_SERVER_URL": failure.raw}
    if reason is TokenErrorReason.AUDIENCE:
        settings = _other_audience(failure)
    return kind.finding(what, fix, settings=settings)


def _is_overridden(case: CheckContext, failure: RuleFailure) -> bool:
    """Returns whether a setting makes the server expect something else than it and its provider publish."""
    name = OVERRIDES.get(failure.rule)
    if name is None or name not in case.settings.values:
        return False
    if failure.rule is TokenErrorReason.AUDIENCE:
        return case.url in string_list(failure.raw)
    return failure.rule is not TokenErrorReason.ISSUER or failure.raw == text(case.provider, "issuer")


def _other_audience(failure: RuleFailure) -> dict[str, str]:
    """Returns the setting for a provider that writes its own identifier of the resource into `aud`."""
    identifiers = [name for name in string_list(failure.raw) if name.startswith("api://")]
    return {"JWT_AUDIENCE": identifiers[0]} if identifiers else {}


def _scope(case: CheckContext, evaluation: TokenEvaluation) -> list[Finding]:
    if evaluation.missing_scope is None:
        return []
    assign = "assign one of the scope's roles to the user (the roles are in access.yaml)"
    if case.settings.in_stack:
        assign = "give the demo user one of the scope's roles in access.yaml, and apply that"
    fix = (
        "Keycloak silently drops a scope if the user has none of its roles, or if the scope itself has lost them, is "
        "not 'included in token', or was not requested. First mcp-idp bootstrap check: apply repairs the scope. If it "
        f"reports nothing, {assign}"
    )
    return [NO_SCOPE.finding(evaluation.missing_scope, fix)]


async def _check_server_response(case: CheckContext) -> list[Finding]:
    body, headers = discover_request()
    headers = {**headers, "authorization": f"Bearer {case.token}"}
    reply = await case.http.send("POST", case.url, headers=headers, json=body)
    if reply.fault is None and reply.status not in {401, 403, 503}:
        return []
    message = text(reply.document, "error_description") or reply.header("www-authenticate")
    log = "docker compose logs mcp-server has the reason" if case.settings.in_stack else "its log has the reason"
    fix = (
        f"{log}, with the expected and the actual value. What it publishes is right for this token, so one of its own "
        "settings is not: JWT_AUDIENCE, JWT_ISSUER, JWT_JWKS_URL, AUTH_TOKEN_MODE (and the client that introspects), "
        "ACCESS_FILE; or its clock is wrong"
    )
    return [SERVER_DISAGREES.finding(f"it responds {reply} {message[:300]}".strip(), fix)]


def _token_skip_reason(case: CheckContext) -> str:
    return with_login(case) or ("" if case.evaluate is not None else "only with --token - or --login")


def _login_skip_reason(case: CheckContext) -> str:
    return with_login(case) or ("" if case.failure is not None or case.token else "only with --login")


CHECKS = (
    Check(
        name="login",
        question="Does a login yield a token? (--login)",
        run=check_login,
        skip_reason=_login_skip_reason,
        depends_on=("reach",),
        kinds=(NO_LOGIN,),
    ),
    Check(
        name="token",
        question="Does the server accept this token, and if not, which rule rejects it? (--token -, --login)",
        run=check_token,
        depends_on=("encryption", "provider"),
        skip_reason=_token_skip_reason,
        kinds=(
            *dict.fromkeys(kind for kind, _ in FIX_BY_REASON.values()),
            NOT_EVALUATED,
            NO_SUBJECT,
            NO_SCOPE,
            SERVER_DISAGREES,
        ),
    ),
)
