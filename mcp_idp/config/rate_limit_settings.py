"""The settings that limit what one address and one user may do."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mcp_idp.config.env import SettingsError

if TYPE_CHECKING:
    from mcp_idp.config.env import EnvReader

NAMES = (
    "RATE_LIMIT_ADDRESS",
    "RATE_LIMIT_USER",
    "RATE_LIMIT_NEW_TOKENS",
    "RATE_LIMIT_STORAGE",
    "RATE_LIMIT_STORAGE_FILE",
    "MAX_CALLS_PER_USER",
    "MAX_STREAMS_PER_USER",
    "MAX_SESSIONS_PER_USER",
    "MAX_INTROSPECTIONS_PER_ADDRESS",
)
_MAX = 1_000_000
_STORAGE = re.compile(r"(redis|valkey)(s|\+unix)?://\S+", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class RateLimitSettings:
    """Limits of one address and of one user; 0 switches a limit off.

    A user is the subject of one issuer in one client (`user_client_key`). The defaults are far above the normal use of
    people and agents, and far below what slows the server down for others.

    Attributes:
        address_rate: requests per second of one address, counting those without a verified token.
        user_rate: requests per second of one user.
        new_tokens: tokens per second that one user presents for the first time.
        calls_per_user: requests of one user that are being answered.
        streams_per_user: open streams of one user.
        sessions_per_user: open sessions of one user.
        introspections_per_address: introspection calls in progress for tokens of one address.
        storage: the URL of a Redis or Valkey server in which replicas share the limits per second; None if there is
            none. It may contain a password.
    """

    address_rate: int = 100
    user_rate: int = 100
    new_tokens: int = 10
    calls_per_user: int = 100
    streams_per_user: int = 32
    sessions_per_user: int = 64
    introspections_per_address: int = 4
    storage: str | None = field(default=None, repr=False)


NO_LIMITS = RateLimitSettings(
    address_rate=0,
    user_rate=0,
    new_tokens=0,
    calls_per_user=0,
    streams_per_user=0,
    sessions_per_user=0,
    introspections_per_address=0,
)


def read_rate_limits(env: EnvReader) -> RateLimitSettings:
    """Reads the limits from the environment.

    Raises:
        SettingsError: a value cannot work.
    """
    defaults = RateLimitSettings()

    def limit(name: str, default: int) -> int:
        return env.get_int(name, default, minimum=0, maximum=_MAX)

    return RateLimitSettings(
        address_rate=limit("RATE_LIMIT_ADDRESS", defaults.address_rate),
        user_rate=limit("RATE_LIMIT_USER", defaults.user_rate),
        new_tokens=limit("RATE_LIMIT_NEW_TOKENS", defaults.new_tokens),
        calls_per_user=limit("MAX_CALLS_PER_USER", defaults.calls_per_user),
        streams_per_user=limit("MAX_STREAMS_PER_USER", defaults.streams_per_user),
        sessions_per_user=limit("MAX_SESSIONS_PER_USER", defaults.sessions_per_user),
        introspections_per_address=limit("MAX_INTROSPECTIONS_PER_ADDRESS", defaults.introspections_per_address),
        storage=_read_storage(env),
    )


def _read_storage(env: EnvReader) -> str | None:
    """Returns the URL of the shared storage. The error does not repeat it: it may contain a password."""
    url = env.get_secret("RATE_LIMIT_STORAGE", required=True)
    if url is not None and _STORAGE.fullmatch(url) is None:
        raise SettingsError("RATE_LIMIT_STORAGE: write a URL such as redis://valkey:6379/0, rediss:// for TLS")
    return url
