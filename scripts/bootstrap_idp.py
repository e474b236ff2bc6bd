#!/usr/bin/env python3
"""Configures the identity provider: launches `mcp-idp bootstrap` from this checkout."""

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
os.environ["MCP_IDP_LAUNCHER"] = "scripts"  # messages and help name the scripts

from mcp_idp.cli.main import main

sys.exit(main(["bootstrap", *sys.argv[1:]]))
