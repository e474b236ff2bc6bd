"""Limits what a logged-in user may do, so that one login cannot slow the server down for others.

A user is counted in each client (`user_key`), and once more over all clients with `CLIENTS` times the limit: clients
register themselves, so a limit per client alone could be multiplied at will.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

from mcp_idp.auth.limits import WINDOW_SECONDS, ConcurrencyLimit, RequestLimit
from mcp_idp.auth.stream_expiry import SUBSCRIPTIONS_LISTEN
from mcp_idp.errors import RateLimited
from mcp_idp.principal import person_key, user_key

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Mapping
    from types import TracebackType

    from mcp_idp.access.models import ToolLimit
    from mcp_idp.config.rate_limits import RateLimitSettings
    from mcp_idp.principal import Principal

    Held = list[tuple[ConcurrencyLimit, Hashable]]

CLIENTS = 4
_IN_ALL = "-in-all-clients"
_TOO_FAST = "You send more requests than one user may. Wait as long as Retry-After says."
_TOO_MANY_TOKENS = "You use more new access tokens than one user may: use each until it expires."
_TOO_MANY_CALLS = "More of your requests are in progress than one user may have. Wait until one is answered."
_TOO_MANY_STREAMS = "You have more open streams than one user may have: close one."
_TOOL_TOO_OFTEN = "You call this tool more often than one user may. Wait as long as Retry-After says."
_TOOL_BUSY = "More of your calls of this tool are in progress than one user may have. Wait until one is answered."


class UserRequestLimit:
    """A limit of the requests of each user.

    Args:
        name: as in `RequestLimit`.
        per_second: the requests per second of a user in one client; 0 switches the limit off.
        description: the error text.
        now: returns the time in seconds since the epoch.
    """

    def __init__(self, name: str, per_second: int, description: str, now: Callable[[], float]) -> None:
        quota = per_second * WINDOW_SECONDS
        self.in_client = RequestLimit(name, quota, description, now)
        self.in_all = RequestLimit(name + _IN_ALL, quota * CLIENTS, description, now)

    def take(self, principal: Principal) -> None:
        """Counts one request.

        Raises:
            RateLimited: the user has used up the limit.
        """
        user = user_key(principal)
        self.in_client.take(user)
        try:
            self.in_all.take(person_key(principal))
        except RateLimited:
            self.in_client.windows.undo(user)
            raise


class UserConcurrencyLimit:
    """A limit of what each user has at the same time; the arguments are those of `ConcurrencyLimit`."""

    def __init__(self, name: str, quota: int, description: str) -> None:
        self.in_client = ConcurrencyLimit(name, quota, description)
        self.in_all = ConcurrencyLimit(name + _IN_ALL, quota * CLIENTS, description)

    def take(self, principal: Principal, held: Held) -> None:
        """Takes one and adds to `held` what must be given back.

        Raises:
            RateLimited: the user has all that one may have.
        """
        if self.in_client.quota:
            _take(self.in_client, user_key(principal), held)
            _take(self.in_all, person_key(principal), held)


class ToolLimits:
    """The limits of one tool, for each user over all clients.

    Args:
        name: the name of the tool.
        limit: the limits.
        now: returns the time in seconds since the epoch.
    """

    def __init__(self, name: str, limit: ToolLimit, now: Callable[[], float]) -> None:
        quota = limit.calls_per_minute
        self.rate = RequestLimit(f"tool-{name}", quota, _TOOL_TOO_OFTEN, now, seconds=60, label="tool")
        self.calls = ConcurrencyLimit("tool-calls", limit.calls_in_progress, _TOOL_BUSY)

    def take(self, principal: Principal, held: Held) -> None:
        """Counts one call and adds to `held` what must be given back.

        Raises:
            RateLimited: the user has used up a limit.
        """
        person = person_key(principal)
        if self.calls.quota:
            _take(self.calls, person, held)
        self.rate.take(person)


def _take(limit: ConcurrencyLimit, key: Hashable, held: Held) -> None:
    limit.take(key)
    held.append((limit, key))


class UserLimits:
    """The limits of all users.

    Args:
        settings: the limits.
        tools: the limits of single tools, by name.
        now: returns the time in seconds since the epoch.

    Attributes:
        requests: of requests.
        new_tokens: of tokens that were not verified before.
        calls: of requests in progress that are not streams.
        streams: of open streams.
        tools: of single tools, by name.
    """

    def __init__(self, settings: RateLimitSettings, tools: Mapping[str, ToolLimit], now: Callable[[], float]) -> None:
        self.requests = UserRequestLimit("user", settings.user_rate, _TOO_FAST, now)
        self.new_tokens = UserRequestLimit("new-tokens", settings.new_tokens, _TOO_MANY_TOKENS, now)
        self.calls = UserConcurrencyLimit("calls", settings.calls_per_user, _TOO_MANY_CALLS)
        self.streams = UserConcurrencyLimit("streams", settings.streams_per_user, _TOO_MANY_STREAMS)
        self.tools = {name: ToolLimits(name, limit, now) for name, limit in tools.items()}

    @property
    def request_limits(self) -> tuple[RequestLimit, ...]:
        """All limits that count requests by time, which replicas may share."""
        of_users = (self.requests, self.new_tokens)
        limits = [limit for pair in of_users for limit in (pair.in_client, pair.in_all)]
        return (*limits, *(tool.rate for tool in self.tools.values()))


class RequestSlot:
    """What one request holds of its user's limits until it is answered; a context manager.

    Args:
        limits: the limits of all users.
    """

    __slots__ = ("_held", "_limits")

    def __init__(self, limits: UserLimits) -> None:
        self._limits = limits
        self._held: Held = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._give_back()

    def begin(self, principal: Principal, method: str) -> None:
        """Counts a request whose token is verified.

        Args:
            principal: the caller.
            method: the HTTP method; GET opens the stream of a session.

        Raises:
            RateLimited: the user has sent too many requests, or has too many in progress.
        """
        self._limits.requests.take(principal)
        (self._limits.streams if method == "GET" else self._limits.calls).take(principal, self._held)

    def begin_message(self, principal: Principal, document: Mapping[str, Any]) -> None:
        """Counts what a message asks for. Call it once the message is authorized.

        Args:
            principal: the caller.
            document: the JSON-RPC message.

        Raises:
            RateLimited: the user has too many streams, or calls a tool too often.
        """
        method = document.get("method")
        if method == SUBSCRIPTIONS_LISTEN:
            self._give_back()
            self._limits.streams.take(principal, self._held)
        elif self._limits.tools and method == "tools/call":
            params = document.get("params")
            name = params.get("name") if isinstance(params, dict) else None
            if isinstance(name, str) and name in self._limits.tools:
                self._limits.tools[name].take(principal, self._held)

    def _give_back(self) -> None:
        while self._held:
            limit, key = self._held.pop()
            limit.give_back(key)
