"""Starts and stops the two processes of the demo, so that none is left running.

Each child leads its own process group. Ctrl-C therefore reaches only the demo, which then stops the groups in order.
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
# Variables that are passed to children. Others are dropped: a setting of another deployment would change the demo.
_PASSED_ON = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "TZ", "PYTHONDONTWRITEBYTECODE", "SYSTEMROOT")
_PARENT_DEATH_SIGNAL = str(Path(__file__).with_name("parent_death_signal.py"))


class ProcessFailed(Exception):
    """A child process exited unexpectedly or did not become ready.

    Args:
        message: What happened.
        tail: The last lines of its output.
    """

    def __init__(self, message: str, tail: str) -> None:
        super().__init__(message)
        self.tail = tail


class SignalGuard:
    """Turns SIGINT, SIGTERM and SIGHUP into KeyboardInterrupt, except while a child is being started or stopped.

    Signals are only recorded until the first `allow()`, which is called once cleanup is guaranteed.

    Attributes:
        signal: The last signal received, or None.
    """

    def __init__(self) -> None:
        self.signal: int | None = None
        self._deferred_count = 1
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            if number != signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN:  # ignored under nohup
                signal.signal(number, self._handle_signal)

    def allow(self) -> None:
        """Allows interrupts from now on; raises KeyboardInterrupt if a signal is pending."""
        self._deferred_count -= 1
        if self.signal is not None and not self._deferred_count:
            raise KeyboardInterrupt

    @contextmanager
    def deferred(self) -> Iterator[None]:
        """Defers interrupts during the `with` block; a pending signal is raised at its end."""
        self._deferred_count += 1
        try:
            yield
        finally:
            self.allow()

    def ignore(self) -> None:
        """Only records signals from now on, so that cleanup is not interrupted."""
        self._deferred_count += 1

    def _handle_signal(self, number: int, _frame: FrameType | None) -> None:
        self.signal = number
        if not self._deferred_count:
            raise KeyboardInterrupt


@dataclass(slots=True)
class ManagedProcess:
    """A child process.

    Attributes:
        name: Its name in messages.
        process: The process.
        log: The file that receives its output.
    """

    name: str
    process: subprocess.Popen[bytes]
    log: Path

    def tail(self) -> str:
        """Returns the last 25 lines of output, without colors and control characters."""
        lines = self.log.read_text(encoding="utf-8", errors="replace").splitlines()[-_TAIL_LINES:]
        return "\n".join("".join(c for c in _COLOUR.sub("", line) if c.isprintable()) for line in lines)

    def check(self) -> None:
        """Checks that the process is running.

        Raises:
            ProcessFailed: It has exited.
        """
        code = self.process.poll()
        if code is not None:
            raise ProcessFailed(f"the {self.name} exited unexpectedly (exit code {code})", self.tail())

    def wait_until_ready(self, url: str, seconds: float) -> None:
        """Polls `url` until it returns 200.

        Args:
            url: A health or metadata URL of the process.
            seconds: The timeout.

        Raises:
            ProcessFailed: The process exited, or was not ready in time.
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
    """Starts child processes, and stops them in reverse order at the end of the `with` block.

    Args:
        interrupts: Defers signals while a child is started or stopped.
    """

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
            with suppress(subprocess.TimeoutExpired):  # the group is killed next
                child.process.wait(_END_SECONDS)
            _signal_group(child.process, signal.SIGKILL)
            child.process.wait()

    def start(
        self, name: str, command: Sequence[str], *, cwd: Path, log: Path, extra: Mapping[str, str]
    ) -> ManagedProcess:
        """Starts a child process with a minimal environment.

        Args:
            name: Its name in messages.
            command: The command; it must begin with an absolute path.
            cwd: The working directory.
            log: The file for its output, which is overwritten.
            extra: Environment variables in addition to the minimal ones.
        """
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
    """Returns a command line that runs `command` so that it dies with this process, even after SIGKILL.

    This works on Linux only; on other platforms `command` is returned unchanged.

    Args:
        command: The command; it must begin with an absolute path.
        platform: As in `sys.platform`.
    """
    if platform != "linux":
        return list(command)
    return [sys.executable, "-E", "-S", _PARENT_DEATH_SIGNAL, str(os.getpid()), *command]


def _signal_group(process: subprocess.Popen[bytes], number: int) -> None:
    """Sends a signal to the whole process group of `process`. A group that no longer exists is ignored."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, number)
