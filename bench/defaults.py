"""The default settings of all measurements."""

from __future__ import annotations

from pathlib import Path

from mcp_idp.config.settings import Settings

DEFAULTS = Settings(access_file=Path(__file__).parent.parent / "idp-config" / "access.yaml")
