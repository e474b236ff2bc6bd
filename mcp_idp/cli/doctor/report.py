"""Prints the results of the checks as text or JSON.

Tokens are removed from both; control characters are removed from the text.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.text import Text

from mcp_idp.cli.common.console import printable
from mcp_idp.cli.doctor.findings import Severity, link
from mcp_idp.cli.doctor.runner import all_findings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from mcp_idp.cli.common.redaction import Redactor
    from mcp_idp.cli.doctor.client_requests import ClientProfile
    from mcp_idp.cli.doctor.findings import Finding
    from mcp_idp.cli.doctor.runner import Result

_STYLES = {Severity.ERROR: "bold red", Severity.WARNING: "bold yellow", Severity.INFO: "bold cyan"}


def as_json(
    url: str, results: Sequence[Result], secrets: Redactor, *, client: ClientProfile | None = None
) -> dict[str, Any]:
    """Returns the object for `--json`: `url`, `client`, `healthy`, `findings` and `checks`.

    The caller escapes non-ASCII characters.

    Args:
        url: The MCP server's URL.
        results: The results of all checks.
        secrets: The secrets to hide.
        client: The client of `--as`.
    """
    document = {
        "url": url,
        "client": None
        if client is None
        else {"name": client.key, "version": client.version, "basis": str(client.basis)},
        "healthy": is_healthy(results),
        "findings": [finding.as_json() for finding in all_findings(results)],
        "checks": [
            {
                "check": result.check.name,
                "question": result.check.question,
                "findings": [finding.kind.name for finding in result.findings],
                "blocked_by": result.blocked_by or None,
                "skipped": result.skipped or None,
            }
            for result in results
        ],
    }
    hidden: dict[str, Any] = secrets.hide_in(document)
    return hidden


def is_healthy(results: Sequence[Result]) -> bool:
    """Returns whether there are no findings, or only notes."""
    return all(finding.kind.severity is Severity.INFO for finding in all_findings(results))


class Report:
    """Prints the results of the checks.

    Args:
        console: Where to print.
        secrets: The secrets to hide.
    """

    def __init__(self, console: Console, secrets: Redactor) -> None:
        self._console = console
        self._secrets = secrets

    def print(
        self, url: str, results: Sequence[Result], *, login_tested: bool, client: ClientProfile | None = None
    ) -> None:
        """Prints the findings, causes before their consequences, and then the checks.

        Args:
            url: The MCP server's URL.
            results: The results of all checks.
            login_tested: Whether a login was among them.
            client: The client of `--as`.
        """
        if client is not None:
            self._line(f"acting as {client.label} ({client.basis}; docs/doctor.md)")
        findings = all_findings(results)
        for number, finding in enumerate(findings, 1):
            self._finding(number, finding)
        self._line("")
        for result in results:
            self._check(result)
        self._waiting(results)
        self._line("")
        if is_healthy(results):
            remarks = [f"{len(findings)} informational"] if findings else []
            if not login_tested:
                remarks.append("login not tested: use --login")
            detail = f" ({'; '.join(remarks)})" if remarks else ""
            self._line(f"{url}: No problems found{detail}", "bold green")
        else:
            count = sum(finding.kind.severity is not Severity.INFO for finding in findings)
            which = "1 finding" if count == 1 else f"{count} findings: fix the first, then run the doctor again"
            self._line(f"{url}: {which}", "bold red")

    def _finding(self, number: int, finding: Finding) -> None:
        kind = finding.kind
        self._line("")
        self._line(f"{number}. {kind.severity.value.upper()}  {kind.title}", _STYLES[kind.severity])
        self._line(f"   observed  {finding.observed}")
        source = f" ({kind.source})" if kind.source else ""
        self._line(f"   why       {kind.why}{source}")
        self._line(f"   fix       {finding.fix}")
        for complaint in kind.reports[:3]:
            self._line(f"   see       {link(complaint)}", "dim")

    def _check(self, result: Result) -> None:
        if result.blocked_by:
            return
        if result.skipped:
            symbol, style, end = "-", "dim", f"  skipped: {result.skipped}"
        elif result.findings:
            symbol, style, end = "x", "yellow", ""
        else:
            symbol, style, end = "ok", "green", ""
        self._line(f"  {symbol:<2} {result.check.question}{end}", style)

    def _waiting(self, results: Sequence[Result]) -> None:
        """Prints the checks that were not run, grouped by the check whose fault blocks them."""
        for cause in dict.fromkeys(result.blocked_by for result in results if result.blocked_by):
            names = ", ".join(result.check.name for result in results if result.blocked_by == cause)
            self._line(f"  -  not checked, blocked by findings of '{cause}': {names}", "dim")

    def _line(self, text: str, style: str = "") -> None:
        self._console.print(Text(printable(self._secrets.redact(text)), style=style), soft_wrap=True)
