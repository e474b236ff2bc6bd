"""Tracks and limits the sessions of the handshake protocol revisions.

`SessionLimiter` limits the sessions of each user, and the memory of all. The SDK only limits their number, and responds
503 to everyone once that many are open, so that a client which opens one session after another would block all others
for as long as sessions live. A user with too many sessions loses the least recently used one instead.

`SessionLimiter` also protects sessions of tokens without `sub`. The SDK identifies a session's owner by client, issuer
and subject; without a subject, everyone who uses the same client would be the same owner. Such a session is therefore
usable only with the token that opened it. For the limit, all tokens of a client without `sub` count together: anything
else in a token can vary with each login.

`SessionTracker` records which sessions are certainly open, and their owners, because the SDK does not expose this.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mcp.server.auth.middleware.bearer_auth import AuthenticatedUser, AuthorizationContext, authorization_context
from mcp.server.streamable_http_manager import DEFAULT_MAX_SESSIONS, DEFAULT_SESSION_IDLE_TIMEOUT

from mcp_idp.principal import user_key
from mcp_idp.util.memory_plan import SESSION_BYTES
from mcp_idp.util.request_memory import MEMORY_SHARE_SCOPE_KEY, REQUEST_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from mcp_idp.auth.context import AuthenticatedCaller
    from mcp_idp.util.request_memory import MemoryShare

SESSION_ID = b"mcp-session-id"
# The SDK ends a session that has been idle for its timeout. One used within a third of that time is certainly open.
_SURELY_OPEN_SECONDS = DEFAULT_SESSION_IDLE_TIMEOUT / 3
_BAD_REQUEST = 400


class SessionTracker:
    """ASGI middleware in front of the SDK's endpoint that records for which sessions the SDK responded.

    Args:
        app: the SDK's endpoint.
        monotonic: returns the time in seconds, on a monotonic clock.
    """

    def __init__(self, app: ASGIApp, monotonic: Callable[[], float]) -> None:
        self._app = app
        self._monotonic = monotonic
        # By session id: the owner, and the time of the SDK's last response. Least recent first.
        self._last_seen: OrderedDict[bytes, tuple[AuthorizationContext, float]] = OrderedDict()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one HTTP request."""

        async def send_noting(message: Message) -> None:
            if message["type"] == "http.response.start" and message["status"] < _BAD_REQUEST:
                for name, value in message["headers"]:
                    if name == SESSION_ID:
                        self._note(value, scope)
            await send(message)

        await self._app(scope, receive, send_noting)

    def is_open(self, session: bytes, user: AuthenticatedUser) -> bool:
        """Whether the SDK would certainly serve this session to this user.

        Also False if the SDK has not seen the session for some time: the request then goes to the SDK, which keeps the
        session from becoming idle.

        Args:
            session: the session id.
            user: the caller.
        """
        owner, at = self._last_seen.get(session, (None, 0.0))
        return owner == authorization_context(user) and self._monotonic() - at < _SURELY_OPEN_SECONDS

    def _note(self, session: bytes, scope: Scope) -> None:
        self._last_seen.pop(session, None)
        if scope["method"] != "DELETE":
            self._last_seen[session] = authorization_context(scope["user"]), self._monotonic()
            if len(self._last_seen) > DEFAULT_MAX_SESSIONS:
                self._last_seen.popitem(last=False)


MAX_SESSIONS_EACH = 64
_NO_SESSION = b"-"


@dataclass(slots=True)
class _Session:
    """Attributes: the caller that opened it, and the memory that it holds in bytes."""

    caller: AuthenticatedCaller
    size: int


class SessionLimiter:
    """ASGI middleware between `AuthMiddleware` and the MCP application that limits sessions.

    A user with too many sessions loses the least recently used one. If the sessions of all users together hold too much
    memory, the user whose sessions hold most loses the least recently used one.

    Args:
        app: the MCP application; it must end a session on DELETE.
        max_bytes: the memory that all sessions together may hold.
        each: maximum number of sessions of one owner; 0 for no limit but that of the SDK.

    Attributes:
        max_bytes: as above.
        used: the memory that they hold in bytes.
    """

    def __init__(self, app: ASGIApp, *, max_bytes: int, each: int = MAX_SESSIONS_EACH) -> None:
        self._app = app
        self._each = each or DEFAULT_MAX_SESSIONS
        self.max_bytes = max_bytes
        self.used = 0
        # By owner and session id, least recently used first. A session that ended by itself stays until it is evicted.
        self._sessions_by_owner: dict[Hashable, OrderedDict[bytes, _Session]] = {}
        self._size_by_owner: dict[Hashable, int] = {}

    @property
    def count(self) -> int:
        """The number of sessions."""
        return sum(map(len, self._sessions_by_owner.values()))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one HTTP request; a response that names a session counts as a use of that session."""

        async def send_noting(message: Message) -> None:
            if message["type"] == "http.response.start" and message["status"] < _BAD_REQUEST:
                for name, value in message["headers"]:
                    if name == SESSION_ID:
                        await self._note(value, scope)
            await send(message)

        if scope["user"].principal.subject is None:
            scope = {**scope, "headers": self._replace_session_of_other_token(scope)}
        await self._app(scope, receive, send_noting)

    def _replace_session_of_other_token(self, scope: Scope) -> list[tuple[bytes, bytes]]:
        """Returns the headers, with the session id of another token replaced so that the SDK responds 404."""
        caller: AuthenticatedCaller = scope["user"]
        sessions = self._sessions_by_owner.get(user_key(caller.principal), OrderedDict())

        def is_own(session: bytes) -> bool:
            return session in sessions and sessions[session].caller.principal == caller.principal

        return [(n, v if n != SESSION_ID or is_own(v) else _NO_SESSION) for n, v in scope["headers"]]

    async def _note(self, session: bytes, scope: Scope) -> None:
        caller: AuthenticatedCaller = scope["user"]
        owner = user_key(caller.principal)
        if scope["method"] == "DELETE":
            self._forget(owner, session)
            return
        sessions = self._sessions_by_owner.setdefault(owner, OrderedDict())
        if session not in sessions:
            sessions[session] = _Session(caller, _size_of_new_session(scope))
            self.used += sessions[session].size
            self._size_by_owner[owner] = self._size_by_owner.get(owner, 0) + sessions[session].size
        sessions[session].caller = caller
        sessions.move_to_end(session)
        while len(self._sessions_by_owner.get(owner, ())) > self._each:
            await self._evict_oldest(owner, scope)
        while self.used > self.max_bytes:
            await self._evict_oldest(max(self._size_by_owner, key=self._size_by_owner.__getitem__), scope)

    async def _evict_oldest(self, owner: Hashable, scope: Scope) -> None:
        session, known = next(iter(self._sessions_by_owner[owner].items()))
        self._forget(owner, session)
        request = {**scope, "method": "DELETE", "headers": [(SESSION_ID, session)], "user": known.caller}
        await self._app(request, _empty_body, _discard)

    def _forget(self, owner: Hashable, session: bytes) -> None:
        sessions = self._sessions_by_owner.get(owner)
        if sessions is None or session not in sessions:
            return
        known = sessions.pop(session)
        self.used -= known.size
        self._size_by_owner[owner] -= known.size
        if not sessions:
            del self._sessions_by_owner[owner], self._size_by_owner[owner]


def _size_of_new_session(scope: Scope) -> int:
    """Returns the memory of a session: it keeps the message that began it, which its request has been charged for."""
    share: MemoryShare = scope[MEMORY_SHARE_SCOPE_KEY]
    return SESSION_BYTES + max(0, share.size - REQUEST_BYTES)


async def _empty_body() -> dict[str, Any]:
    return {"type": "http.request", "body": b"", "more_body": False}


async def _discard(_message: Message) -> None:
    pass
