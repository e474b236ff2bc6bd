"""What requests may hold in memory, all together and each person: the bounds follow from what the container has.

```
256 MiB  the container, in every compose file
 90      the server at rest
 64      requests that were let in, shared by the people who send them (`Budget`)
 30      one message while it is parsed: for a moment only, and one at a time
 40      connections: themselves, and what arrived for requests that were not let in yet (`mcp_server.connections`)
```
Sizes are what was measured at the peak, not what was sent: an empty object takes two bytes on the wire.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mcp_server.errors import ServerFull, TooManyRequests

if TYPE_CHECKING:
    from collections.abc import Hashable
    from types import TracebackType

    from mcp_server.principal import Principal

LET_IN = "mcp_server.let_in"
"""Where the extensions of an ASGI scope have what is called once a request's token is verified; gives a size in bytes."""
MAX_HELD_BYTES = 76 * 1024 * 1024
# Whatever it is: its task, its connection, a stream if it is one.
REQUEST_BYTES = 56 * 1024
# A byte of the body: the body itself, the text, and what the SDK reads again. Where one character of a text is none of
# Latin-1, Python keeps all of it in two or four bytes each (PEP 393).
BYTE_COST, WIDE_BYTE_COST = 5, 14
# An object or an array, by us and by the SDK.
VALUE_COST = 176
# How many times what is left free one person may hold: alone nearly all, and something is left for whoever comes.
_TIMES_THE_FREE = 8


class Budget:
    """Shares memory between people, so that nobody's requests keep out another's.

    A person may hold up to eight times what is free. One person alone holds eight ninths of it all, two hold eight
    seventeenths each; there is always a rest for others. It is the rule of dynamic thresholds for shared buffers:
    Choudhury and Hahne, IEEE/ACM Transactions on Networking 6(2), 1998.

    Args:
        total: bytes that all requests may hold.
    """

    def __init__(self, total: int = MAX_HELD_BYTES) -> None:
        self._total = total
        self._held = 0
        self._held_by: dict[Hashable, int] = {}

    def share(self) -> Share:
        """What one request holds: nothing yet."""
        return Share(self)

    def take(self, owner: Hashable, size: int, own: int) -> None:
        """Let `owner` hold `size` bytes more, for a request that holds `own` already.

        Raises:
            TooManyRequests: without the person's other requests it could.
            ServerFull: it could not.
        """
        before = self._held_by.get(owner, 0)
        held, mine = self._held + size, before + size
        if mine > _TIMES_THE_FREE * (self._total - held):
            others = before - own
            if others and mine - others <= _TIMES_THE_FREE * (self._total - held + others):
                raise TooManyRequests
            raise ServerFull
        self._held = held
        self._held_by[owner] = mine

    def give_back(self, owner: Hashable, size: int) -> None:
        """`owner` holds `size` bytes less."""
        self._held -= size
        left = self._held_by[owner] - size
        if left:
            self._held_by[owner] = left
        else:
            del self._held_by[owner]


class Share:
    """What one request holds, given back when the block ends."""

    __slots__ = ("_budget", "_owner", "_size")

    def __init__(self, budget: Budget) -> None:
        self._budget = budget
        self._owner: Hashable = None
        self._size = 0

    def __enter__(self) -> Share:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._size:
            self._budget.give_back(self._owner, self._size)
            self._size = 0

    def begin(self, principal: Principal, arrived: int) -> None:
        """Hold what every request does, for the person or, where the token names nobody, its client.

        Args:
            principal: whose request it is.
            arrived: bytes of it that the connection holds already.

        Raises:
            TooManyRequests, ServerFull: as `take`.
        """
        kind = principal.subject is None
        self._owner = (principal.issuer, kind, principal.client if kind else principal.subject)
        self.take(REQUEST_BYTES + arrived)

    def take(self, size: int) -> None:
        """Hold `size` bytes more.

        Raises:
            TooManyRequests: the person's requests hold too much already.
            ServerFull: all requests together do.
        """
        self._budget.take(self._owner, size, self._size)
        self._size += size
