import sys

try:
    from mcp_idp.cli.demo.cli import main

    sys.exit(main())
except KeyboardInterrupt:  # during imports
    sys.exit(130)
