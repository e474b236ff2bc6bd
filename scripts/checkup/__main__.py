import sys

try:
    from mcp_server.logs import configure_logs
    from scripts.checkup.cli import main

    configure_logs("text", "error")  # of the process, so here: the server's code logs each refusal
    sys.exit(main())
except KeyboardInterrupt:  # while modules were being loaded
    sys.exit(130)
