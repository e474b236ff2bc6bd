"""The whole server with a provider in a separate process, so that its memory use can be measured."""

from __future__ import annotations

import sys

from mcp_idp.config.rate_limit_settings import NO_LIMITS
from mcp_idp.config.settings import Settings
from mcp_idp.http_server.runner import serve
from mcp_idp.observability.logging import configure_logging
from mcp_idp.testing.issuer import Issuer
from mcp_idp.util.memory_plan import DEFAULT_MAX_MEMORY
from mcp_server.app import create_app
from tests.support.app import FakeClock
from tests.support.raw_http import report


def main() -> int:
    """Serves on a free port; prints the tokens of two users on the first lines, then the URL."""
    issuer = Issuer()
    configure_logging("json", "error")
    for subject in ("4f0c", "7b1d"):
        report(issuer.token(sub=subject))
    # Without rate limits: the memory must suffice however fast requests arrive, and all clients here have one address.
    settings = Settings(port=0, max_memory=DEFAULT_MAX_MEMORY, limits=NO_LIMITS)
    app = create_app(settings, clock=FakeClock(at=issuer.now).clock, http=issuer.http())
    return serve(app, settings, ready=report)


if __name__ == "__main__":
    sys.exit(main())
