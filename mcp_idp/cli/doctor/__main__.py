import sys

try:
    from mcp_idp.cli.doctor.cli import main
    from mcp_idp.observability.logging import configure_logging

    configure_logging("text", "error")  # of the process, so here: the server's code logs each refusal
    sys.exit(main())
except KeyboardInterrupt:  # while modules were being loaded
    sys.exit(130)
