import sys

try:
    from mcp_idp.cli.inspect.cli import main
    from mcp_idp.observability.logging import configure_logging

    configure_logging("text", "error")  # of the process, so here: the library logs each rejection
    sys.exit(main())
except KeyboardInterrupt:  # while modules are being loaded
    sys.exit(130)
