"""Terminal output of the commands.

Whatever a server or provider sends, this module prints neither secrets that are registered with `Redactor.add_secret`
nor control characters, which could send escape sequences to the terminal.
"""

from __future__ import annotations

import json
import os
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from rich.console import Console
from rich.text import Text

from mcp_idp.util.printable_text import escape_unprintable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mcp_idp.cli.common.redaction import Redactor

_STYLES = {"request": "cyan", "response": "green", "why": "dim", "note": "yellow"}
_LABEL_WIDTH = 10
_MAX_LINE = 2000


def printable(text: str) -> str:
    """Returns `text` as one bounded line of printable characters.

    Line breaks become spaces, other non-printable characters become escapes, and text is cut after 2,000 characters.
    The text may come from a server, a provider, or a client that registered itself.
    """
    line = " ".join(text[: _MAX_LINE + 1].splitlines())
    clean = escape_unprintable(line)
    return clean if len(clean) <= _MAX_LINE else f"{clean[:_MAX_LINE]} …"


def json_text(document: object, *, default: Callable[[object], object] | None = None) -> str:
    """Returns `document` as indented JSON in which every character that is not printable is escaped.

    JSON itself escapes only C0 control characters in strings; a terminal also obeys DEL and C1, and bidirectional
    controls reorder what it shows.

    Args:
        document: A JSON value.
        default: Converts other objects, see `json.dumps`.
    """
    text = json.dumps(document, ensure_ascii=False, indent=2, default=default)
    # `json.dumps` leaves DEL as it is, although it is a control character
    return "".join(c if c.isprintable() or c == "\n" else json.dumps(c)[1:-1] for c in text).replace("\x7f", r"\u007f")


@dataclass(slots=True)
class Step:
    """One of the eight login steps, with its lines as they were printed.

    Attributes:
        number: 1 to 8.
        title: The heading.
        lines: Pairs of label and text; for the labels see `StepReporter.line`.
    """

    number: int
    title: str
    lines: list[tuple[str, str]] = field(default_factory=list)


class StepReporter:
    """Prints the steps of a login and records them for `--json`.

    Args:
        console: Where to print, or None to print nothing.
        secrets: The secrets to hide in all output.
    """

    def __init__(self, console: Console | None, secrets: Redactor) -> None:
        self.secrets = secrets
        self.steps: list[Step] = []
        self._console = console

    def step(self, number: int, title: str, why: str) -> None:
        """Starts a step and prints its heading, unless it is the current step already.

        Args:
            number: 1 to 8.
            title: The heading.
            why: The reason for the step, with the clause that requires it.
        """
        if self.steps and self.steps[-1].number == number:
            return
        self.steps.append(Step(number, title))
        self._print(Text(f"\nSTEP {number}  ", style="bold").append(title, style="bold"))
        self.line("why", why)

    def line(self, label: str, text: str) -> None:
        """Prints one line and adds it to the current step.

        Args:
            label: `request` (what was sent), `response` (what was received), `why` or `note`.
            text: The text; secrets and control characters are removed.
        """
        clean = printable(self.secrets.redact(text))
        if self.steps:
            self.steps[-1].lines.append((label, clean))
        self._print(Text(f"  {label:<{_LABEL_WIDTH}}", style=_STYLES.get(label, "")).append(clean, style="default"))

    def message(self, text: str = "", *, style: str = "") -> None:
        """Prints a line that belongs to no step; it is not recorded."""
        self._print(Text(printable(self.secrets.redact(text)), style=style))

    @contextmanager
    def waiting(self, what: str) -> Iterator[None]:
        """Shows during the `with` block that the command is waiting: a spinner on a terminal, else one line."""
        if self._console is None or not self._console.is_terminal:
            self.line("note", what)
            yield
            return
        with self._console.status(Text(printable(self.secrets.redact(what)))):
            yield

    def _print(self, text: Text) -> None:
        if self._console is not None:
            # soft_wrap leaves wrapping to the terminal, so that a long URL can still be clicked and copied as a whole
            self._console.print(text, soft_wrap=True)


class _Console(Console):
    def on_broken_pipe(self) -> None:
        """Discards further output once the reader is gone (`| head`).

        The command can then still finish and clean up.
        """
        self.suppressed = True
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, self.file.fileno())
        os.close(nowhere)


def open_console(*, stderr: bool = False) -> Console:
    """Returns a console that uses colors on terminals only and respects NO_COLOR.

    Args:
        stderr: Print to standard error instead of standard output.
    """
    return _Console(stderr=stderr, highlight=False, markup=False, emoji=False)


@contextmanager
def progress(what: str) -> Iterator[Callable[[str], None]]:
    """Shows a spinner on standard error during the `with` block; prints nothing where that is not a terminal.

    Args:
        what: What is being done.

    Yields:
        A function that replaces that text.
    """
    console = open_console(stderr=True)
    if not console.is_terminal:
        yield lambda _: None
        return
    with console.status(Text(printable(what))) as status:
        yield lambda text: status.update(Text(printable(text)))
