"""Run as a script on Linux: becomes the command, which the system then kills when the demo that started it is gone.

`leash.py PARENT COMMAND…`. This is for the one end the demo cannot see coming, SIGKILL. It is a program of its own and
no `preexec_fn`, because little is safe between fork and exec in a process that may have threads.
"""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def main() -> None:
    """Ask to die with the parent, and become the command. Where the system refuses, the command runs all the same."""
    parent, *command = sys.argv[1:]
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)  # stays in force across exec
    if os.getppid() != int(parent):  # it was gone before it could be asked about
        sys.exit(1)
    os.execv(command[0], command)  # noqa: S606 - our own commands


if __name__ == "__main__":
    main()
