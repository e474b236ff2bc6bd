"""`python -m mcp_server`: settings, application, server.

Exit codes: 0 stopped, 2 something is set so that it cannot work (one line says what to change).
"""

from __future__ import annotations

import os
import sys
import warnings

from mcp.shared.exceptions import MCPDeprecationWarning

from mcp_idp.access.policy import AccessFileError
from mcp_idp.config import load_settings
from mcp_idp.config.env import SettingsError
from mcp_idp.http_server.runner import serve
from mcp_idp.observability.logging import configure_logs
from mcp_server.app import create_app

_CANNOT_WORK = 2


def main() -> int:
    """Serve until told to stop. What to exit with."""
    # The image says so; a file like /.dockerenv is there in development containers too, where localhost may be right.
    in_container = os.environ.get("RUNNING_IN_CONTAINER") == "1"
    # Log notifications are deprecated in MCP 2026-07-28 and what clients of the revisions before show.
    warnings.simplefilter("ignore", MCPDeprecationWarning)
    try:
        settings = load_settings(os.environ, in_container=in_container)
        configure_logs(settings.log_format, settings.log_level)
        app = create_app(settings)
    except (SettingsError, AccessFileError) as error:
        print(f"mcp-server: {error}", file=sys.stderr)  # noqa: T201 - before there is a log, and for a person
        return _CANNOT_WORK
    return serve(app, settings)


if __name__ == "__main__":
    sys.exit(main())
