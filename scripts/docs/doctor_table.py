"""Writes the tables of docs/doctor.md: `python -m scripts.docs.doctor_table`. The text above them is kept."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from mcp_idp.cli.doctor.all_checks import CHECKS
from mcp_idp.cli.doctor.findings import link

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mcp_idp.cli.doctor.findings import Rule

PAGE = Path(__file__).parents[2] / "docs" / "doctor.md"
START = "<!-- From here on written by `python -m scripts.docs.doctor_table`. -->\n"


def tables() -> str:
    """Returns the checks in order, each with its possible findings."""
    return "\n".join(_lines()) + "\n"


def whole_page(page: str) -> str:
    """Returns `page` with current tables."""
    return page.partition(START)[0] + START + "\n" + tables()


def _lines() -> Iterator[str]:
    for number, check in enumerate(CHECKS, 1):
        waits = f" Waits for: {', '.join(check.depends_on)}." if check.depends_on else ""
        yield f"### {number}. {check.name}"
        yield ""
        yield f"{check.question}{waits}"
        yield ""
        yield "| finding | severity | what it is | why it matters | reported in |"
        yield "|---|---|---|---|---|"
        for kind in check.kinds:
            yield _row(kind)
        yield ""


def _row(kind: Rule) -> str:
    source = f" ({kind.source})" if kind.source else ""
    reports = ", ".join(f"[{complaint}]({link(complaint)})" for complaint in kind.reports)
    return f"| `{kind.name}` | {kind.severity.value} | {kind.title} | {kind.why}{source} | {reports} |"


if __name__ == "__main__":
    PAGE.write_text(whole_page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
