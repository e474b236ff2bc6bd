"""Limits what a logged-in user may do, so that one login cannot slow the server down for others.

A user is counted in each client (`user_client_key`), and once more over all clients with `CLIENTS` times the limit:
clients register themselves, so a limit per client alone could be multiplied at will.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from mcp_idp.auth.rate_limiting.in_progress_by_user import CLIENTS, UsageLimits
from mcp_idp.auth.rate_limiting.limits import WINDOW_SECONDS, ConcurrencyLimit, RequestLimit
from mcp_idp.auth.stream_expiry import SUBSCRIPTIONS_LISTEN
from mcp_idp.util.rate_windows import MAX_KEYS

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping

    from mcp_idp.access.models import ToolLimit
    from mcp_idp.auth.rate_limiting.in_progress_by_user import Usage
    from mcp_idp.config.rate_limit_settings import RateLimitSettings
    from mcp_idp.principal import Principal

    Acquired = list[tuple[ConcurrencyLimit, Hashable]]

_CALL = "tools/call"
_IN_ALL = "-in-all-clients"
_TOO_FAST = "This user sends too many requests. Retry after the time in Retry-After."
_TOO_MANY_TOKENS = "This user uses too many new access tokens. Use each token until it expires."
_TOOL_TOO_OFTEN = "This user calls this tool too often. Retry after the time in Retry-After."
_TOOL_BUSY = "This user has too many calls of this tool in progress. Retry when one has ended."


class UserRequestLimit:
    """A limit of the requests of each user.

    Args:
        name: as in `RequestLimit`.
        per_second: the requests per second of a user in one client; 0 switches the limit off.
        description: the error text.
        now: returns the time in seconds since the epoch.
        max_keys: the number of users to count.
    """

    def __init__(
        self, name: str, per_second: int, description: str, now: Callable[[], float], max_keys: int = MAX_KEYS
    ) -> None:
        quota = per_second * WINDOW_SECONDS
        self.in_client = RequestLimit(name, quota, description, now, max_keys=max_keys)
        self.in_all = RequestLimit(name + _IN_ALL, quota * CLIENTS, description, now, max_keys=max_keys)

    def take(self, usage: Usage) -> None:
        """Counts one request of a user. A rejected one is not counted.

        Raises:
            RateLimited: the user has used up the limit.
        """
        wait = self.in_client.windows.hit(usage.key)
        if wait:
            raise self.in_client.error(wait)
        wait = self.in_all.windows.hit(usage.in_all.key)
        if wait:
            self.in_client.windows.undo(usage.key)
            raise self.in_all.error(wait)


class ToolLimits:
    """The limits of one tool, for each user over all clients.

    Args:
        name: the name of the tool.
        limit: the limits.
        now: returns the time in seconds since the epoch.
        max_keys: the number of users to count.
    """

    def __init__(self, name: str, limit: ToolLimit, now: Callable[[], float], max_keys: int = MAX_KEYS) -> None:
        quota = limit.calls_per_minute
        self.rate = RequestLimit(
            f"tool-{name}", quota, _TOOL_TOO_OFTEN, now, seconds=60, label="tool", max_keys=max_keys
        )
        self.calls = ConcurrencyLimit("tool-calls", limit.calls_in_progress, _TOOL_BUSY)

    def take(self, usage: Usage, acquired: Acquired) -> None:
        """Counts one call and adds to `acquired` what must be released when it ends.

        Raises:
            RateLimited: the user has used up a limit.
        """
        user = usage.in_all.key
        if self.calls.quota:
            self.calls.acquire(user)
            acquired.append((self.calls, user))
        self.rate.take(user)


class UserLimits:
    """The limits of all users.

    Args:
        settings: the limits.
        tools: the limits of single tools, by name.
        now: returns the time in seconds since the epoch.
        max_keys: the number of users to count.

    Attributes:
        requests: of requests.
        new_tokens: of tokens that were not verified before.
        usage: of calls in progress and open streams.
        tools: of single tools, by name.
    """

    def __init__(
        self,
        settings: RateLimitSettings,
        tools: Mapping[str, ToolLimit],
        now: Callable[[], float],
        max_keys: int = MAX_KEYS,
    ) -> None:
        self.requests = UserRequestLimit("user", settings.user_rate, _TOO_FAST, now, max_keys)
        self.new_tokens = UserRequestLimit("new-tokens", settings.new_tokens, _TOO_MANY_TOKENS, now, max_keys)
        self.usage = UsageLimits(settings.calls_per_user, settings.streams_per_user, max_idle=max_keys)
        self.tools = {name: ToolLimits(name, limit, now, max_keys) for name, limit in tools.items()}

    def count_new_token(self, principal: Principal) -> None:
        """Counts a token of a user that was not verified before.

        Raises:
            RateLimited: the user has used too many.
        """
        self.new_tokens.take(self.usage.of(principal))

    @contextmanager
    def nested_call(
        self, principal: Principal, document: Mapping[str, Any], also: Iterable[tuple[str, str]]
    ) -> Iterator[None]:
        """Counts a tool that another tool runs, while the block runs.

        Args:
            principal: the caller.
            document: the JSON-RPC message that would call the tool.
            also: the other names of the tool, each with its method.

        Raises:
            RateLimited: the user has used up a limit of the tool.
        """
        acquired: Acquired = []
        try:
            self.count_tools(self.usage.of(principal), document, also, acquired)
            yield
        finally:
            _release(acquired)

    def count_tools(
        self, usage: Usage, document: Mapping[str, Any], also: Iterable[tuple[str, str]], acquired: Acquired
    ) -> None:
        """Counts a call for the limits of its tool; see `nested_call` and `ToolLimits.take`."""
        if self.tools:
            for name in _tools(document, also):
                if name in self.tools:
                    self.tools[name].take(usage, acquired)

    @property
    def request_limits(self) -> tuple[RequestLimit, ...]:
        """All limits that count requests by time, which replicas may share."""
        of_users = (self.requests, self.new_tokens)
        limits = [limit for pair in of_users for limit in (pair.in_client, pair.in_all)]
        return (*limits, *(tool.rate for tool in self.tools.values()))


class RequestSlot:
    """What one request takes up of its user's limits, until `end` is called.

    In a session, `end` is called when the call ends, even if its client has disconnected before.

    Args:
        limits: the limits of all users.
    """

    __slots__ = ("_acquired", "_is_stream", "_limits", "_usage")

    def __init__(self, limits: UserLimits) -> None:
        self._limits = limits
        self._usage: Usage | None = None
        self._is_stream = False
        self._acquired: Acquired = []

    def end(self) -> None:
        """Releases what the request takes up; a second call has no effect."""
        usage, self._usage = self._usage, None
        if usage is not None and self._is_stream:
            self._limits.usage.end_stream(usage)
        elif usage is not None:
            self._limits.usage.end_call(usage)
        _release(self._acquired)

    def begin(self, principal: Principal, method: str) -> None:
        """Counts a request whose token is verified.

        Args:
            principal: the caller.
            method: the HTTP method; GET opens the stream of a session.

        Raises:
            RateLimited: the user has sent too many requests, or has too many in progress.
        """
        limits = self._limits
        usage = limits.usage.of(principal)
        limits.requests.take(usage)
        if method == "GET":
            limits.usage.begin_stream(usage)
            self._is_stream = True
        else:
            limits.usage.begin_call(usage)
        self._usage = usage

    def begin_message(self, document: Mapping[str, Any], also: Iterable[tuple[str, str]] = ()) -> None:
        """Counts what a message requests. Call it after `begin`, once the message is authorized.

        Args:
            document: the JSON-RPC message.
            also: the other names of what it runs, each with its method.

        Raises:
            RateLimited: the user has too many streams, or calls a tool too often.
        """
        if self._usage is None:
            return
        if document.get("method") == SUBSCRIPTIONS_LISTEN:
            self._limits.usage.begin_stream(self._usage)
            self._limits.usage.end_call(self._usage)
            self._is_stream = True
        else:
            self._limits.count_tools(self._usage, document, also, self._acquired)


def _release(acquired: Acquired) -> None:
    while acquired:
        limit, key = acquired.pop()
        limit.release(key)


def _tools(document: Mapping[str, Any], also: Iterable[tuple[str, str]]) -> set[str]:
    """Returns the names of the tool that a message calls; empty if it calls none."""
    if document.get("method") != _CALL:
        return set()
    params = document.get("params")
    name = params.get("name") if isinstance(params, dict) else None
    return {each for each in (name, *(name for method, name in also if method == _CALL)) if isinstance(each, str)}
