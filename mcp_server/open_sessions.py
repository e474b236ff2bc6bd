"""Which sessions of the handshake era are certainly open, and whose they are: what the SDK keeps to itself."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING

from mcp.server.auth.middleware.bearer_auth import AuthenticatedUser, AuthorizationContext, authorization_context
from mcp.server.streamable_http_manager import DEFAULT_MAX_SESSIONS, DEFAULT_SESSION_IDLE_TIMEOUT

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

SESSION_ID = b"mcp-session-id"
# The SDK ends what it did not see for this long. What it saw in the last third of that is certainly open.
_SURELY_OPEN_SECONDS = DEFAULT_SESSION_IDLE_TIMEOUT / 3
_REFUSED = 400


class OpenSessions:
    """ASGI middleware before the SDK's endpoint: notes for which sessions it answered.

    Args:
        app: the endpoint.
        monotonic: the time, in seconds.
    """

    def __init__(self, app: ASGIApp, monotonic: Callable[[], float]) -> None:
        self._app = app
        self._monotonic = monotonic
        # By session: whose it is, and when the SDK last answered for it. The one answered least recently first.
        self._answered: OrderedDict[bytes, tuple[AuthorizationContext, float]] = OrderedDict()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one HTTP request."""

        async def send_noting(message: Message) -> None:
            if message["type"] == "http.response.start" and message["status"] < _REFUSED:
                for name, value in message["headers"]:
                    if name == SESSION_ID:
                        self._note(value, scope)
            await send(message)

        await self._app(scope, receive, send_noting)

    def surely_open(self, session: bytes, user: AuthenticatedUser) -> bool:
        """Whether the SDK would serve this session to this user; False where only the SDK can tell.

        It is False too when the SDK has not seen the session for some time: asking it then keeps the session from
        counting as idle.
        """
        owner, at = self._answered.get(session, (None, 0.0))
        return owner == authorization_context(user) and self._monotonic() - at < _SURELY_OPEN_SECONDS

    def _note(self, session: bytes, scope: Scope) -> None:
        self._answered.pop(session, None)
        if scope["method"] != "DELETE":
            self._answered[session] = authorization_context(scope["user"]), self._monotonic()
            if len(self._answered) > DEFAULT_MAX_SESSIONS:
                self._answered.popitem(last=False)
