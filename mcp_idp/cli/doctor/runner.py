"""A check: a name, whether it applies, and what it finds; and how to go through many."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mcp_idp.cli.doctor.context import Case
from mcp_idp.cli.doctor.findings import Finding, Kind, Severity

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

Run = Callable[[Case], Awaitable[list[Finding]]]
Applies = Callable[[Case], str]


def always(_: Case) -> str:
    """It applies to everybody."""
    return ""


def with_login(case: Case) -> str:
    """It applies where there is a login."""
    return "the server asks for no login" if case.open else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One check.

    Attributes:
        name: as the report shows it.
        asks: the question it answers.
        run: finds out, and leaves what it learnt in the case.
        kinds: all that it can find.
        needs: checks whose faults make this one pointless.
        applies: why it does not apply to this case, or "".
    """

    name: str
    asks: str
    run: Run
    kinds: tuple[Kind, ...]
    needs: tuple[str, ...] = ()
    applies: Applies = with_login


@dataclass(frozen=True, slots=True)
class Result:
    """What came of one check.

    Attributes:
        not_checked: the check whose fault must be mended first, or "".
        does_not_apply: why not, where it is no matter of this server.
    """

    check: Check
    findings: Sequence[Finding] = field(default_factory=tuple)
    not_checked: str = ""
    does_not_apply: str = ""


async def examine(case: Case, checks: Iterable[Check]) -> list[Result]:
    """Go through `checks` in their order, which is that of causes: what depends on a fault is left out."""
    results: list[Result] = []
    broken: dict[str, str] = {}  # the check that has a fault to find for each that waits for it
    for check in checks:
        cause = next((broken[name] for name in check.needs if name in broken), None)
        if cause is not None:
            broken[check.name] = cause
            results.append(Result(check, not_checked=cause))
        elif reason := check.applies(case):
            results.append(Result(check, does_not_apply=reason))
        else:
            findings = await check.run(case)
            if any(finding.kind.severity is Severity.FAULT for finding in findings):
                broken[check.name] = check.name
            results.append(Result(check, findings))
    return results


_ORDER = list(Severity)


def all_findings(results: Iterable[Result]) -> list[Finding]:
    """Faults first, then warnings, then notes; within each the cause before its consequences."""
    found = [finding for result in results for finding in result.findings]
    return sorted(found, key=lambda finding: _ORDER.index(finding.kind.severity))
