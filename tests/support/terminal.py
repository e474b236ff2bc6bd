"""Programs that draw on a terminal: a dialog waits for text on the screen and presses keys, by tmux."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_INTERVAL = 0.3  # seconds between two looks at the screen; programs take faster keys for pasted text


@dataclass(frozen=True)
class Dialog:
    """What a user does in a program on a terminal.

    Attributes:
        command: the program.
        steps: pairs of a regular expression that appears on the screen, and the keys to press then, in tmux's names,
            separated by spaces; text that is no key's name is typed.
        end: the regular expression at which the dialog is over.
    """

    command: tuple[str, ...]
    steps: tuple[tuple[str, tuple[str, ...]], ...]
    end: str


@dataclass(frozen=True)
class Terminal:
    """A running tmux server with one terminal.

    Attributes:
        socket: its socket.
    """

    socket: Path

    def tmux(self, *words: str) -> str:
        """Runs a tmux command and returns its output."""
        command = ("tmux", "-S", str(self.socket), *words)
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60).stdout

    def screen(self) -> str:
        """Returns the lines on the screen that are not empty."""
        return "\n".join(line for line in self.tmux("capture-pane", "-p").splitlines() if line.strip())

    def wait(self, pattern: str, until: float) -> bool:
        """Waits for a regular expression on the screen; returns whether it appeared before `until`."""
        pause = threading.Event()
        while time.monotonic() < until:
            if re.search(pattern, self.screen()):
                return True
            pause.wait(_INTERVAL)
        return False

    def end(self) -> None:
        """Ends tmux and the program with its children; some programs ignore that their terminal is gone."""
        pids = self.tmux("list-panes", "-F", "#{pane_pid}").split()
        self.tmux("kill-server")
        for pid in pids:
            with suppress(ProcessLookupError):
                os.killpg(int(pid), signal.SIGKILL)


def has_terminal() -> bool:
    """Returns whether tmux is installed."""
    return shutil.which("tmux") is not None


def hold_dialog(dialog: Dialog, socket: Path, folder: Path, environment: Mapping[str, str], patience: float) -> Screen:
    """Runs a program in a terminal of 150 columns and 50 lines, and ends it after the dialog.

    Args:
        dialog: what is waited for and pressed.
        socket: where tmux puts its socket.
        folder: the working directory.
        environment: the environment of the program.
        patience: seconds that the dialog may take.
    """
    terminal = Terminal(socket)
    start = ("tmux", "-S", str(socket), "-f", "/dev/null", "new-session", "-d", "-x", "150", "-y", "50")
    terms = {**environment, "TERM": "xterm-256color"}
    subprocess.run((*start, *dialog.command), cwd=folder, env=terms, check=True, timeout=60)
    until = time.monotonic() + patience
    try:
        for pattern, keys in dialog.steps:
            if not terminal.wait(pattern, until):
                return Screen(reached=False, text=f"{pattern!r} did not appear:\n{terminal.screen()}")
            terminal.tmux("send-keys", *keys)
        reached = terminal.wait(dialog.end, until)
        return Screen(reached=reached, text=terminal.screen())
    finally:
        terminal.end()


@dataclass(frozen=True)
class Screen:
    """What a dialog left.

    Attributes:
        reached: whether its end appeared.
        text: the last screen.
    """

    reached: bool
    text: str
