"""What the person sees. Nothing leaves this module unredacted or with a control character in it.

Two guarantees, whatever a server or provider answers: no secret that `Redactor` has learnt is printed, and no byte that
could steer a terminal is.
"""

from __future__ import annotations

import os
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from rich.console import Console
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mcp_idp.cli.common.redaction import Redactor

_STYLES = {"asks": "cyan", "got": "green", "why": "dim", "note": "yellow"}
_LABEL_WIDTH = 6
_MAX_LINE = 2000


def printable(text: str) -> str:
    """`text` on one line, bounded, every control character written out: a terminal obeys nothing a server said."""
    clean = "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in " ".join(text.splitlines()))
    return clean if len(clean) <= _MAX_LINE else f"{clean[:_MAX_LINE]} …"


@dataclass(slots=True)
class Step:
    """One step of the eight: what was asked, what came, why; as printed."""

    number: int
    title: str
    lines: list[tuple[str, str]] = field(default_factory=list)


class StepReporter:
    """Tells the story, and keeps it for `--json`.

    Args:
        console: where to print; None keeps quiet.
        secrets: what to hide in all that is told.
    """

    def __init__(self, console: Console | None, secrets: Redactor) -> None:
        self.secrets = secrets
        self.steps: list[Step] = []
        self._console = console

    def step(self, number: int, title: str, why: str) -> None:
        """Begin a step, unless it is the one that is being told already."""
        if self.steps and self.steps[-1].number == number:
            return
        self.steps.append(Step(number, title))
        self._print(Text(f"\nSTEP {number}  ", style="bold").append(title, style="bold"))
        self.line("why", why)

    def line(self, label: str, text: str) -> None:
        """One line of the current step. Labels are `asks`, `got`, `why` and `note`."""
        clean = printable(self.secrets.redact(text))
        if self.steps:
            self.steps[-1].lines.append((label, clean))
        self._print(Text(f"  {label:<{_LABEL_WIDTH}}", style=_STYLES.get(label, "")).append(clean, style="default"))

    def message(self, text: str = "", *, style: str = "") -> None:
        """A line that belongs to no step."""
        self._print(Text(printable(self.secrets.redact(text)), style=style))

    @contextmanager
    def waiting(self, what: str) -> Iterator[None]:
        """Show that something is awaited: a spinner on a terminal, one line elsewhere."""
        if self._console is None or not self._console.is_terminal:
            self.line("note", what)
            yield
            return
        with self._console.status(Text(printable(self.secrets.redact(what)))):
            yield

    def _print(self, text: Text) -> None:
        if self._console is not None:
            # soft_wrap: the terminal wraps, so that a URL stays one thing to click or copy
            self._console.print(text, soft_wrap=True)


class _Console(Console):
    def on_broken_pipe(self) -> None:
        """Nobody reads any more (`| head`): go on in silence, so that what was begun is also ended."""
        self.suppressed = True
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, self.file.fileno())
        os.close(nowhere)


def open_console(*, stderr: bool = False) -> Console:
    """A console that colours only a terminal and obeys NO_COLOR."""
    return _Console(stderr=stderr, highlight=False, markup=False, emoji=False)
