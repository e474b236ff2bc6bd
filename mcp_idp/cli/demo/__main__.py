import sys

try:
    from mcp_idp.cli.demo.cli import main

    sys.exit(main())
except KeyboardInterrupt:  # while modules were being loaded
    sys.exit(130)
