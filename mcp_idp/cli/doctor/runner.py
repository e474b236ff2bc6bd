"""Defines checks, and runs them in the order of their dependencies."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mcp_idp.cli.doctor.context import CheckContext
from mcp_idp.cli.doctor.findings import Finding, Rule, Severity

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

Run = Callable[[CheckContext], Awaitable[list[Finding]]]
Applies = Callable[[CheckContext], str]


def always(_: CheckContext) -> str:
    """Returns no skip reason, for checks that apply to every server."""
    return ""


def with_login(case: CheckContext) -> str:
    """Returns a skip reason if the server requires no login, else ""."""
    return "the server requires no login" if case.open else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """A check.

    Attributes:
        name: Its name in the report.
        question: The question that it answers.
        run: Performs the check, and stores what it learned in the context.
        kinds: All rules that it can report.
        depends_on: The names of checks after whose faults this one is not run.
        skip_reason: Returns why the check does not apply to this server, or "".
    """

    name: str
    question: str
    run: Run
    kinds: tuple[Rule, ...]
    depends_on: tuple[str, ...] = ()
    skip_reason: Applies = with_login


@dataclass(frozen=True, slots=True)
class Result:
    """The result of a check.

    Attributes:
        check: The check.
        findings: What it found.
        blocked_by: The check whose fault must be fixed first, or "".
        skipped: Why the check does not apply to this server, or "".
    """

    check: Check
    findings: Sequence[Finding] = field(default_factory=tuple)
    blocked_by: str = ""
    skipped: str = ""


async def run_checks(
    case: CheckContext, checks: Iterable[Check], on_check: Callable[[str], None] = lambda _: None
) -> list[Result]:
    """Runs the checks in the given order, in which causes precede consequences.

    A check is not run if one of the checks it depends on found a fault.

    Args:
        case: The server under test; checks add what they learn.
        checks: The checks.
        on_check: Receives the question of each check before it runs.

    Returns:
        One result for each check, in the same order.
    """
    results: list[Result] = []
    broken: dict[str, str] = {}  # failed or blocked check to the check that found the fault
    for check in checks:
        cause = next((broken[name] for name in check.depends_on if name in broken), None)
        if cause is not None:
            broken[check.name] = cause
            results.append(Result(check, blocked_by=cause))
        elif reason := check.skip_reason(case):
            results.append(Result(check, skipped=reason))
        else:
            on_check(check.question)
            findings = await check.run(case)
            if any(finding.kind.severity is Severity.ERROR for finding in findings):
                broken[check.name] = check.name
            results.append(Result(check, findings))
    return results


_ORDER = list(Severity)


def all_findings(results: Iterable[Result]) -> list[Finding]:
    """Returns faults, then warnings, then notes; within each group in the order of the checks."""
    found = [finding for result in results for finding in result.findings]
    return sorted(found, key=lambda finding: _ORDER.index(finding.kind.severity))
