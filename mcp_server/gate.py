"""The gate: every request to the MCP endpoint is judged here, before the application runs.

Order: Origin, credentials, base scope, body, the scopes that the message needs. Every refusal is an `AuthError`; who
hears of it is in `decisions.py`. The application sees only admitted requests, each with its caller.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

from mcp_server.answer import Answer
from mcp_server.body import MESSAGE, ClientGone, judge_body, read_body, replay
from mcp_server.borders import Borders, cors_headers, preflight_headers
from mcp_server.budget import LET_IN, Budget
from mcp_server.caller import Caller, serving
from mcp_server.credentials import bearer_token
from mcp_server.errors import AuthError, ForeignOrigin, InvalidToken
from mcp_server.outliving import LISTEN, end_after
from mcp_server.principal import Principal
from mcp_server.scopes import require

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from mcp_server.access import Access
    from mcp_server.answer import Headers
    from mcp_server.budget import Share
    from mcp_server.caller import Exchange
    from mcp_server.decisions import Decisions
    from mcp_server.exchange import TokenExchange
    from mcp_server.needs import Needs

    Verify = Callable[[str], Awaitable[Principal]]

_REMEMBERED_PRINCIPALS = 10_000  # as many as the verifiers remember tokens
_VARY: Headers = ((b"vary", b"Origin"),)


class Gate:
    """ASGI middleware for one endpoint.

    Args:
        app: what is behind the gate.
        verify: gives the principal of a token, or raises InvalidToken or ProviderUnavailable. A `Principal` in its
            place is everybody: DISABLE_AUTH.
        access: which scope every request needs, and which are as good.
        needs: which scopes a message needs besides.
        borders: which origins may call.
        decisions: tells what was decided.
        seconds_left: how long the token of a principal is good for: what has no end of its own ends then.
        exchange: gives tokens for other APIs, where tools may ask for them; without it no tool reaches a token.
        budget: what the requests that are let in may hold in memory.
    """

    def __init__(  # noqa: PLR0913 - each by name
        self,
        app: ASGIApp,
        *,
        verify: Verify | Principal,
        access: Access,
        needs: Needs,
        borders: Borders,
        decisions: Decisions,
        seconds_left: Callable[[Principal], float],
        exchange: TokenExchange | None = None,
        budget: Budget | None = None,
    ) -> None:
        self._app = app
        self._verify = verify
        self._open = isinstance(verify, Principal)
        self._access = access
        self._needs = needs
        self._borders = borders
        self._decisions = decisions
        self._seconds_left = seconds_left
        self._exchange = exchange
        self._budget = budget or Budget()
        # The verifiers give the same principal for the same token: judged once, it is known the next time.
        self._caller = lru_cache(maxsize=_REMEMBERED_PRINCIPALS)(self._judge)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one HTTP request."""
        origins, authorization = _read(scope["headers"])
        if not (authorization or origins or self._open):
            # The most frequent stranger, answered with what is ready.
            await self._decisions.challenge(send, _VARY)
            return
        with self._budget.share() as share:
            await self._serve(scope, receive, send, origins, authorization, share)

    async def _serve(  # noqa: PLR0913, PLR0917 - what was read of one request
        self,
        scope: Scope,
        receive: Receive,
        send: Send,
        origins: list[bytes],
        authorization: list[bytes],
        share: Share,
    ) -> None:
        extra, principal, document = _VARY, None, None
        try:
            if origins:
                extra = self._cors(origins)
                if _is_preflight(scope):
                    await Answer(204, preflight_headers(origins[0]), b"").send(send)
                    return
            principal = await self._principal(authorization)
            share.begin(principal, _let_in(scope))
            caller = self._caller(principal)
            body = await read_body(receive, share)
            if scope["method"] == "POST":
                document = judge_body(body, share)
                self._check(caller, document)
            # Only a POST has a message. What comes with another method was not judged, so it goes no further.
            receive = replay(body if document is not None else b"", receive)
            self._decisions.allowed(principal, document)
        except ClientGone:
            return
        except AuthError as error:
            await self._decisions.refused(error, send, extra, principal=principal, message=document)
            return
        exchange = None
        if self._exchange is not None and not self._open:
            exchange = _exchange_of(self._exchange, principal, bearer_token(authorization))
        with serving(caller, exchange):
            inside = {**scope, "user": caller, MESSAGE: document, "headers": _without_token(scope["headers"])}
            await self._pass(inside, receive, _with_headers(send, extra), document)

    async def _pass(self, scope: Scope, receive: Receive, send: Send, document: dict[str, Any] | None) -> None:
        """Let the application answer; what would have no end ends with the token."""
        endless = scope["method"] == "GET" if document is None else document.get("method") == LISTEN
        if not endless or self._open:
            await self._app(scope, receive, send)
            return
        principal = scope["user"].principal
        left = self._seconds_left(principal)
        try:
            await end_after(left, lambda noted: self._app(scope, receive, noted), send)
        except InvalidToken as error:
            await self._decisions.refused(error, send, (), principal=principal, message=document)

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
        self._decisions.admitted(principal)
        return Caller(principal, self._access.expand(principal.scopes))

    def _check(self, caller: Caller, document: dict[str, Any]) -> None:
        """Let a message pass whose caller has all the scopes that it needs."""
        needed = self._needs.of(document)
        if not caller.good_for.issuperset(needed):
            require(caller.principal, needed, self._access)


def _let_in(scope: Scope) -> int:
    """Tell the connection that its request is a person's; the bytes it holds count as theirs from here on."""
    extension: dict[str, Callable[[], int]] | None = scope.get("extensions", {}).get(LET_IN)
    return extension["tell"]() if extension is not None else 0


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


def _exchange_of(exchange: TokenExchange, principal: Principal, token: str) -> Exchange:
    """What tools ask. A function, so that no repr shows what it holds."""

    async def upstream(audience: str, scopes: tuple[str, ...]) -> str:
        return await exchange.token(principal, token, audience, scopes)

    return upstream


def _without_token(headers: Iterable[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """What the application may see: tools get at the headers of their request, and the token is not for them."""
    return [header for header in headers if header[0] != b"authorization"]


def _is_preflight(scope: Scope) -> bool:
    """Fetch standard: OPTIONS with Origin and Access-Control-Request-Method."""
    return scope["method"] == "OPTIONS" and any(n == b"access-control-request-method" for n, _ in scope["headers"])


def _with_headers(send: Send, extra: Headers) -> Send:
    async def send_more(message: Message) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "headers": [*message["headers"], *extra]}
        await send(message)

    return send_more
