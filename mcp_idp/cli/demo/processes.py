"""The two processes of the demo: started together, ended together, nothing left behind.

Each child leads its own process group, so that Ctrl-C reaches only the demo, which then ends the groups in order.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import httpx2

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from types import FrameType
    from typing import Self

_END_SECONDS = 5
_POLL_SECONDS = 0.05
_TAIL_LINES = 25
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
# What a child may know of this environment. The rest stays out: a setting for another deployment would change the demo.
_PASSED_ON = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "TZ", "PYTHONDONTWRITEBYTECODE", "SYSTEMROOT")
_PARENT_DEATH_SIGNAL = str(Path(__file__).with_name("parent_death_signal.py"))


class ProcessFailed(Exception):
    """A child ended by itself, or did not become ready. `tail` is the end of what it wrote."""

    def __init__(self, message: str, tail: str) -> None:
        super().__init__(message)
        self.tail = tail


class SignalGuard:
    """Turns SIGINT, SIGTERM and SIGHUP into KeyboardInterrupt, but not while a child is being started or ended.

    At first they are only remembered: `allow()` when there is something that cleans up.

    Attributes:
        signal: the signal that came, or None.
    """

    def __init__(self) -> None:
        self.signal: int | None = None
        self._deferred_count = 1
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            if number != signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN:  # as nohup sets it
                signal.signal(number, self._came)

    def allow(self) -> None:
        """From now on interrupt. What came before is raised now."""
        self._deferred_count -= 1
        if self.signal is not None and not self._deferred_count:
            raise KeyboardInterrupt

    @contextmanager
    def deferred(self) -> Iterator[None]:
        """Let nothing interrupt this block; what came meanwhile is raised at its end."""
        self._deferred_count += 1
        try:
            yield
        finally:
            self.allow()

    def ignore(self) -> None:
        """From now on only remember: the end must not be interrupted."""
        self._deferred_count += 1

    def _came(self, number: int, _frame: FrameType | None) -> None:
        self.signal = number
        if not self._deferred_count:
            raise KeyboardInterrupt


@dataclass(slots=True)
class ManagedProcess:
    """One process. Its output goes to `log`."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path

    def tail(self) -> str:
        """The last lines it wrote, without colours or anything else that could steer a terminal."""
        lines = self.log.read_text(encoding="utf-8", errors="replace").splitlines()[-_TAIL_LINES:]
        return "\n".join("".join(c for c in _COLOUR.sub("", line) if c.isprintable()) for line in lines)

    def check(self) -> None:
        """Raise if it has ended.

        Raises:
            ProcessFailed: it has.
        """
        code = self.process.poll()
        if code is not None:
            raise ProcessFailed(f"the {self.name} exited unexpectedly (exit code {code})", self.tail())

    def wait_until_ready(self, url: str, seconds: float) -> None:
        """Ask `url` until it answers 200.

        Raises:
            ProcessFailed: it ended, or did not get ready in time.
        """
        end = time.monotonic() + seconds
        with httpx2.Client(trust_env=False, timeout=5) as client:
            while True:
                self.check()
                try:
                    if client.get(url).status_code == httpx2.codes.OK:
                        return
                except httpx2.TransportError:
                    pass  # not listening yet
                if time.monotonic() > end:
                    raise ProcessFailed(f"the {self.name} was not ready after {seconds:g} s: {url}", self.tail())
                time.sleep(_POLL_SECONDS)


class ProcessGroup:
    """Starts children and, at the end of the `with` block, ends all of them in reverse order."""

    def __init__(self, interrupts: SignalGuard) -> None:
        self._interrupts = interrupts
        self._children: list[ManagedProcess] = []

    def __enter__(self) -> Self:
        self._interrupts.allow()
        return self

    def __exit__(self, *_: object) -> None:
        self._interrupts.ignore()
        for child in reversed(self._children):
            _signal_group(child.process, signal.SIGTERM)
        for child in reversed(self._children):
            with suppress(subprocess.TimeoutExpired):  # then the group is killed
                child.process.wait(_END_SECONDS)
            _signal_group(child.process, signal.SIGKILL)
            child.process.wait()

    def start(
        self, name: str, command: Sequence[str], *, cwd: Path, log: Path, extra: Mapping[str, str]
    ) -> ManagedProcess:
        """Start `command` in `cwd` with a clean environment and `extra`."""
        environment = {key: os.environ[key] for key in _PASSED_ON if key in os.environ}
        with self._interrupts.deferred(), log.open("wb") as output:
            process = subprocess.Popen(  # noqa: S603 - our own commands
                with_parent_death_signal(command),
                cwd=cwd,
                env={**environment, "PYTHONUNBUFFERED": "1", **extra},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            child = ManagedProcess(name, process, log)
            self._children.append(child)
        return child


def with_parent_death_signal(command: Sequence[str], platform: str = sys.platform) -> list[str]:
    """`command`, so that it dies with this process, where the system offers that: then SIGKILL leaves nothing running.

    `command` must begin with an absolute path.
    """
    if platform != "linux":
        return list(command)
    return [sys.executable, "-E", "-S", _PARENT_DEATH_SIGNAL, str(os.getpid()), *command]


def _signal_group(process: subprocess.Popen[bytes], number: int) -> None:
    """Signal everything the child may have started, too. A group that is gone is fine."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, number)
