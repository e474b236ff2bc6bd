"""Tracks and limits the sessions of the handshake protocol revisions.

`SessionLimiter` limits the sessions of each user. The SDK only limits all sessions together, and responds 503 to
everyone once that many are open, so that a client which opens one session after another would block all others for as
long as sessions live. A user with too many sessions loses the least recently used one instead.

`SessionLimiter` also protects sessions of tokens without `sub`. The SDK identifies a session's owner by client, issuer
and subject; without a subject, everyone who uses the same client would be the same owner. Such a session is therefore
usable only with the token that opened it. For the limit, all tokens of a client without `sub` count together: anything
else in a token can vary with each login.

`SessionTracker` records which sessions are certainly open, and their owners, because the SDK does not expose this.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Any

from mcp.server.auth.middleware.bearer_auth import AuthenticatedUser, AuthorizationContext, authorization_context
from mcp.server.streamable_http_manager import DEFAULT_MAX_SESSIONS, DEFAULT_SESSION_IDLE_TIMEOUT

from mcp_idp.principal import user_key

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from mcp_idp.auth.context import AuthenticatedCaller

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
_MAX_OWNERS = 10_000  # as many as the SDK keeps sessions
_NO_SESSION = b"-"


class SessionLimiter:
    """ASGI middleware between `AuthMiddleware` and the MCP application that limits the sessions of each user.

    Args:
        app: the MCP application; it must end a session on DELETE.
        each: maximum number of sessions of one owner; 0 for no limit but that of the SDK.
    """

    def __init__(self, app: ASGIApp, *, each: int = MAX_SESSIONS_EACH) -> None:
        self._app = app
        self._each = each or DEFAULT_MAX_SESSIONS
        # By owner and session id, least recently used first. A session that ended by itself stays until it is evicted.
        self._sessions_by_owner: OrderedDict[Hashable, OrderedDict[bytes, AuthenticatedCaller]] = OrderedDict()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one HTTP request; a response that names a session counts as a use of that session."""

        async def send_noting(message: Message) -> None:
            if message["type"] == "http.response.start" and message["status"] < _BAD_REQUEST:
                for name, value in message["headers"]:
                    if name == SESSION_ID and scope["method"] != "DELETE":
                        await self._touch(value, scope)
            await send(message)

        if scope["user"].principal.subject is None:
            scope = {**scope, "headers": self._hide_foreign_session(scope)}
        await self._app(scope, receive, send_noting)

    def _hide_foreign_session(self, scope: Scope) -> list[tuple[bytes, bytes]]:
        """Returns the headers, with the session id of another owner replaced so that the SDK responds 404."""
        principal = scope["user"].principal
        sessions = self._sessions_by_owner.get(user_key(principal))
        own = {session for session, caller in (sessions or {}).items() if caller.principal == principal}
        return [(n, v if n != SESSION_ID or v in own else _NO_SESSION) for n, v in scope["headers"]]

    async def _touch(self, session: bytes, scope: Scope) -> None:
        caller: AuthenticatedCaller = scope["user"]
        owner = user_key(caller.principal)
        sessions = self._sessions_by_owner.setdefault(owner, OrderedDict())
        self._sessions_by_owner.move_to_end(owner)
        if len(self._sessions_by_owner) > _MAX_OWNERS:
            self._sessions_by_owner.popitem(last=False)
        sessions[session] = caller
        sessions.move_to_end(session)
        while len(sessions) > self._each:
            oldest, opened_by = next(iter(sessions.items()))
            await self._evict(oldest, opened_by, scope)
            sessions.pop(oldest, None)

    async def _evict(self, session: bytes, caller: AuthenticatedCaller, scope: Scope) -> None:
        request = {**scope, "method": "DELETE", "headers": [(SESSION_ID, session)], "user": caller}
        await self._app(request, _empty_body, _discard)


async def _empty_body() -> dict[str, Any]:
    return {"type": "http.request", "body": b"", "more_body": False}


async def _discard(_message: Message) -> None:
    pass
