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
    title="the provider is not as the access file says",
    why="scopes, audience mappers, roles and registration policy work together only; what is missing shows at a login",
    reports=("keycloak/keycloak#41526", "keycloak/keycloak#43654", "agentic-community/mcp-gateway-registry#1132"),
)
WEAKNESS = Rule(
    name="provider_hole",
    severity=Severity.ERROR,
    title="the provider has a way in that it should not have",
    why="somebody without an account here, or without the role, can get a token that the server would take",
)
ADMIN_UNAVAILABLE = Rule(
    name="provider_not_seen",
    severity=Severity.WARNING,
    title="the provider could not be seen from inside",
    why="the cause may be there",
)
EXPLOITABLE = Rule(
    name="provider_got_in",
    severity=Severity.ERROR,
    title="a stranger gets in: it was tried",
    why="what the doctor was given without an account, anybody is given",
)
NOT_PROBED = Rule(
    name="provider_not_probed",
    severity=Severity.WARNING,
    title="the ways in could not be tried",
    why="whether a stranger gets in is not known",
)
_MAX_NAMES = 8


async def check_drift(case: CheckContext) -> list[Finding]:
    """Runs the bootstrap's `check`, which compares the provider with the access file."""
    if case.look_inside is None:
        return []
    result = await case.look_inside()
    if result.fault:
        fix = "set KEYCLOAK_ADMIN_CLIENT_ID and KEYCLOAK_ADMIN_CLIENT_SECRET_FILE as for scripts/bootstrap_idp.py check"
        return [ADMIN_UNAVAILABLE.finding(result.fault, fix)]
    found = [WEAKNESS.finding(f"{name}: {what}", fix) for name, what, fix in result.weaknesses]
    if result.drift:
        names = ", ".join(result.drift[:_MAX_NAMES])
        more = f" and {len(result.drift) - _MAX_NAMES} more" if len(result.drift) > _MAX_NAMES else ""
        found.insert(
            0, DRIFT.finding(f"{names}{more}", "scripts/bootstrap_idp.py plan shows all of it, apply mends it")
        )
    return found


async def check_probe(case: CheckContext) -> list[Finding]:
    """Runs the bootstrap's `probe`, which tries the nine known weaknesses."""
    if case.probe is None:
        return []
    probed = await case.probe(case.issuer)
    if probed.fault:
        fix = "set OAUTH_SERVER_URL and KEYCLOAK_ADMIN_CLIENT_… as for scripts/bootstrap_idp.py probe, as its owner"
        return [NOT_PROBED.finding(probed.fault, fix)]
    fix = "scripts/bootstrap_idp.py check says what closes it: apply, or a switch of Keycloak's start"
    return [EXPLOITABLE.finding(f"{name}: {observed}", fix) for name, observed in probed.open]


def _skip_probe_reason(case: CheckContext) -> str:
    return with_login(case) or ("" if case.probe is not None else "only with --probe, on a Keycloak of your own")


def _skip_admin_reason(case: CheckContext) -> str:
    return with_login(case) or ("" if case.look_inside is not None else "only with --inside, and an admin client")


CHECKS = (
    Check(
        name="inside",
        question="Is the provider as the access file says, seen by an administrator? (--inside)",
        run=check_drift,
        depends_on=("discovery",),
        skip_reason=_skip_admin_reason,
        kinds=(DRIFT, WEAKNESS, ADMIN_UNAVAILABLE),
    ),
    Check(
        name="probe",
        question="Does a stranger get in through one of Keycloak's nine holes? (--probe; what it registers is removed)",
        run=check_probe,
        depends_on=("discovery",),
        skip_reason=_skip_probe_reason,
        kinds=(EXPLOITABLE, NOT_PROBED),
    ),
)
