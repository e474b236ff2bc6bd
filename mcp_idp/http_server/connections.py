"""Limits for all connections of a server together: their number, and the bytes of unauthenticated requests.

Until its token is verified, a request cannot be attributed to a user, so the bytes received for such requests are
bounded in total. When a limit is exceeded, one connection is closed, but never one that is serving an authenticated
request:

- Too many bytes: the connection that holds most of them is closed. That is never one whose request arrives in one
  piece.
- Too many connections: the oldest connection on which no token has been verified is closed, because it has had the
  most time to send its request. If there is none, the idle connection with the least recent token verification is
  closed; if none is idle, the new connection.

A connection that is closed without having been answered gets 503 with Retry-After, if its client still reads.
"""

from __future__ import annotations

import resource
from typing import Protocol

# File descriptors for other purposes: listeners, logs, the event loop, connections to the provider.
_OTHER_FILES = 64


class TrackedConnection(Protocol):
    """A connection, as `Connections` uses it.

    Attributes:
        waiting: bytes received for requests that are not authenticated yet.
    """

    waiting: int

    @property
    def is_idle(self) -> bool:
        """Whether it has no request in progress, so that it can be closed without cutting off a response."""

    def shed(self) -> None:
        """Closes the connection because a limit is exceeded."""


class Connections:
    """The connections of one server.

    Args:
        max_connections: maximum number of connections; reduced if the process may not open so many files
            (RLIMIT_NOFILE).
        max_waiting_bytes: maximum bytes of unauthenticated requests in all connections together.
    """

    def __init__(self, max_connections: int, max_waiting_bytes: int) -> None:
        open_files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        self._max_connections = min(max_connections, max(1, open_files - _OTHER_FILES))
        self._max_waiting_bytes = max_waiting_bytes
        self._waiting = 0
        # Connections without a verified token, oldest first; those with one, ordered by the last verification.
        self._unauthenticated: dict[TrackedConnection, None] = {}
        self._authenticated: dict[TrackedConnection, None] = {}
        self._holding: dict[TrackedConnection, None] = {}  # connections with `waiting` bytes

    def add(self, connection: TrackedConnection) -> None:
        """Adds a connection; closes another one, or this one, if there are too many."""
        if len(self._unauthenticated) + len(self._authenticated) >= self._max_connections:
            self._make_room(connection)
        self._unauthenticated[connection] = None

    def remove(self, connection: TrackedConnection) -> None:
        """Removes a connection that is closed or being closed."""
        self.clear_waiting(connection)
        self._unauthenticated.pop(connection, None)
        self._authenticated.pop(connection, None)

    def add_waiting(self, connection: TrackedConnection, size: int) -> None:
        """Counts bytes of an unauthenticated request; closes the largest holders while the total is too high.

        Args:
            connection: the connection that received them.
            size: the number of bytes.
        """
        if connection not in self._unauthenticated and connection not in self._authenticated:
            return
        self._waiting += size
        connection.waiting += size
        self._holding[connection] = None
        while self._waiting > self._max_waiting_bytes:
            _shed(self, max(self._holding, key=lambda holding: holding.waiting))

    def clear_waiting(self, connection: TrackedConnection) -> None:
        """Resets the waiting bytes of a connection, because none of its requests is unauthenticated any more."""
        if connection.waiting:
            self._waiting -= connection.waiting
            connection.waiting = 0
            del self._holding[connection]

    def mark_authenticated(self, connection: TrackedConnection) -> None:
        """Records that a token has been verified on a connection, unless the connection has been removed meanwhile."""
        if connection in self._unauthenticated or connection in self._authenticated:
            self._unauthenticated.pop(connection, None)
            self._authenticated.pop(connection, None)
            self._authenticated[connection] = None

    def _make_room(self, newest: TrackedConnection) -> None:
        victim = next(iter(self._unauthenticated), None) or next((k for k in self._authenticated if k.is_idle), newest)
        _shed(self, victim)


def _shed(connections: Connections, victim: TrackedConnection) -> None:
    connections.remove(victim)
    victim.shed()
