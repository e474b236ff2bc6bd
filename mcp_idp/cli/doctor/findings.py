"""What a check can find: the kinds are data, so that the documentation is made of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum, auto
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping


_MAX_CHARACTERS = 2000  # characters: values come from servers, which may write novels


class Severity(StrEnum):
    """How much it matters. Notes are no reason to change anything, and leave the exit code 0."""

    ERROR = auto()
    WARNING = auto()
    INFO = auto()


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One thing that can be wrong.

    Attributes:
        name: unique among all checks.
        severity: ERROR where clients cannot log in or anybody can, WARNING where some cannot or something is open.
        title: what it is, in a few words.
        why: why it matters, in one sentence.
        source: the clause that says so, or "".
        reports: public reports of it, as owner/repository#number.
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
        """This kind, found.

        Args:
            observed: what was seen, with the values.
            fix: what to do about it.
            url: the server's URL that clients should use instead, if that mends it.
            settings: those of this project's server that mend it.
        """
        return Finding(
            kind=self, observed=observed[:_MAX_CHARACTERS], fix=fix[:_MAX_CHARACTERS], url=url, settings=settings or {}
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that is wrong here. See `Rule.finding`."""

    kind: Rule
    observed: str
    fix: str
    url: str | None = None
    settings: Mapping[str, str] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """For `--json`."""
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
    """The address of `owner/repository#number`. The site leads from issues to pull requests by itself."""
    repository, _, number = complaint.partition("#")
    return f"https://github.com/{repository}/issues/{number}"
