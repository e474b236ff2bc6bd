"""Shares the memory for authenticated requests among the users who send them.

`memory_plan.py` states the total. Sizes are measured peaks in memory, not sizes on the wire, where an
empty object takes only two bytes.

A request holds its share until it is answered and, in a session, until the call that it started has ended: the SDK runs
a call to its end even if its client has disconnected, as MCP 2025-11-25 requires (transports, "Sending Messages to the
Server").
"""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from typing import TYPE_CHECKING, Self

from mcp_idp.errors import BodyTooLarge, ServerFull, TooManyRequests
from mcp_idp.principal import user_key

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterator
    from types import TracebackType

    from mcp_idp.principal import Principal

AUTHENTICATED_CALLBACK = "mcp_idp.authenticated"
"""The ASGI scope extension of our HTTP server. The auth middleware calls its `callback` with the user once the token is
verified; it returns the bytes of the request that the server has buffered. `usage` returns how full the server is."""
MEMORY_SHARE_SCOPE_KEY = "mcp_idp.memory_share"
"""Key of the ASGI scope under which the auth middleware passes on the request's `MemoryShare`."""
# Per request, whatever its size: its task and, if any, its response stream. 65 kB were measured where a tool reports
# progress.
REQUEST_BYTES = 80 * 1024
# Per byte of the body: the body, its decoded text, and what the SDK makes of it when it parses the message again. A
# single wide character can make Python store each character of a string in four bytes (PEP 393).
BYTE_COST, WIDE_BYTE_COST = 5, 14
# Per JSON value, as parsed here and again by the SDK.
VALUE_COST = 176
# One part of so many is reserved for users who use at most `_SMALL_USE_BYTES`.
_RESERVED_PART = 12
_MUCH_LARGER_FACTOR = 2
_SMALL_USE_BYTES = 8 * REQUEST_BYTES
WAIT_SECONDS = 2.0


class RequestMemory:
    """Shares memory among users, so that one user's requests cannot exclude those of others.

    A single user may use everything but a small part, which is reserved for users who use little. When a request does
    not fit, requests of the user who uses most are cancelled, the newest first, as long as that user uses more than
    twice what the sender of the new request would. So users who use much less than the largest one get what they need,
    and the load of the largest user causes rejections of that user only. This approximates max-min fairness (Bertsekas
    and Gallager, Data Networks, section 6.5.2); because of the factor, two users who use about the same do not cancel
    each other's requests.

    Args:
        total: the bytes that all requests together may hold.
        reserved: how many of them are reserved for users who use little; by default a twelfth.
        wait_seconds: how long a request waits for the memory of requests that were cancelled for it.

    Attributes:
        total: the bytes that all requests together may hold.
        used: the bytes that they hold.
    """

    def __init__(self, total: int, reserved: int | None = None, wait_seconds: float = WAIT_SECONDS) -> None:
        self.total = total
        self.used = 0
        self._reserved = total // _RESERVED_PART if reserved is None else reserved
        self._wait_seconds = wait_seconds
        self._used_by: dict[Hashable, int] = {}
        self._shares_of: dict[Hashable, dict[MemoryShare, None]] = {}  # oldest first
        self._released = asyncio.Event()

    def share(self) -> MemoryShare:
        """Returns the share of a new request, which holds nothing yet."""
        return MemoryShare(self)

    def take(self, share: MemoryShare, size: int) -> None:
        """Charges `size` more bytes to a share.

        Raises:
            BodyTooLarge: the request would not fit even if it were the only one.
            TooManyRequests: the bytes would fit without the other requests of its user.
            ServerFull: they would not fit even then.
        """
        before = self._used_by.get(share.owner, 0)
        if not self._fits(self.used + size, before + size):
            if share.size + size > max(_SMALL_USE_BYTES, self.total - self._reserved):
                raise BodyTooLarge("This message needs more memory than this server may use for one.")
            others = before - share.size
            fits_alone = others and self._fits(self.used + size - others, share.size + size)
            raise TooManyRequests if fits_alone and not self._larger_than(share, size) else ServerFull
        self.used += size
        self._used_by[share.owner] = before + size
        self._shares_of.setdefault(share.owner, {})[share] = None

    def _fits(self, used: int, mine: int) -> bool:
        return used <= self.total - (0 if mine <= _SMALL_USE_BYTES else self._reserved)

    def reacquire(self, share: MemoryShare, size: int) -> None:
        """Charges what a share had before, even above the limit: the memory is still in use."""
        self.used += size
        self._used_by[share.owner] = self._used_by.get(share.owner, 0) + size
        self._shares_of.setdefault(share.owner, {})[share] = None

    def release(self, share: MemoryShare) -> None:
        """Releases the bytes of a share."""
        self.used -= share.size
        left = self._used_by[share.owner] - share.size
        del self._shares_of[share.owner][share]
        if left:
            self._used_by[share.owner] = left
        else:
            del self._used_by[share.owner], self._shares_of[share.owner]
        self._released.set()

    async def make_room(self, share: MemoryShare, size: int) -> None:
        """Cancels requests of larger users until `size` more bytes fit, and waits until these have ended.

        Raises:
            ServerFull: there is no larger user whose requests can be cancelled, or they did not end in time.
        """
        try:
            async with asyncio.timeout(self._wait_seconds):
                while not self._fits(self.used + size, self._used_by.get(share.owner, 0) + size):
                    if not self._cancel_of_others(share, size):
                        raise ServerFull
                    self._released.clear()
                    await self._released.wait()
        except TimeoutError:
            raise ServerFull from None

    def _cancel_of_others(self, share: MemoryShare, size: int) -> bool:
        """Cancels as many requests of larger users as needed; returns whether any is being cancelled."""
        ending = {owner: sum(each.size for each in shares if each.is_cancelled) for owner, shares in self._shares()}
        mine = self._used_by.get(share.owner, 0) + size
        while not self._fits(self.used - sum(ending.values()) + size, mine):
            owner = max(
                (owner for owner, shares in self._shares() if owner != share.owner and any(map(_can_end, shares))),
                key=lambda each: self._used_by[each] - ending[each],
                default=None,
            )
            if owner is None or self._used_by[owner] - ending[owner] <= _MUCH_LARGER_FACTOR * mine:
                break
            victim = next(each for each in reversed(self._shares_of[owner]) if _can_end(each))
            victim.cancel()
            ending[owner] += victim.size
        return any(ending.values())

    def _shares(self) -> list[tuple[Hashable, dict[MemoryShare, None]]]:
        return list(self._shares_of.items())

    def _larger_than(self, share: MemoryShare, size: int) -> bool:
        """Whether another user uses much more than the user of `share` would with `size` more bytes."""
        mine = self._used_by.get(share.owner, 0) + size
        return any(used > _MUCH_LARGER_FACTOR * mine for owner, used in self._used_by.items() if owner != share.owner)


def _can_end(share: MemoryShare) -> bool:
    return share.can_be_cancelled and not share.is_cancelled


class MemoryShare:
    """The bytes that are charged for one request.

    A context manager that may be entered several times, also concurrently; the last exit releases the bytes.

    Attributes:
        owner: the user to whom they are charged; None before `begin`.
        size: the bytes.
        is_cancelled: whether the request was cancelled because its user uses too much.
    """

    __slots__ = ("_budget", "_cancels", "_holds", "_on_release", "_released", "is_cancelled", "owner", "size")

    def __init__(self, budget: RequestMemory) -> None:
        self._budget = budget
        self.owner: Hashable = None
        self.size = 0
        self.is_cancelled = False
        self._holds = 0
        self._released = 0
        self._cancels: list[Callable[[], object]] = []
        self._on_release: Callable[[], object] | None = None

    def __enter__(self) -> Self:
        if self._released and not self._holds:
            self._budget.reacquire(self, self._released)
            self.size, self._released = self._released, 0
        self._holds += 1
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._holds -= 1
        if self._holds:
            return
        if self.size:
            self._budget.release(self)
            self._released, self.size = self.size, 0
        if self._on_release is not None:
            self._on_release()

    def on_release(self, call: Callable[[], object]) -> None:
        """Sets a function that is called after each release of the bytes."""
        self._on_release = call

    def begin(self, principal: Principal) -> None:
        """Sets the user to whom the request is charged."""
        self.owner = user_key(principal)

    def take(self, size: int) -> None:
        """Charges `size` more bytes to the owner if they fit now.

        Raises:
            BodyTooLarge, TooManyRequests, ServerFull: see `RequestMemory.take`.
        """
        self._budget.take(self, size)
        self.size += size

    async def reserve(self, size: int) -> None:
        """Charges `size` more bytes to the owner; if necessary, cancels requests of users who use more.

        Raises:
            BodyTooLarge, TooManyRequests, ServerFull: see `RequestMemory.take`.
        """
        try:
            self.take(size)
        except ServerFull:
            await self._budget.make_room(self, size)
            self.take(size)

    @property
    def can_be_cancelled(self) -> bool:
        """Whether the request is at a point where it can be cancelled."""
        return bool(self._cancels)

    def cancel(self) -> None:
        """Cancels the request because its user uses too much; it releases its bytes when it has ended."""
        self.is_cancelled = True
        self._cancels[-1]()

    def add_cancel(self, cancel: Callable[[], object]) -> None:
        """Adds a function that cancels the request. Of several, the one that was added last is called."""
        self._cancels.append(cancel)

    def remove_cancel(self, cancel: Callable[[], object]) -> None:
        """Removes a function that `add_cancel` added."""
        self._cancels.remove(cancel)

    @contextmanager
    def cancellable(self, cancel: Callable[[], object]) -> Iterator[None]:
        """Context manager for `add_cancel` and `remove_cancel`."""
        self.add_cancel(cancel)
        try:
            yield
        finally:
            self.remove_cancel(cancel)
