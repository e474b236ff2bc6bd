"""Counts what each user has in progress: calls and streams, in each client and over all clients.

The record of a user remains between requests, because most users send one request after the other. Records of users
with nothing in progress are dropped when there are many.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from mcp_idp.errors import RateLimited
from mcp_idp.principal import user_client_key, user_key
from mcp_idp.util.rate_windows import MAX_KEYS

if TYPE_CHECKING:
    from collections.abc import Hashable

    from mcp_idp.principal import Principal

CLIENTS = 4  # a user has this many times the limits of one client
_TOO_MANY = {
    "calls": "This user has too many requests in progress. Retry when one has ended.",
    "streams": "This user has too many open streams. Close one first.",
}


class Usage:
    """What a user has in progress in one client.

    Attributes:
        key: identifies the user and the client. A string, because Python computes its hash only once.
        calls: requests in progress, without streams.
        streams: open streams.
        in_all: the same over all clients of the user; the record itself, if it counts these.
    """

    __slots__ = ("calls", "in_all", "key", "streams")

    def __init__(self, key: Hashable, in_all: Usage | None = None) -> None:
        self.key = json.dumps(key)
        self.calls = 0
        self.streams = 0
        self.in_all = in_all or self


class UsageLimits:
    """Limits the calls and streams of each user.

    Args:
        calls: maximum calls of a user in one client; 0 for no limit.
        streams: maximum streams of a user in one client; 0 for no limit.
        max_idle: how many records may exist before those without calls and streams are dropped.
    """

    def __init__(self, calls: int, streams: int, *, max_idle: int = MAX_KEYS) -> None:
        self._max_idle = max_idle
        self._calls = calls
        self._streams = streams
        self._by_client: dict[Hashable, Usage] = {}
        self._by_user: dict[Hashable, Usage] = {}

    def __len__(self) -> int:
        return len(self._by_client) + len(self._by_user)

    def of(self, principal: Principal) -> Usage:
        """Returns the record of a user. It must be used at once, because idle records may be dropped."""
        key = user_client_key(principal)
        usage = self._by_client.get(key)
        if usage is None:
            if len(self._by_client) >= self._max_idle:
                self._drop_idle()
            user = user_key(principal)
            in_all = self._by_user.get(user)
            if in_all is None:
                in_all = self._by_user[user] = Usage(user)
            usage = self._by_client[key] = Usage(key, in_all)
        return usage

    def begin_call(self, usage: Usage) -> None:
        """Counts a call; needs an `end_call`.

        Raises:
            RateLimited: the user has reached the limit.
        """
        in_all = usage.in_all
        if self._calls and (usage.calls >= self._calls or in_all.calls >= self._calls * CLIENTS):
            raise _error("calls", self._calls, in_client=usage.calls >= self._calls)
        usage.calls += 1
        in_all.calls += 1

    def begin_stream(self, usage: Usage) -> None:
        """Counts a stream; needs an `end_stream`.

        Raises:
            RateLimited: the user has reached the limit.
        """
        in_all = usage.in_all
        if self._streams and (usage.streams >= self._streams or in_all.streams >= self._streams * CLIENTS):
            raise _error("streams", self._streams, in_client=usage.streams >= self._streams)
        usage.streams += 1
        in_all.streams += 1

    @staticmethod
    def end_call(usage: Usage) -> None:
        """Ends a call."""
        usage.calls -= 1
        usage.in_all.calls -= 1

    @staticmethod
    def end_stream(usage: Usage) -> None:
        """Ends a stream."""
        usage.streams -= 1
        usage.in_all.streams -= 1

    def _drop_idle(self) -> None:
        for records in (self._by_client, self._by_user):
            for key in [key for key, usage in records.items() if not usage.calls and not usage.streams]:
                del records[key]


def _error(what: str, quota: int, *, in_client: bool) -> RateLimited:
    name, quota = (what, quota) if in_client else (f"{what}-in-all-clients", quota * CLIENTS)
    fields = (
        (b"ratelimit-policy", f'"{name}";q={quota};qu="concurrent-requests"'.encode("ascii")),
        (b"ratelimit", f'"{name}";r=0'.encode("ascii")),
    )
    return RateLimited(_TOO_MANY[what], fields=fields, limit=name)
