"""A real token: which rule of this project's server would refuse it, and does the server take it?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mcp_idp.cli.common.discover_request import discover_request
from mcp_idp.cli.common.token_summary import words
from mcp_idp.cli.doctor.checks.access_token_rules import (
    ADVICE,
    NO_LOGIN,
    NO_SCOPE,
    NO_SUBJECT,
    NOT_JUDGED,
    REFUSED_ANYHOW,
)
from mcp_idp.cli.doctor.context import text
from mcp_idp.cli.doctor.runner import Check, with_login
from mcp_idp.cli.doctor.url_diff import difference
from mcp_idp.errors import Reason

if TYPE_CHECKING:
    from mcp_idp.cli.doctor.context import Case
    from mcp_idp.cli.doctor.findings import Finding
    from mcp_idp.cli.inspect.evaluation import Judgement, Verdict


async def logged_in(case: Case) -> list[Finding]:
    """What became of the login, if one was wanted."""
    if case.failure is None:
        return []
    mend = "; ".join(case.failure.advice) or "scripts/login tells each step of it"
    return [NO_LOGIN.found(case.failure.message, mend)]


async def judged(case: Case) -> list[Finding]:
    """What our rules say of the token, and then what the server says."""
    if case.judge is None:
        return []
    judgement = await case.judge(case.token, case)
    # Scopes first: with most providers the audience comes along with a scope, and both with a role.
    found = [*_scope(judgement), *(_refusal(case, verdict) for verdict in judgement.refusals)]
    if judgement.unavailable:
        mend = "the provider's keys must be reachable from here"
        found.append(NOT_JUDGED.found(judgement.unavailable, mend))
    if judgement.readable and "sub" not in judgement.claims:
        mend = (
            "Keycloak: give the client the default scope 'basic', which brings sub; clients that the admin API makes "
            "have only the scopes it names"
        )
        found.append(NO_SUBJECT.found("the token has no sub", mend))
    if not found:
        found += await _at_the_server(case)
    return found


def _refusal(case: Case, verdict: Verdict) -> Finding:
    reason = verdict.rule
    kind, mend = ADVICE[reason]
    what = f"expected {verdict.expected}, got {verdict.got}"
    settings: dict[str, str] = {}
    if reason is Reason.ISSUER and isinstance(verdict.raw, str):
        what = f"{what}: the difference is {difference(str(verdict.expected), verdict.raw)}"
        if not case.hides(verdict.raw):
            settings = {"OAUTH_SERVER_URL": verdict.raw}
    if reason is Reason.AUDIENCE:
        settings = _other_audience(verdict)
    return kind.found(what, mend, settings=settings)


def _other_audience(verdict: Verdict) -> dict[str, str]:
    """A provider that writes an identifier of its own for the resource: the server can be told it."""
    own = [name for name in words(verdict.raw) if name.startswith("api://")]
    return {"JWT_AUDIENCE": own[0]} if own else {}


def _scope(judgement: Judgement) -> list[Finding]:
    if judgement.missing_scope is None:
        return []
    mend = (
        "give the person one of the scope's roles (here: access.yaml), or make the client ask for the scope; "
        "Keycloak drops a scope without a word where its role is missing, and the scope must be 'included in token'"
    )
    return [NO_SCOPE.found(judgement.missing_scope, mend)]


async def _at_the_server(case: Case) -> list[Finding]:
    body, headers = discover_request()
    headers = {**headers, "authorization": f"Bearer {case.token}"}
    reply = await case.ask.send("POST", case.url, headers=headers, json=body)
    if reply.fault is None and reply.status not in {401, 403, 503}:
        return []
    said = text(reply.document, "error_description") or reply.header("www-authenticate")
    mend = "its log has the reason; compare its settings with those that the token was judged by here"
    return [REFUSED_ANYHOW.found(f"it answers {reply} {said[:300]}".strip(), mend)]


def _handed_over(case: Case) -> str:
    return with_login(case) or ("" if case.judge is not None else "only with --token - or --login")


def _log_in_wanted(case: Case) -> str:
    return with_login(case) or ("" if case.failure is not None or case.token else "only with --login")


CHECKS = (
    Check(
        name="login",
        asks="Does a login bring a token? (--login)",
        run=logged_in,
        applies=_log_in_wanted,
        needs=("reach",),
        kinds=(NO_LOGIN,),
    ),
    Check(
        name="token",
        asks="Would the server take this token, and if not, which rule refuses it? (--token -, --login)",
        run=judged,
        needs=("encryption", "provider"),
        applies=_handed_over,
        kinds=(*dict.fromkeys(kind for kind, _ in ADVICE.values()), NOT_JUDGED, NO_SUBJECT, NO_SCOPE, REFUSED_ANYHOW),
    ),
)
