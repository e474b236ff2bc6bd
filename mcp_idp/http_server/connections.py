"""Limits for all connections of a server together: their number, and the bytes that they hold.

Each connection belongs to a holder: the user whose token was last verified on it or, until then, the address of its
client (IPv6: its /64 network). When a limit is exceeded, connections are closed, but never one that is serving an
authenticated request:

- Too many connections. Unknown addresses are those without a verified token in the last minute. If they have more
  than an eighth of all connections, the unknown address with the most connections loses one. Otherwise the user or
  known address with the most connections loses one. So neither unknown addresses nor a single user can exclude all
  others. A user loses the idle connection with the least recent verification. An address loses its oldest connection,
  which has had the most time to send its request: the newest one may belong to a user who shares the address and needs
  it for a millisecond.
- Too many bytes received for requests that are not authenticated yet: the holder of most of them loses the connections
  that hold most, until an eighth of the limit is free. Those are never ones whose request arrives in one piece. If a
  response to an authenticated request is in progress there, only the requests that wait behind it are dropped.
- Too many bytes that clients do not read: likewise.

A connection that is closed before it got a response gets 503 with Retry-After, if its client still reads.
"""

from __future__ import annotations

import resource
import time
from collections import OrderedDict
from dataclasses import dataclass, field
from heapq import nlargest
from operator import attrgetter
from typing import TYPE_CHECKING, Protocol

from mcp_idp.http_server.connection_log import ConnectionLog
from mcp_idp.util.addresses import address_group

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Hashable, Iterable, Iterator

# File descriptors for other purposes: listeners, logs, the event loop, connections to the provider.
_OTHER_FILES = 64
_UNKNOWN_PART = 8
_RECENT_SECONDS = 60.0
_MAX_RECENT_ADDRESSES = 4096
_SWEEP_SECONDS = 1.0
_FREED_PART = 8


class TrackedConnection(Protocol):
    """A connection, as `Connections` uses it.

    Attributes:
        waiting: bytes received for requests that are not authenticated yet.
        unsent: bytes of responses that the client has not read, as of the last measurement.
    """

    waiting: int
    unsent: int

    @property
    def host(self) -> str:
        """The IP address of the client; "" if it has none."""

    @property
    def is_idle(self) -> bool:
        """Whether it has no request in progress, so that closing it interrupts no response."""

    def measure_unsent(self) -> int:
        """Returns the bytes of responses that the client has not read."""

    def shed(self) -> bool:
        """Closes the connection because a limit is exceeded.

        Returns:
            False if an authenticated request is being served: the connection then ends after its response.
        """

    def cut(self) -> None:
        """Closes the connection at once, whatever is in progress, because its client does not read."""


@dataclass(eq=False, slots=True)
class _Holder:
    """A user or an address, and its connections; those of a user are ordered by the last verification."""

    key: Hashable
    is_user: bool
    connections: dict[TrackedConnection, None] = field(default_factory=dict)
    waiting: int = 0
    unsent: int = 0


class Connections:
    """The connections of one server.

    Args:
        max_connections: maximum number of connections; reduced if the process may not open so many files
            (RLIMIT_NOFILE).
        max_waiting_bytes: maximum bytes of unauthenticated requests in all connections together.
        max_unsent_bytes: maximum bytes of responses that clients have not read, in all connections together.
        monotonic: returns the time in seconds, on a monotonic clock.
        log: reports the numbers of its events while there are connections.
    """

    def __init__(
        self,
        max_connections: int,
        max_waiting_bytes: int,
        max_unsent_bytes: int,
        monotonic: Callable[[], float] = time.monotonic,
        log: ConnectionLog | None = None,
    ) -> None:
        self.max_connections = min(
            max_connections, max(1, resource.getrlimit(resource.RLIMIT_NOFILE)[0] - _OTHER_FILES)
        )
        self.max_waiting_bytes = max_waiting_bytes
        self.max_unsent_bytes = max_unsent_bytes
        self.waiting = 0
        self.unsent = 0
        self._monotonic = monotonic
        self._log = log or ConnectionLog(monotonic)
        self._holder_of: dict[TrackedConnection, _Holder] = {}
        self._holders: dict[Hashable, _Holder] = {}
        self._measuring: asyncio.TimerHandle | None = None
        # When a token was last verified, by address; least recent first.
        self._recent: OrderedDict[str, float] = OrderedDict()

    def __len__(self) -> int:
        return len(self._holder_of)

    def usage(self) -> dict[str, int]:
        """Returns how many percent of each limit are used."""
        return {
            "connections": 100 * len(self) // self.max_connections,
            "unauthenticated_requests": 100 * self.waiting // self.max_waiting_bytes,
            "unread_responses": 100 * self.unsent // self.max_unsent_bytes,
        }

    def add(self, connection: TrackedConnection) -> None:
        """Adds a connection; closes another one, or this one, if there are too many."""
        self._move(connection, ("address", address_group(connection.host)), is_user=False)
        if len(self._holder_of) > self.max_connections:
            self._make_room(connection)

    def remove(self, connection: TrackedConnection) -> None:
        """Removes a connection that is closed or being closed."""
        holder = self._holder_of.pop(connection, None)
        if holder is not None:
            self._count(holder, connection, -1)
            del holder.connections[connection]
            self._drop_if_empty(holder)
        connection.waiting = connection.unsent = 0

    def owner_of(self, connection: TrackedConnection) -> Hashable:
        """Returns the user or address to whom a connection is charged; None if it has been removed."""
        holder = self._holder_of.get(connection)
        return holder.key if holder else None

    def add_waiting(self, connection: TrackedConnection, size: int) -> None:
        """Counts bytes of an unauthenticated request; closes the largest holders while the total is too high.

        Args:
            connection: the connection that received them.
            size: the number of bytes.
        """
        holder = self._holder_of.get(connection)
        if holder is None:
            return
        self.waiting += size
        holder.waiting += size
        connection.waiting += size
        if self.waiting > self.max_waiting_bytes:
            for victim in self._largest("waiting", self.max_waiting_bytes):
                if victim.shed():
                    self.remove(victim)
                else:
                    self.clear_waiting(victim)

    def clear_waiting(self, connection: TrackedConnection) -> None:
        """Resets the waiting bytes of a connection, because none of its requests is unauthenticated any more."""
        if connection.waiting:
            self.waiting -= connection.waiting
            self._holder_of[connection].waiting -= connection.waiting
            connection.waiting = 0

    def mark_authenticated(self, connection: TrackedConnection, user: Hashable) -> None:
        """Records that a token has been verified on a connection, unless the connection has been removed meanwhile.

        Args:
            connection: the connection.
            user: the user of the token.
        """
        if connection in self._holder_of:
            address = address_group(connection.host)
            self._recent[address] = self._monotonic()
            self._recent.move_to_end(address)
            if len(self._recent) > _MAX_RECENT_ADDRESSES:
                self._recent.popitem(last=False)
            self._move(connection, ("user", user), is_user=True)

    def update_unsent(self, connection: TrackedConnection) -> None:
        """Measures the unread bytes of a connection; closes the largest holders while the total is too high."""
        if connection in self._holder_of:
            self._measure(connection)
            self._bound_unsent()

    def keep_measuring(self, loop: asyncio.AbstractEventLoop) -> None:
        """Calls `sweep` every second while there are connections: the kernel does not say when a client reads."""
        if self._measuring is None:
            self._measuring = loop.call_later(_SWEEP_SECONDS, self._measure_all, loop)

    def _measure_all(self, loop: asyncio.AbstractEventLoop) -> None:
        self.sweep()
        self._measuring = None
        self._log.report_repeated(is_last=not self._holder_of)
        if self._holder_of:
            self.keep_measuring(loop)

    def sweep(self) -> None:
        """Measures the unread bytes of all connections; closes the largest holders while the total is too high."""
        for connection in self._holder_of:
            self._measure(connection)
        self._bound_unsent()

    def _measure(self, connection: TrackedConnection) -> None:
        more = connection.measure_unsent() - connection.unsent
        connection.unsent += more
        self._holder_of[connection].unsent += more
        self.unsent += more

    def _bound_unsent(self) -> None:
        if self.unsent > self.max_unsent_bytes:
            for victim in self._largest("unsent", self.max_unsent_bytes):
                self.remove(victim)
                victim.cut()

    def _largest(self, attribute: str, limit: int) -> Iterator[TrackedConnection]:
        """Yields connections of the largest holders, the largest first, until an eighth below the limit is reached.

        The search takes time for each connection of the server, so it must not be necessary for each closed one.

        Args:
            attribute: `waiting` or `unsent`; the caller clears it for each connection.
            limit: the limit on the sum.
        """
        size = attrgetter(attribute)
        enough = limit - limit // _FREED_PART
        while size(self) > enough:
            largest, *next_ = nlargest(2, self._holders.values(), key=size)
            below = size(next_[0]) if next_ else 0
            for victim in sorted(largest.connections, key=size, reverse=True):
                yield victim
                if size(self) <= enough or size(largest) < below:
                    break

    def _move(self, connection: TrackedConnection, key: Hashable, *, is_user: bool) -> None:
        before = self._holder_of.get(connection)
        if before is not None:
            self._count(before, connection, -1)
            del before.connections[connection]
        holder = self._holders.get(key)
        if holder is None:
            holder = self._holders[key] = _Holder(key, is_user)
        holder.connections[connection] = None
        self._holder_of[connection] = holder
        self._count(holder, connection, 1)
        if before is not None:
            self._drop_if_empty(before)

    def _count(self, holder: _Holder, connection: TrackedConnection, sign: int) -> None:
        for total in (self, holder):
            total.waiting += sign * connection.waiting
            total.unsent += sign * connection.unsent

    def _drop_if_empty(self, holder: _Holder) -> None:
        if not holder.connections:
            del self._holders[holder.key]

    def _make_room(self, newest: TrackedConnection) -> None:
        unknown, others = self._unknown_and_others()
        count = sum(len(holder.connections) for holder in unknown)
        groups = (unknown, others) if count > max(1, self.max_connections // _UNKNOWN_PART) else (others, unknown)
        victim = next((found for group in groups if (found := _idle_of_largest(group)) is not None), newest)
        self.remove(victim)
        victim.shed()

    def _unknown_and_others(self) -> tuple[list[_Holder], list[_Holder]]:
        oldest = self._monotonic() - _RECENT_SECONDS
        while self._recent and next(iter(self._recent.values())) < oldest:
            self._recent.popitem(last=False)
        known = {("address", address) for address in self._recent}
        unknown: list[_Holder] = []
        others: list[_Holder] = []
        for holder in self._holders.values():
            (others if holder.is_user or holder.key in known else unknown).append(holder)
        return unknown, others


def _idle_of_largest(holders: Iterable[_Holder]) -> TrackedConnection | None:
    """Returns the connection to close: of the holder with the most, or of a smaller one if all of those are in use."""
    for holder in sorted(holders, key=lambda each: len(each.connections), reverse=True):
        if not holder.is_user:
            return next(iter(holder.connections))
        idle = next((connection for connection in holder.connections if connection.is_idle), None)
        if idle is not None:
            return idle
    return None
