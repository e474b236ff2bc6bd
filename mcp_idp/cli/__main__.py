"""Runs the command `mcp-idp` from a checkout: `python -m mcp_idp.cli`."""

import sys

from mcp_idp.cli.main import main

sys.exit(main())
