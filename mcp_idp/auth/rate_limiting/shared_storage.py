"""Shares the limits by time among replicas, through a Redis or Valkey server (RATE_LIMIT_STORAGE).

Each replica decides with its own counters, so no request waits for the storage. Ten times a second, and at once for a
new key, it adds its new requests to the counters in the storage and reads the totals of all replicas. So a limit
applies to all replicas together, except for requests that arrive at several of them within a tenth of a second; these
reduce what the next window admits. Keys that have used only a small part of a limit are not shared.

While the storage is unavailable, each replica counts by itself and rejects no request because of it. The log has this
once. The storage holds hashes of the keys, never an address, a user or a client.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from contextlib import suppress
from typing import TYPE_CHECKING

import structlog

from mcp_idp.config.env import SettingsError

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable

    from limits.aio.storage import Storage

    from mcp_idp.auth.rate_limiting.limits import RequestLimit

log = structlog.get_logger(__name__)
INTERVAL_SECONDS = 0.1
_PAUSE_SECONDS = 0.01  # minimum between two exchanges
RETRY_SECONDS = 1.0
_TIMEOUT_SECONDS = 1.0  # for a connection, and for a response
_ROUND_SECONDS = 2.0
_UNSHARED_PART = 20  # keys that have used less than this part of a limit are not shared
_KEYS_PER_ROUND = 200  # of each limit: those with the most requests
_CONNECTIONS = 4
_STORED_WINDOWS = 3


def open_storage(url: str, resource: str) -> Storage:
    """Returns the storage; connects on the first use.

    Args:
        url: the URL of the server.
        resource: the identifier of the protected resource; servers of different resources do not share limits.

    Raises:
        SettingsError: the packages for it are not installed, or the URL is not one.
    """
    try:
        import redis  # noqa: F401, PLC0415 - an optional extra, which `limits` imports
        from limits.aio.storage import RedisStorage  # noqa: PLC0415 - an optional extra
        from limits.errors import ConfigurationError  # noqa: PLC0415 - an optional extra
    except ImportError as error:
        raise SettingsError(
            "RATE_LIMIT_STORAGE: needs the packages limits and redis: install the extra `redis`"
        ) from error
    # Redis and Valkey have the same protocol, so the client library for Redis serves both.
    scheme, _, rest = url.partition("://")
    try:
        return RedisStorage(
            f"async+{scheme.replace('valkey', 'redis', 1)}://{rest}",
            implementation="redispy",
            key_prefix=f"mcp-idp:{_digest(resource)}",
            socket_timeout=_TIMEOUT_SECONDS,
            socket_connect_timeout=_TIMEOUT_SECONDS,
        )
    except (ConfigurationError, ValueError):  # its text may repeat the URL, and so the password
        raise SettingsError(
            "RATE_LIMIT_STORAGE: write a URL with host and port, such as redis://valkey:6379/0"
        ) from None


class SharedLimits:
    """Synchronizes the counters of some limits with those of other replicas.

    Args:
        storage: the storage.
        limits: the limits. Those that are switched off are left out.
    """

    def __init__(self, storage: Storage, limits: Iterable[RequestLimit]) -> None:
        self._storage = storage
        self._limits = [limit for limit in limits if limit.windows.limit]
        self._connections = asyncio.Semaphore(_CONNECTIONS)
        # By limit: the current window, and the keys whose total in the previous window has been read too.
        self._seen: dict[str, tuple[int, set[Hashable]]] = {}
        self._is_unavailable = False
        self._has_new_keys = asyncio.Event()
        for limit in self._limits:
            limit.windows.share(max(1, limit.windows.limit // _UNSHARED_PART), self._has_new_keys.set)

    async def run(self) -> None:
        """Exchanges the counters until it is cancelled."""
        while True:
            self._has_new_keys.clear()
            await self.exchange()
            if self._is_unavailable:
                await asyncio.sleep(RETRY_SECONDS)
                continue
            await asyncio.sleep(_PAUSE_SECONDS)
            with suppress(TimeoutError):
                async with asyncio.timeout(INTERVAL_SECONDS):
                    await self._has_new_keys.wait()

    async def close(self) -> None:
        """Closes the connections to the storage."""
        bridge = getattr(self._storage, "bridge", None)  # of Redis; other storages have no connections
        if bridge is not None:
            await bridge.get_connection().aclose()

    async def exchange(self) -> None:
        """Exchanges the counters once. A failure is logged, once until the storage is back."""
        try:
            async with asyncio.timeout(_ROUND_SECONDS):
                if self._is_unavailable:
                    await self._storage.get("back")
                await asyncio.gather(*(self._exchange_limit(limit) for limit in self._limits))
        except Exception as error:  # noqa: BLE001 - whatever it is, requests are served without the storage
            if not self._is_unavailable:
                hint = "replicas do not share their limits until it is back"
                log.warning("rate_limit_storage_unavailable", error=type(error).__name__, hint=hint)
            self._is_unavailable = True
        else:
            if self._is_unavailable:
                log.info("rate_limit_storage_available")
            self._is_unavailable = False

    async def _exchange_limit(self, limit: RequestLimit) -> None:
        windows = limit.windows
        index, counts = windows.take_unshared(_KEYS_PER_ROUND)
        seen_index, seen = self._seen.get(limit.name, (index, set()))
        if seen_index != index:
            seen = set()
        self._seen[limit.name] = index, seen
        await asyncio.gather(
            *(self._exchange_key(limit, key, index, count, is_new=key not in seen) for key, count in counts.items())
        )
        seen.update(counts)

    async def _exchange_key(self, limit: RequestLimit, key: Hashable, index: int, count: int, *, is_new: bool) -> None:
        windows = limit.windows
        name = f"{limit.name}:{_digest(key)}"
        async with self._connections:
            total = await self._storage.incr(f"{name}:{index}", int(_STORED_WINDOWS * windows.window), count)
            windows.merge(key, index, total)
            if is_new:
                windows.merge(key, index - 1, await self._storage.get(f"{name}:{index - 1}"))


def _digest(key: Hashable) -> str:
    return hashlib.sha256(json.dumps(key).encode()).hexdigest()[:32]
