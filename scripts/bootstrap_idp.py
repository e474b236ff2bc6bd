#!/usr/bin/env python3
"""Configures the identity provider: launches `python -m mcp_idp.cli.bootstrap`."""

import runpy
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
runpy.run_module("mcp_idp.cli.bootstrap", run_name="__main__", alter_sys=True)
