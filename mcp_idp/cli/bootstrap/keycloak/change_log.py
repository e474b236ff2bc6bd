"""Prints the changes of an apply; those of a new realm, some seventy, only as a summary."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from mcp_idp.cli.bootstrap.output import change_lines, count_noun

if TYPE_CHECKING:
    from collections.abc import Callable

    from mcp_idp.cli.bootstrap.changes import Change

_PROGRESS = 100  # a line for each so many requests of one batch
_COUNTED_KINDS = ("role", "scope", "client", "user")  # of a new realm


class ChangeLog:
    """Prints the changes of an apply. Those of a new realm are counted instead, unless all are requested.

    Args:
        log: receives each output line.
        verbose: whether to print the changes of a new realm, too.
    """

    def __init__(self, log: Callable[[str], None], *, verbose: bool) -> None:
        self._log = log
        self._verbose = verbose
        self._requests: Counter[str] = Counter()  # of each batch
        self._created: Counter[str] = Counter()  # of each kind of object
        self._unprinted: list[str] | None = None  # None: each change is printed

    def record(self, change: Change) -> None:
        """Prints or counts a change that is about to be written."""
        lines = self._lines(change)
        if self._unprinted is not None:
            self._unprinted += lines
            if change.action == "create":
                self._created[change.object_label.rpartition(" ")[0]] += 1
            return
        for line in lines:
            self._log(line)
        if change.action == "create" and change.object_label.startswith("realm ") and not self._verbose:
            self._unprinted = []

    def print_unprinted(self) -> None:
        """Prints the changes that were only counted, to show where an apply failed."""
        for line in self._unprinted or ():
            self._log(line)

    def print_total(self, changes: int) -> None:
        """Prints the number of changes.

        Args:
            changes: how many were written.
        """
        if self._unprinted is None:
            self._log(count_noun(changes, "change") if changes else "no changes")
            return
        created = ", ".join(count_noun(self._created[kind], kind) for kind in _COUNTED_KINDS)
        self._log(f"{changes} changes: {created}, and the settings of the realm (`apply --verbose` prints each)")

    def _lines(self, change: Change) -> list[str]:
        self._requests[change.batch] += 1
        if not change.batch:
            return list(change_lines(change))
        if self._requests[change.batch] % _PROGRESS == 1:
            return [f"~ {change.batch}: request {self._requests[change.batch]}"]
        return []
