import sys

try:
    from mcp_idp.cli.doctor.cli import main
    from mcp_idp.observability.logging import configure_logging

    configure_logging("text", "error")  # process-wide, so set here: the server's code logs each rejection
    sys.exit(main())
except KeyboardInterrupt:  # during imports
    sys.exit(130)
