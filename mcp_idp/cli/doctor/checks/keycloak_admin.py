"""Checks Keycloak with an admin client: drift from the access file, and known weaknesses, by reading and by probing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mcp_idp.cli.doctor.findings import Finding, Rule, Severity
from mcp_idp.cli.doctor.runner import Check, with_login

if TYPE_CHECKING:
    from mcp_idp.cli.doctor.context import CheckContext

DRIFT = Rule(
    name="provider_drift",
    severity=Severity.ERROR,
    title="the provider differs from the access file",
    why="scopes, audience mappers, roles and registration policy depend on each other; a missing part breaks logins",
    reports=("keycloak/keycloak#41526", "keycloak/keycloak#43654", "agentic-community/mcp-gateway-registry#1132"),
)
WEAKNESS = Rule(
    name="provider_weakness",
    severity=Severity.ERROR,
    title="the provider has a known weakness",
    why="someone without an account or without the role can get a token that the server accepts",
)
ADMIN_UNAVAILABLE = Rule(
    name="provider_not_checked",
    severity=Severity.WARNING,
    title="the provider could not be checked through its admin API",
    why="the cause may be in its configuration",
)
EXPLOITABLE = Rule(
    name="provider_exploitable",
    severity=Severity.ERROR,
    title="the probe found an open weakness",
    why="anyone can get what the doctor got, without an account",
)
NOT_PROBED = Rule(
    name="provider_not_probed",
    severity=Severity.WARNING,
    title="the weaknesses could not be probed",
    why="it is unknown whether an unauthenticated client can exploit them",
)
_MAX_NAMES = 8


async def check_drift(case: CheckContext) -> list[Finding]:
    """Runs the bootstrap's `check`, which compares the provider with the access file."""
    if case.look_inside is None:
        return []
    result = await case.look_inside()
    if result.fault:
        return [ADMIN_UNAVAILABLE.finding(result.fault, _admin_advice(case, "check"))]
    found = [WEAKNESS.finding(f"{name}: {what}", fix) for name, what, fix in result.weaknesses]
    if result.drift:
        names = ", ".join(result.drift[:_MAX_NAMES])
        more = f" and {len(result.drift) - _MAX_NAMES} more" if len(result.drift) > _MAX_NAMES else ""
        found.insert(
            0,
            DRIFT.finding(f"{names}{more}", "run mcp-idp bootstrap plan to see all of it, and apply to fix it"),
        )
    return found


async def check_probe(case: CheckContext) -> list[Finding]:
    """Runs the bootstrap's `probe`, which tries the nine known weaknesses."""
    if case.probe is None:
        return []
    probed = await case.probe(case.issuer)
    if probed.fault:
        return [NOT_PROBED.finding(probed.fault, _admin_advice(case, "probe"))]
    fix = "run mcp-idp bootstrap check to see what closes it: apply, or a start option of Keycloak"
    return [EXPLOITABLE.finding(f"{name}: {observed}", fix) for name, observed in probed.open]


def _admin_advice(case: CheckContext, verb: str) -> str:
    """Returns how to run what could not be run here."""
    if case.settings.in_stack:
        return f"run mcp-idp bootstrap {verb}: the stack's admin secret never leaves its volume"
    return (
        "set OAUTH_SERVER_URL, KEYCLOAK_ADMIN_CLIENT_ID and KEYCLOAK_ADMIN_CLIENT_SECRET_FILE as for mcp-idp bootstrap "
        f"{verb}, for your own Keycloak"
    )


def _skip_probe_reason(case: CheckContext) -> str:
    return with_login(case) or ("" if case.probe is not None else "only with --probe, on your own Keycloak")


def _skip_admin_reason(case: CheckContext) -> str:
    return with_login(case) or ("" if case.look_inside is not None else "only with --inside, and an admin client")


CHECKS = (
    Check(
        name="inside",
        question="Does the provider match the access file, according to its admin API? (--inside)",
        run=check_drift,
        depends_on=("discovery",),
        skip_reason=_skip_admin_reason,
        kinds=(DRIFT, WEAKNESS, ADMIN_UNAVAILABLE),
    ),
    Check(
        name="probe",
        question="Can an unauthenticated client exploit one of Keycloak's nine weaknesses? (--probe; registrations "
        "are removed)",
        run=check_probe,
        depends_on=("discovery",),
        skip_reason=_skip_probe_reason,
        kinds=(EXPLOITABLE, NOT_PROBED),
    ),
)
