"""Runs the server: `python -m mcp_server`.

Exit codes: 0 if it was stopped, 1 if it had to be stopped by force, 2 if the configuration cannot work (one line on
standard error says what to change), 3 if the application did not start.
"""

from __future__ import annotations

import sys

from mcp_idp import run
from mcp_server.app import create_app


def main() -> int:
    """Runs the server until it is stopped.

    Returns:
        The exit code of the process.
    """
    return run(create_app)


if __name__ == "__main__":
    sys.exit(main())
