"""The findings of the checks. Rules are data, so that the documentation can be generated from them."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum, auto
from typing import TYPE_CHECKING, Any

from mcp_idp.cli.common.launcher import as_launched

if TYPE_CHECKING:
    from collections.abc import Mapping


_MAX_CHARACTERS = 2000  # characters: values come from servers and may be arbitrarily long


class Severity(StrEnum):
    """The severity of a finding. Notes require no change and leave the exit code 0."""

    ERROR = auto()
    WARNING = auto()
    INFO = auto()


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """A problem that a check can find.

    Attributes:
        name: Unique among all checks.
        severity: ERROR if clients cannot log in or anyone can; WARNING if some clients cannot log in, or something is
            exposed.
        title: The problem in a few words.
        why: Why it matters, in one sentence.
        source: The clause that it violates, or "".
        reports: Public reports of the problem, as `owner/repository#number`.
    """

    name: str
    severity: Severity
    title: str
    why: str
    source: str = ""
    reports: tuple[str, ...] = ()

    def finding(
        self, observed: str, fix: str, *, url: str | None = None, settings: Mapping[str, str] | None = None
    ) -> Finding:
        """Creates a finding of this rule. Long texts are truncated.

        Args:
            observed: What was observed, with the values.
            fix: What to do about it.
            url: The MCP server's URL that clients should use instead, if that fixes the problem.
            settings: Settings of this project's server that fix the problem.
        """
        fix = as_launched(fix)[:_MAX_CHARACTERS]
        return Finding(kind=self, observed=observed[:_MAX_CHARACTERS], fix=fix, url=url, settings=settings or {})


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """A problem that was found. For the attributes see `Rule.finding`."""

    kind: Rule
    observed: str
    fix: str
    url: str | None = None
    settings: Mapping[str, str] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """Returns the object for `--json`."""
        kind = self.kind
        return {
            "finding": kind.name,
            "severity": kind.severity.value,
            "title": kind.title,
            "observed": self.observed,
            "why": kind.why,
            "source": kind.source,
            "reports": [link(complaint) for complaint in kind.reports],
            "fix": self.fix,
            "url": self.url,
            "settings": dict(self.settings),
        }


def link(complaint: str) -> str:
    """Returns the URL of an issue or pull request; GitHub redirects from issues to pull requests.

    Args:
        complaint: `owner/repository#number`.
    """
    repository, _, number = complaint.partition("#")
    return f"https://github.com/{repository}/issues/{number}"
