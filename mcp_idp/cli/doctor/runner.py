"""A check: a name, whether it applies, and what it finds; and how to go through many."""

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
    """It applies to everybody."""
    return ""


def with_login(case: CheckContext) -> str:
    """It applies where there is a login."""
    return "the server requires no login" if case.open else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One check.

    Attributes:
        name: as the report shows it.
        question: the question it answers.
        run: finds out, and leaves what it learnt in the case.
        kinds: all that it can find.
        depends_on: checks whose faults make this one pointless.
        skip_reason: why it does not apply to this case, or "".
    """

    name: str
    question: str
    run: Run
    kinds: tuple[Rule, ...]
    depends_on: tuple[str, ...] = ()
    skip_reason: Applies = with_login


@dataclass(frozen=True, slots=True)
class Result:
    """What came of one check.

    Attributes:
        blocked_by: the check whose fault must be mended first, or "".
        skipped: why not, where it is no matter of this server.
    """

    check: Check
    findings: Sequence[Finding] = field(default_factory=tuple)
    blocked_by: str = ""
    skipped: str = ""


async def run_checks(case: CheckContext, checks: Iterable[Check]) -> list[Result]:
    """Go through `checks` in their order, which is that of causes: what depends on a fault is left out."""
    results: list[Result] = []
    broken: dict[str, str] = {}  # the check that has a fault to find for each that waits for it
    for check in checks:
        cause = next((broken[name] for name in check.depends_on if name in broken), None)
        if cause is not None:
            broken[check.name] = cause
            results.append(Result(check, blocked_by=cause))
        elif reason := check.skip_reason(case):
            results.append(Result(check, skipped=reason))
        else:
            findings = await check.run(case)
            if any(finding.kind.severity is Severity.ERROR for finding in findings):
                broken[check.name] = check.name
            results.append(Result(check, findings))
    return results


_ORDER = list(Severity)


def all_findings(results: Iterable[Result]) -> list[Finding]:
    """Faults first, then warnings, then notes; within each the cause before its consequences."""
    found = [finding for result in results for finding in result.findings]
    return sorted(found, key=lambda finding: _ORDER.index(finding.kind.severity))
