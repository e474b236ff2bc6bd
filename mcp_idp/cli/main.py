"""The entry point of the command `mcp-idp`. This module requires the standard library only.

Without the extra `cli` the command ends with exit code 2 and prints how to install it.
"""

from __future__ import annotations

import sys
from importlib.util import find_spec
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

_USAGE_EXIT = 2
_INTERRUPTED_EXIT = 130
_EXTRA = ("click", "rich", "keycloak", "bcrypt")  # the modules of the extra `cli`


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command as the only one of its process.

    Args:
        arguments: The command line without the program name; by default that of the process.

    Returns:
        The exit code.
    """
    missing = [name for name in _EXTRA if find_spec(name) is None]
    if missing:
        print(
            f"mcp-idp: {', '.join(missing)} not installed: pip install 'mcp-idp[cli]' (in a checkout of the stack: "
            "scripts/venv requirements-cli.lock, then .venv/bin/python)",
            file=sys.stderr,
        )
        return _USAGE_EXIT
    try:
        from mcp_idp.cli.subcommands import run  # noqa: PLC0415 - only once the extra is known to be installed
        from mcp_idp.observability.logging import configure_logging  # noqa: PLC0415 - see above

        configure_logging("text", "error")  # process-wide, so set here: the library logs each rejected token
        return run(arguments)
    except KeyboardInterrupt:  # during imports, too
        return _INTERRUPTED_EXIT
