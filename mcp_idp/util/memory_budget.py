"""Bounds the memory that requests hold, in total and per user. The bounds follow from the memory of the container.

```
256 MiB  the container, in every compose file
 82      the idle server
 76      authenticated requests, shared by the users who send them (`MemoryBudget`)
 16      received bytes of requests that are not authenticated yet (`HttpLimits.waiting_bytes`)
 14      connections, 7 kB each (`HttpLimits.connections`)
```
The rest is for sessions, caches and memory that the allocator does not return. Sizes are measured peaks in memory, not
sizes on the wire, where an empty object takes only two bytes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from mcp_idp.errors import ServerFull, TooManyRequests

if TYPE_CHECKING:
    from collections.abc import Hashable
    from types import TracebackType

    from mcp_idp.principal import Principal

AUTHENTICATED_CALLBACK = "mcp_server.let_in"
"""The ASGI scope extension of our HTTP server. The auth middleware calls its `tell` with the user once the token is
verified; it returns the bytes of the request that the server has buffered."""
MAX_TOTAL_BYTES = 76 * 1024 * 1024
# Per request, whatever its size: its task and, if any, its response stream. 65 kB were measured where a tool reports
# progress.
REQUEST_BYTES = 80 * 1024
# Per byte of the body: the body, its decoded text, and what the SDK makes of it when it parses the message again. A
# single wide character can make Python store each character of a string in four bytes (PEP 393).
BYTE_COST, WIDE_BYTE_COST = 5, 14
# Per JSON value, as parsed here and again by the SDK.
VALUE_COST = 176
# Reserved for users who hold at most `_A_FEW_BYTES`.
_RESERVED_BYTES = 6 * 1024 * 1024
_A_FEW_BYTES = 8 * REQUEST_BYTES
# A user who holds more may hold this many times the free bytes.
_TIMES_THE_FREE = 16


def owner_of(principal: Principal) -> Hashable:
    """Returns the user to whom what a request holds is charged; the client if the token has no subject."""
    is_client = principal.subject is None
    return principal.issuer, is_client, principal.client if is_client else principal.subject


class MemoryBudget:
    """Shares memory among users, so that one user's requests cannot exclude those of others.

    A user who holds little may take more as long as any memory is free. Any other user may hold up to sixteen times the
    bytes that are free and not reserved. So a single user can take nearly all memory, and a second one still finds
    some. This is the rule of dynamic thresholds for shared buffers: Choudhury and Hahne, IEEE/ACM Transactions on
    Networking 6(2), 1998.

    Args:
        total: the bytes that all requests together may hold.
        reserved: how many of them are reserved for users who hold little.
    """

    def __init__(self, total: int = MAX_TOTAL_BYTES, reserved: int = _RESERVED_BYTES) -> None:
        self._total = total
        self._reserved = reserved
        self._used = 0
        self._used_by: dict[Hashable, int] = {}

    def share(self) -> MemoryShare:
        """Returns the share of a new request, which holds nothing yet."""
        return MemoryShare(self)

    def take(self, owner: Hashable, size: int, own: int) -> None:
        """Charges `size` more bytes to `owner`.

        Args:
            owner: the user, or the client if there is no user.
            size: the further bytes.
            own: the bytes that the same request holds already.

        Raises:
            TooManyRequests: the bytes would fit without the other requests of this owner.
            ServerFull: they would not fit even then.
        """
        before = self._used_by.get(owner, 0)
        held, mine = self._used + size, before + size
        if not self._fits(held, mine):
            others = before - own
            raise TooManyRequests if others and self._fits(held - others, mine - others) else ServerFull
        self._used = held
        self._used_by[owner] = mine

    def _fits(self, held: int, mine: int) -> bool:
        if mine <= _A_FEW_BYTES:
            return held <= self._total
        return mine <= _TIMES_THE_FREE * (self._total - self._reserved - held)

    def give_back(self, owner: Hashable, size: int) -> None:
        """Releases `size` bytes of `owner`."""
        self._used -= size
        left = self._used_by[owner] - size
        if left:
            self._used_by[owner] = left
        else:
            del self._used_by[owner]


class MemoryShare:
    """The bytes that one request holds; a context manager that releases them at its end.

    Attributes:
        owner: the user to whom they are charged; None before `begin`.
    """

    __slots__ = ("_budget", "_size", "owner")

    def __init__(self, budget: MemoryBudget) -> None:
        self._budget = budget
        self.owner: Hashable = None
        self._size = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._size:
            self._budget.give_back(self.owner, self._size)
            self._size = 0

    def begin(self, principal: Principal, arrived: int) -> None:
        """Sets the owner and charges the bytes that every request holds, plus those that are buffered.

        Args:
            principal: the caller.
            arrived: the bytes of the request that the HTTP server has buffered.

        Raises:
            TooManyRequests, ServerFull: see `take`.
        """
        self.owner = owner_of(principal)
        self.take(REQUEST_BYTES + arrived)

    def take(self, size: int) -> None:
        """Charges `size` more bytes to the owner.

        Raises:
            TooManyRequests: the owner's other requests hold too much.
            ServerFull: all requests together hold too much.
        """
        self._budget.take(self.owner, size, self._size)
        self._size += size
