"""`python -m mcp_idp.cli.token` is `scripts/inspect`; `scripts/token` is `mcp_idp.cli.token.cli`."""

import sys

try:
    from mcp_idp.cli.inspect.cli import main
    from mcp_idp.observability.logging import configure_logs

    configure_logs("text", "error")  # of the process, so here: the server's code logs each refusal
    sys.exit(main())
except KeyboardInterrupt:  # while modules were being loaded
    sys.exit(130)
