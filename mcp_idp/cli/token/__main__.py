import sys

try:
    from mcp_idp.cli.token.cli import main

    sys.exit(main())
except KeyboardInterrupt:  # while modules are being loaded
    sys.exit(130)
