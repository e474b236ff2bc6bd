"""What requests may hold in memory, all together and each person: the bounds follow from what the container has.

```
256 MiB  the container, in every compose file
 82      the server at rest
 76      authenticated requests, shared by the users who send them (`Budget`)
 16      what arrived of requests that are not authenticated yet (`HttpLimits.waiting_bytes`)
 14      connections, 7 kB each (`HttpLimits.connections`)
```
The rest is for sessions, caches and what the allocator does not give back. Sizes are those that were measured at the
peak, not of what was sent: an empty object takes two bytes on the wire.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from mcp_idp.errors import ServerFull, TooManyRequests

if TYPE_CHECKING:
    from collections.abc import Hashable
    from types import TracebackType

    from mcp_idp.principal import Principal

LET_IN = "mcp_server.let_in"
"""The extension of an ASGI scope whose `tell` is called once a token is verified; it gives a size in bytes."""
MAX_HELD_BYTES = 76 * 1024 * 1024
# Whatever it is: its task and, if it is one, its stream: 65 kB measured where a tool reports progress.
REQUEST_BYTES = 80 * 1024
# A byte of the body: the body itself, the text, and what the SDK reads again. One character of a text can make Python
# keep all of it in four bytes each (PEP 393).
BYTE_COST, WIDE_BYTE_COST = 5, 14
# An object or an array, by us and by the SDK.
VALUE_COST = 176
# Of these nobody takes any who holds more than a few requests take.
_KEPT_BYTES = 6 * 1024 * 1024
_A_FEW_BYTES = 8 * REQUEST_BYTES
# How many times what is left free one person may hold.
_TIMES_THE_FREE = 16


class Budget:
    """Shares memory between people, so that nobody's requests keep out another's.

    Who holds little finds room while there is any. Who holds more may hold up to sixteen times what is left free, but
    for a part that is kept for the others: one person alone takes nearly all, and a second one finds something. It is
    the rule of dynamic thresholds for shared buffers: Choudhury and Hahne, IEEE/ACM Transactions on Networking 6(2),
    1998.

    Args:
        total: bytes that all requests may hold.
        kept: of these, for people who hold little.
    """

    def __init__(self, total: int = MAX_HELD_BYTES, kept: int = _KEPT_BYTES) -> None:
        self._total = total
        self._kept = kept
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
        if not self._fits(held, mine):
            others = before - own
            raise TooManyRequests if others and self._fits(held - others, mine - others) else ServerFull
        self._held = held
        self._held_by[owner] = mine

    def _fits(self, held: int, mine: int) -> bool:
        if mine <= _A_FEW_BYTES:
            return held <= self._total
        return mine <= _TIMES_THE_FREE * (self._total - self._kept - held)

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

    def __enter__(self) -> Self:
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
