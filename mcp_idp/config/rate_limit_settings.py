"""The settings that limit what one address and one user may do."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mcp_idp.config.env import SettingsError
from mcp_idp.config.setting_declaration import setting, whole_number

if TYPE_CHECKING:
    from mcp_idp.config.env import EnvReader

_LIMIT = whole_number(0, 1_000_000)
_STORAGE = re.compile(r"(redis|valkey)(s|\+unix)?://\S+", re.ASCII)


def _read_storage(env: EnvReader, name: str) -> str | None:
    """Returns the URL of the shared storage. The error does not repeat it: it may contain a password."""
    url = env.get_secret(name, required=True)
    if url is not None and _STORAGE.fullmatch(url) is None:
        raise SettingsError(f"{name}: write a URL such as redis://valkey:6379/0, rediss:// for TLS")
    return url


@dataclass(frozen=True, slots=True, kw_only=True)
class RateLimitSettings:
    """Limits of one address and of one user; 0 switches a limit off.

    A user is the subject of one issuer in one client (`user_client_key`). The defaults are far above the normal use of
    people and agents, and far below what slows the server down for others.
    """

    address_rate: int = setting(
        "RATE_LIMIT_ADDRESS",
        _LIMIT,
        "100",
        text=(
            "Limits on requests per second, averaged over ten seconds; 0 switches one off. They are far above the "
            "normal use of people and agents. Above a limit the response is 429 with Retry-After. RATE_LIMIT_ADDRESS "
            "limits the requests of one address (for IPv6, one /64) without a token that was verified before, "
            "RATE_LIMIT_USER the requests of one user in one client, and RATE_LIMIT_NEW_TOKENS the tokens that one "
            "user presents for the first time."
        ),
    )
    user_rate: int = setting(
        "RATE_LIMIT_USER",
        _LIMIT,
        "100",
    )
    new_tokens: int = setting(
        "RATE_LIMIT_NEW_TOKENS",
        _LIMIT,
        "10",
    )
    calls_per_user: int = setting(
        "MAX_CALLS_PER_USER",
        _LIMIT,
        "100",
        text=(
            "Limits on what is open at the same time: requests in progress, streams and sessions of one user (a "
            "further session ends the least recently used one), and in introspection mode calls to the provider about "
            "tokens of one address."
        ),
    )
    streams_per_user: int = setting(
        "MAX_STREAMS_PER_USER",
        _LIMIT,
        "32",
    )
    sessions_per_user: int = setting(
        "MAX_SESSIONS_PER_USER",
        _LIMIT,
        "64",
    )
    introspections_per_address: int = setting(
        "MAX_INTROSPECTIONS_PER_ADDRESS",
        _LIMIT,
        "4",
    )
    storage: str | None = setting(
        "RATE_LIMIT_STORAGE",
        _read_storage,
        example="redis://valkey:6379/0",
        file_example="/run/secrets/rate-limit-storage",
        in_repr=False,
        text=(
            "The URL of a Redis or Valkey server in which several replicas share the limits per second; or a file "
            "with that URL, which may contain a password. While it is unavailable each replica counts by itself. "
            "Requires the extra `redis`; the image contains it."
        ),
    )


NO_LIMITS = RateLimitSettings(
    address_rate=0,
    user_rate=0,
    new_tokens=0,
    calls_per_user=0,
    streams_per_user=0,
    sessions_per_user=0,
    introspections_per_address=0,
)
