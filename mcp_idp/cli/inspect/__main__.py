import sys

try:
    from mcp_idp.cli.inspect.cli import main
    from mcp_idp.observability.logging import configure_logging

    configure_logging("text", "error")  # process-wide, so set here: the library logs each rejection
    sys.exit(main())
except KeyboardInterrupt:  # during imports
    sys.exit(130)
