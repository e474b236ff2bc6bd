"""The whole server as a process of its own, with a provider in it: what it holds in memory can be read from outside."""

from __future__ import annotations

import sys

from mcp_idp.config.settings import Settings
from mcp_idp.http_server.runner import serve
from mcp_idp.observability.logging import configure_logging
from mcp_idp.util.memory_plan import DEFAULT_MAX_MEMORY
from mcp_server.app import create_app
from tests.support.app import FakeClock
from tests.support.fake_issuer import Issuer
from tests.support.raw_http import say


def main() -> int:
    """Serve on a free port; the first lines on standard output are two persons' tokens, the next the URL."""
    issuer = Issuer()
    configure_logging("json", "error")
    for subject in ("4f0c", "7b1d"):
        say(issuer.token(sub=subject))
    settings = Settings(port=0, max_memory=DEFAULT_MAX_MEMORY)
    app = create_app(settings, clock=FakeClock(at=issuer.now).clock, http=issuer.http())
    return serve(app, settings, ready=say)


if __name__ == "__main__":
    sys.exit(main())
