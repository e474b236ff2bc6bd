"""The default settings of all measurements."""

from __future__ import annotations

from pathlib import Path

from mcp_idp.config.rate_limit_settings import RateLimitSettings
from mcp_idp.config.settings import Settings

# Limits that count and that nothing here meets.
_LIMITS = RateLimitSettings(
    address_rate=1_000_000,
    user_rate=1_000_000,
    new_tokens=1_000_000,
    calls_per_user=1_000_000,
    streams_per_user=1_000_000,
    sessions_per_user=0,
)
DEFAULTS = Settings(access_file=Path(__file__).parent.parent / "idp-config" / "access.yaml", limits=_LIMITS)
