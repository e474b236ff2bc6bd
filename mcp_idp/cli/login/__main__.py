import sys

try:
    from mcp_idp.cli.login.cli import main

    sys.exit(main())
except KeyboardInterrupt:  # while modules were being loaded
    sys.exit(130)
