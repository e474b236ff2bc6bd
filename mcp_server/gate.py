"""The gate: every request to the MCP endpoint is judged here, before the application runs.

Order: Origin, credentials, scope, body. Every refusal is an `AuthError`, told by the `Challenger` and logged with its
reason and a correlation id. The application sees only admitted requests, each with its caller.
"""

from __future__ import annotations

import secrets
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import structlog

from mcp_server.answer import Answer
from mcp_server.body import ClientGone, judge_body, read_body, replay
from mcp_server.borders import Borders, cors_headers, preflight_headers
from mcp_server.caller import Caller, serving
from mcp_server.credentials import bearer_token
from mcp_server.errors import (
    AuthError,
    ForeignOrigin,
    InvalidToken,
    MissingCredentials,
    ProviderUnavailable,
)
from mcp_server.outliving import LISTEN, end_after
from mcp_server.principal import Principal
from mcp_server.scopes import require

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from mcp_server.access import Access
    from mcp_server.answer import Headers
    from mcp_server.challenge import Challenger

    Verify = Callable[[str], Awaitable[Principal]]

log = structlog.get_logger(__name__)
_LOGGED_CHARACTERS = 200
_REMEMBERED_PRINCIPALS = 4096
_VARY: Headers = ((b"vary", b"Origin"),)


class Gate:
    """ASGI middleware for one endpoint.

    Args:
        app: what is behind the gate.
        verify: gives the principal of a token, or raises InvalidToken or ProviderUnavailable. A `Principal` in its
            place is everybody: DISABLE_AUTH.
        access: which scope every request needs, and which are as good.
        borders: which origins may call.
        challenger: tells the refusals.
        seconds_left: how long the token of a principal is good for: what has no end of its own ends then.
    """

    def __init__(  # noqa: PLR0913 - each by name
        self,
        app: ASGIApp,
        *,
        verify: Verify | Principal,
        access: Access,
        borders: Borders,
        challenger: Challenger,
        seconds_left: Callable[[Principal], float],
    ) -> None:
        self._app = app
        self._verify = verify
        self._open = isinstance(verify, Principal)
        self._access = access
        self._borders = borders
        self._challenger = challenger
        self._seconds_left = seconds_left
        # The verifiers give the same principal for the same token: judged once, it is known the next time.
        self._caller = lru_cache(maxsize=_REMEMBERED_PRINCIPALS)(self._judge)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one HTTP request."""
        origins, authorization = _read(scope["headers"])
        if not (authorization or origins or self._open):
            # The most frequent stranger, answered with what is ready.
            await self._challenge(send, _VARY)
            return
        extra = _VARY
        try:
            if origins:
                extra = self._cors(origins)
                if _is_preflight(scope):
                    await Answer(204, preflight_headers(origins[0]), b"").send(send)
                    return
            caller = self._caller(await self._principal(authorization))
            endless = scope["method"] == "GET"
            if scope["method"] == "POST":
                receive, document = await _judged(receive)
                endless = document.get("method") == LISTEN
        except ClientGone:
            return
        except AuthError as error:
            await self._refuse(error, send, extra)
            return
        scope = {**scope, "user": caller}
        with serving(caller):
            if endless and not self._open:
                await self._stream(scope, receive, send, extra)
            else:
                await self._app(scope, receive, _with_headers(send, extra))

    async def _stream(self, scope: Scope, receive: Receive, send: Send, extra: Headers) -> None:
        left = self._seconds_left(scope["user"].principal)
        try:
            await end_after(left, lambda noted: self._app(scope, receive, noted), _with_headers(send, extra))
        except InvalidToken as error:
            await self._refuse(error, send, extra)

    def _cors(self, origins: list[bytes]) -> Headers:
        if len(origins) != 1 or not self._borders.admits_origin(origins[0]):
            error = ForeignOrigin()
            error.add_note(", ".join(repr(origin) for origin in origins))
            raise error
        return cors_headers(origins[0])

    async def _principal(self, authorization: list[bytes]) -> Principal:
        if isinstance(self._verify, Principal):
            return self._verify  # everybody
        return await self._verify(bearer_token(authorization))

    def _judge(self, principal: Principal) -> Caller:
        """The caller, if its token is good for what every request needs."""
        require(principal, (self._access.base_scope,), self._access)
        scopes = " ".join(sorted(principal.scopes))
        log.info("admitted", subject=_shown(principal.subject), client=_shown(principal.client), scopes=_shown(scopes))
        return Caller(principal)

    async def _challenge(self, send: Send, extra: Headers) -> None:
        log.debug("challenged: no credentials")
        await self._challenger.missing.send(send, extra)

    async def _refuse(self, error: AuthError, send: Send, extra: Headers) -> None:
        if isinstance(error, MissingCredentials):
            await self._challenge(send, extra)
            return
        correlation_id = secrets.token_hex(8)
        log.warning("refused", status=error.status, code=error.code, correlation_id=correlation_id, **_details(error))
        await self._challenger.answer(error, correlation_id).send(send, extra)


def _read(headers: Iterable[tuple[bytes, bytes]]) -> tuple[list[bytes], list[bytes]]:
    """The values of Origin and of Authorization, every one that was sent."""
    origins: list[bytes] = []
    authorization: list[bytes] = []
    for name, value in headers:
        if name == b"authorization":
            authorization.append(value)
        elif name == b"origin":
            origins.append(value)
    return origins, authorization


async def _judged(receive: Receive) -> tuple[Receive, dict[str, Any]]:
    """A `receive` for the application, and what it will read: the body is judged, and given on as it is."""
    body = await read_body(receive)
    document = judge_body(body)
    return replay(body, receive), document


def _details(error: AuthError) -> dict[str, str | None]:
    """What the log says and the wire does not; bounded, and in escaped form since it comes from outside."""
    match error:
        case InvalidToken():
            return {"reason": error.reason.value, "expected": _shown(error.expected), "got": _shown(error.got)}
        case ProviderUnavailable():
            return {"fault": _shown(error.detail)}
        case _:
            return {"detail": _shown(" ".join([error.description, *getattr(error, "__notes__", ())]))}


def _shown(value: object) -> str | None:
    plain = value if isinstance(value, str) and value.isprintable() else repr(value)
    return None if value is None else plain[:_LOGGED_CHARACTERS]


def _is_preflight(scope: Scope) -> bool:
    """Fetch standard: OPTIONS with Origin and Access-Control-Request-Method."""
    return scope["method"] == "OPTIONS" and any(n == b"access-control-request-method" for n, _ in scope["headers"])


def _with_headers(send: Send, extra: Headers) -> Send:
    async def send_more(message: Message) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "headers": [*message["headers"], *extra]}
        await send(message)

    return send_more
