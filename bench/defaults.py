"""The settings that everything here is measured with, unless it says otherwise."""

from __future__ import annotations

from pathlib import Path

from mcp_idp.config.settings import Settings

DEFAULTS = Settings(access_file=Path(__file__).parent.parent / "idp-config" / "access.yaml")
