"""How many sessions one person may keep open, and whose they are where a token names nobody.

The SDK bounds all sessions of the handshake era together, and answers 503 to everybody once that many are open. A
client that opens one after the other would shut out all others for as long as sessions live. Here whoever opens too
many loses the one that was used least recently.

The SDK compares client, issuer and subject. Without a subject that would be everybody at one client, so such a session
answers to the very token that opened it.

Which sessions of the handshake era are certainly open, and whose they are: what the SDK keeps to itself.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Any

from mcp.server.auth.middleware.bearer_auth import AuthenticatedUser, AuthorizationContext, authorization_context
from mcp.server.streamable_http_manager import DEFAULT_MAX_SESSIONS, DEFAULT_SESSION_IDLE_TIMEOUT

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from mcp_idp.auth.context import AuthenticatedCaller

SESSION_ID = b"mcp-session-id"
# The SDK ends what it did not see for this long. What it saw in the last third of that is certainly open.
_SURELY_OPEN_SECONDS = DEFAULT_SESSION_IDLE_TIMEOUT / 3
_BAD_REQUEST = 400


class SessionTracker:
    """ASGI middleware before the SDK's endpoint: notes for which sessions it answered.

    Args:
        app: the endpoint.
        monotonic: the time, in seconds.
    """

    def __init__(self, app: ASGIApp, monotonic: Callable[[], float]) -> None:
        self._app = app
        self._monotonic = monotonic
        # By session: whose it is, and when the SDK last answered for it. The one answered least recently first.
        self._last_seen: OrderedDict[bytes, tuple[AuthorizationContext, float]] = OrderedDict()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one HTTP request."""

        async def send_noting(message: Message) -> None:
            if message["type"] == "http.response.start" and message["status"] < _BAD_REQUEST:
                for name, value in message["headers"]:
                    if name == SESSION_ID:
                        self._note(value, scope)
            await send(message)

        await self._app(scope, receive, send_noting)

    def is_open(self, session: bytes, user: AuthenticatedUser) -> bool:
        """Whether the SDK would serve this session to this user; False where only the SDK can tell.

        It is False too when the SDK has not seen the session for some time: asking it then keeps the session from
        counting as idle.
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
_SESSION_ID = b"mcp-session-id"
_NO_SESSION = b"-"


class SessionLimiter:
    """ASGI middleware before the SDK's endpoint, behind the gate, which says who calls.

    Args:
        app: the endpoint; ends a session on DELETE.
        each: sessions that one owner may keep.
    """

    def __init__(self, app: ASGIApp, *, each: int = MAX_SESSIONS_EACH) -> None:
        self._app = app
        self._each = each
        # By owner and by session, the least recently used first. One that ended by itself stays until it is pushed out.
        self._sessions_by_owner: OrderedDict[Hashable, OrderedDict[bytes, AuthenticatedCaller]] = OrderedDict()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one HTTP request; an answer that names a session is a use of it."""

        async def send_noting(message: Message) -> None:
            if message["type"] == "http.response.start" and message["status"] < _BAD_REQUEST:
                for name, value in message["headers"]:
                    if name == _SESSION_ID and scope["method"] != "DELETE":
                        await self._touch(value, scope)
            await send(message)

        if scope["user"].principal.subject is None:
            scope = {**scope, "headers": self._hide_foreign_session(scope)}
        await self._app(scope, receive, send_noting)

    def _hide_foreign_session(self, scope: Scope) -> list[tuple[bytes, bytes]]:
        """The headers; another's session is none that the SDK knows, and so answered as it answers those."""
        sessions = self._sessions_by_owner.get(_owner(scope["user"]), ())
        return [(n, v if n != _SESSION_ID or v in sessions else _NO_SESSION) for n, v in scope["headers"]]

    async def _touch(self, session: bytes, scope: Scope) -> None:
        caller: AuthenticatedCaller = scope["user"]
        owner = _owner(caller)
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
        request = {**scope, "method": "DELETE", "headers": [(_SESSION_ID, session)], "user": caller}
        await self._app(request, _empty_body, _discard)


def _owner(caller: AuthenticatedCaller) -> Hashable:
    principal = caller.principal
    return principal if principal.subject is None else (principal.issuer, principal.subject)


async def _empty_body() -> dict[str, Any]:
    return {"type": "http.request", "body": b"", "more_body": False}


async def _discard(_message: Message) -> None:
    pass
