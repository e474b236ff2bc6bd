"""Checks that the clocks of server and provider agree, as the validity period of tokens requires."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mcp_idp.cli.common.clock_difference import seconds_ahead
from mcp_idp.cli.doctor.findings import Finding, Rule, Severity
from mcp_idp.cli.doctor.runner import Check, with_login

if TYPE_CHECKING:
    from mcp_idp.cli.common.safe_http import HttpResult
    from mcp_idp.cli.doctor.context import CheckContext

SKEW = Rule(
    name="clock_skew",
    severity=Severity.ERROR,
    title="a clock is wrong",
    why="a new token counts as not yet valid or as expired, so every login fails",
    source="RFC 7519 sections 4.1.4 to 4.1.6",
    reports=(
        "mcp-hangar/mcp-hangar#630",
        "minio/object-browser#3519",
    ),
)
LOCAL_SKEW = Rule(
    name="clock_here",
    severity=Severity.INFO,
    title="the clock of this machine is wrong",
    why="server and provider agree with each other; only checks on this machine are affected",
)
_LEEWAY = 30  # seconds: the default of CLOCK_LEEWAY


async def check_skew(case: CheckContext) -> list[Finding]:
    """Compares the Date headers of server and provider with each other and with the local clock."""
    skews = {"server": _ahead(case.initial_response), "provider": _ahead(case.provider_reply)}
    ahead = {who: seconds for who, seconds in skews.items() if seconds is not None}
    if not ahead or max(abs(seconds) for seconds in ahead.values()) <= _LEEWAY:
        return []
    observed = ", ".join(
        f"the clock of the {who} is {_format_seconds(seconds)} the clock of this machine"
        for who, seconds in ahead.items()
    )
    if len(ahead) > 1 and max(ahead.values()) - min(ahead.values()) <= _LEEWAY:
        return [LOCAL_SKEW.finding(observed, "correct the clock of this machine (NTP)")]
    wrong = max(ahead, key=lambda who: abs(ahead[who]))
    fix = (
        f"correct the clock of the {wrong}'s machine (NTP), if that of this machine is right; CLOCK_LEEWAY would "
        "only hide it"
    )
    return [SKEW.finding(observed, fix)]


def _ahead(reply: HttpResult | None) -> float | None:
    """Returns by how many seconds the responder's clock is ahead of the local one; None if unknown."""
    return None if reply is None else seconds_ahead(reply.headers, reply.at)


def _format_seconds(seconds: float) -> str:
    if abs(seconds) <= _LEEWAY:
        return "as"
    size = f"{abs(seconds) / 60:.0f} minutes" if abs(seconds) >= 90 else f"{abs(seconds):.0f} s"  # noqa: PLR2004 - seconds
    return f"{size} {'ahead of' if seconds > 0 else 'behind'}"


def _describe_sources(case: CheckContext) -> str:
    if reason := with_login(case):
        return reason
    if _ahead(case.initial_response) is None and _ahead(case.provider_reply) is None:
        return "neither server nor provider sends a Date header"
    return ""


CHECKS = (
    Check(
        name="clocks",
        question="Do the clocks of server and provider agree?",
        run=check_skew,
        depends_on=("discovery",),
        skip_reason=_describe_sources,
        kinds=(SKEW, LOCAL_SKEW),
    ),
)
