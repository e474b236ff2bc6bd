"""`python -m scripts.tokens` is `scripts/inspect`; `scripts/token` is `scripts.tokens.cli`."""

import sys

try:
    from mcp_server.logs import configure_logs
    from scripts.tokens.inspection import main

    configure_logs("text", "error")  # of the process, so here: the server's code logs each refusal
    sys.exit(main())
except KeyboardInterrupt:  # while modules were being loaded
    sys.exit(130)
