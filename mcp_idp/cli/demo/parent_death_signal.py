"""Runs a command that the kernel kills when the demo that started it is gone (Linux only).

Usage: `parent_death_signal.py PARENT_PID COMMAND…`. This covers SIGKILL, which the demo cannot handle. It is a separate
program and not a `preexec_fn`, because little is safe between fork and exec in a process that may have threads.
"""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def main() -> None:
    """Sets the parent death signal and executes the command. If the kernel rejects it, the command runs anyway."""
    parent, *command = sys.argv[1:]
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)  # preserved across exec
    if os.getppid() != int(parent):  # the parent had already exited
        sys.exit(1)
    os.execv(command[0], command)  # noqa: S606 - our own commands


if __name__ == "__main__":
    main()
