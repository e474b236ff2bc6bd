"""All connections of a server: how many there may be, and how much may wait in them for a verified token.

Before a token is verified nobody knows whose request it is, so what arrives is bounded for all together. Over a bound
somebody has to go, and it is never the request of a person that is being served:

- too many bytes wait: the connection that holds most of them goes. A request that comes whole is never that one;
- too many connections: the oldest on which no token was ever verified goes. It had longest to send its request. After
  those the one goes, of the idle ones, on which a token was verified longest ago; where none is idle, the new one.

Every connection that goes without having been answered is told 503 with Retry-After, as far as its client still reads.
"""

from __future__ import annotations

import resource
from typing import Protocol

# Files that are open besides connections: listeners, logs, the event loop's own, connections to the provider.
_OTHER_FILES = 64


class Crowded(Protocol):
    """A connection, as far as it matters here.

    Attributes:
        waiting: bytes that arrived for requests that were not let in yet.
        is_idle: no request of it is being answered.
    """

    waiting: int

    @property
    def is_idle(self) -> bool:
        """Whether it may end without cutting anything off."""

    def shed(self) -> None:
        """End it."""


class Connections:
    """Those of one server.

    Args:
        most: how many there may be; fewer where the process may not open so many files.
        most_waiting: bytes that may wait in all of them.
    """

    def __init__(self, most: int, most_waiting: int) -> None:
        self._most = min(most, max(1, resource.getrlimit(resource.RLIMIT_NOFILE)[0] - _OTHER_FILES))
        self._most_waiting = most_waiting
        self._waiting = 0
        # In the order in which they came, or were last let in.
        self._strangers: dict[Crowded, None] = {}
        self._known: dict[Crowded, None] = {}
        self._holding: dict[Crowded, None] = {}  # those in which something waits

    def add(self, connection: Crowded) -> None:
        """One more; another may have to go for it."""
        if len(self._strangers) + len(self._known) >= self._most:
            self._make_room(connection)
        self._strangers[connection] = None

    def remove(self, connection: Crowded) -> None:
        """It has ended, or is being ended."""
        self.settled(connection)
        self._strangers.pop(connection, None)
        self._known.pop(connection, None)

    def arrived(self, connection: Crowded, size: int) -> None:
        """Bytes wait in it; whoever holds most may have to go for them."""
        self._waiting += size
        connection.waiting += size
        self._holding[connection] = None
        while self._waiting > self._most_waiting:
            _shed(self, max(self._holding, key=lambda holding: holding.waiting))

    def settled(self, connection: Crowded) -> None:
        """Nothing waits in it any more."""
        if connection.waiting:
            self._waiting -= connection.waiting
            connection.waiting = 0
            del self._holding[connection]

    def let_in(self, connection: Crowded) -> None:
        """A token was verified on it."""
        self._strangers.pop(connection, None)
        self._known.pop(connection, None)
        self._known[connection] = None

    def _make_room(self, newest: Crowded) -> None:
        victim = next(iter(self._strangers), None) or next((k for k in self._known if k.is_idle), newest)
        _shed(self, victim)


def _shed(connections: Connections, victim: Crowded) -> None:
    connections.remove(victim)
    victim.shed()
