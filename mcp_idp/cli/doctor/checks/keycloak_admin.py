"""The provider from inside: is it as the access file says, and is there a way in? By reading, and by trying."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mcp_idp.cli.doctor.findings import Finding, Kind, Severity
from mcp_idp.cli.doctor.runner import Check, with_login

if TYPE_CHECKING:
    from mcp_idp.cli.doctor.context import Case

DRIFT = Kind(
    name="provider_drift",
    severity=Severity.FAULT,
    title="the provider is not as the access file says",
    why="scopes, audience mappers, roles and registration policy work together only; what is missing shows at a login",
    complaints=("keycloak/keycloak#41526", "keycloak/keycloak#43654", "agentic-community/mcp-gateway-registry#1132"),
)
HOLE = Kind(
    name="provider_hole",
    severity=Severity.FAULT,
    title="the provider has a way in that it should not have",
    why="somebody without an account here, or without the role, can get a token that the server would take",
)
NOT_SEEN = Kind(
    name="provider_not_seen",
    severity=Severity.WARNING,
    title="the provider could not be seen from inside",
    why="the cause may be there",
)
GOT_IN = Kind(
    name="provider_got_in",
    severity=Severity.FAULT,
    title="a stranger gets in: it was tried",
    why="what the doctor was given without an account, anybody is given",
)
NOT_PROBED = Kind(
    name="provider_not_probed",
    severity=Severity.WARNING,
    title="the ways in could not be tried",
    why="whether a stranger gets in is not known",
)
_MOST_NAMES = 8


async def from_inside(case: Case) -> list[Finding]:
    """Let the bootstrap compare the provider with the access file."""
    if case.look_inside is None:
        return []
    seen = await case.look_inside()
    if seen.fault:
        mend = (
            "set KEYCLOAK_ADMIN_CLIENT_ID and KEYCLOAK_ADMIN_CLIENT_SECRET_FILE as for scripts/bootstrap_idp.py check"
        )
        return [NOT_SEEN.found(seen.fault, mend)]
    found = [HOLE.found(f"{name}: {what}", mend) for name, what, mend in seen.holes]
    if seen.drift:
        names = ", ".join(seen.drift[:_MOST_NAMES])
        more = f" and {len(seen.drift) - _MOST_NAMES} more" if len(seen.drift) > _MOST_NAMES else ""
        found.insert(0, DRIFT.found(f"{names}{more}", "scripts/bootstrap_idp.py plan shows all of it, apply mends it"))
    return found


async def by_trial(case: Case) -> list[Finding]:
    """Let the bootstrap try the nine holes."""
    if case.probe is None:
        return []
    probed = await case.probe(case.issuer)
    if probed.fault:
        mend = "set OAUTH_SERVER_URL and KEYCLOAK_ADMIN_CLIENT_… as for scripts/bootstrap_idp.py probe, as its owner"
        return [NOT_PROBED.found(probed.fault, mend)]
    mend = "scripts/bootstrap_idp.py check says what closes it: apply, or a switch of Keycloak's start"
    return [GOT_IN.found(f"{name}: {seen}", mend) for name, seen in probed.open]


def _trial_wanted(case: Case) -> str:
    return with_login(case) or ("" if case.probe is not None else "only with --probe, on a Keycloak of your own")


def _wanted(case: Case) -> str:
    return with_login(case) or ("" if case.look_inside is not None else "only with --inside, and an admin client")


CHECKS = (
    Check(
        name="inside",
        asks="Is the provider as the access file says, seen by an administrator? (--inside)",
        run=from_inside,
        needs=("discovery",),
        applies=_wanted,
        kinds=(DRIFT, HOLE, NOT_SEEN),
    ),
    Check(
        name="probe",
        asks="Does a stranger get in through one of Keycloak's nine holes? (--probe; what it registers is removed)",
        run=by_trial,
        needs=("discovery",),
        applies=_trial_wanted,
        kinds=(GOT_IN, NOT_PROBED),
    ),
)
