"""The gate: every request to the MCP endpoint is judged here, before the application runs.

Order: Origin, credentials, scope, body. Every refusal is an `AuthError`, told by the `Challenger` and logged with its
reason and a correlation id. The application sees only admitted requests, each with its caller.
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Protocol

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
from mcp_server.scopes import require

if TYPE_CHECKING:
    from collections.abc import Iterable

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from mcp_server.access import Access
    from mcp_server.answer import Headers
    from mcp_server.challenge import Challenger
    from mcp_server.principal import Principal

log = structlog.get_logger(__name__)
_LOGGED_CHARACTERS = 200
_VARY: Headers = ((b"vary", b"Origin"),)


class Verifier(Protocol):
    """Whoever can tell what a token stands for."""

    async def verify(self, token: str) -> Principal:
        """The principal of `token`; raises InvalidToken or ProviderUnavailable."""


class Gate:
    """ASGI middleware for one endpoint."""

    def __init__(
        self, app: ASGIApp, *, verifier: Verifier | Principal, access: Access, borders: Borders, challenger: Challenger
    ) -> None:
        """Put the gate before `app`. A `Principal` in place of a verifier is everybody: DISABLE_AUTH."""
        self._app = app
        self._verifier = verifier
        self._access = access
        self._needed = (access.base_scope,)
        self._borders = borders
        self._challenger = challenger

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one HTTP request."""
        origins = [value for name, value in scope["headers"] if name == b"origin"]
        extra = _VARY
        try:
            if origins:
                extra = self._cors(origins)
                if scope["method"] == "OPTIONS" and _asks_for_method(scope["headers"]):
                    await Answer(204, preflight_headers(origins[0]), b"").send(send)
                    return
            principal = await self._principal(scope["headers"])
            require(principal, self._needed, self._access)
            if scope["method"] == "POST":
                body = await read_body(receive)
                judge_body(body)
                receive = replay(body, receive)
        except ClientGone:
            return
        except AuthError as error:
            await self._refuse(error, scope, send, extra)
            return
        await self._admit(principal, scope, receive, _with_headers(send, extra))

    def _cors(self, origins: list[bytes]) -> Headers:
        if len(origins) != 1 or not self._borders.admits_origin(origins[0]):
            error = ForeignOrigin()
            error.add_note(", ".join(repr(origin) for origin in origins))
            raise error
        return cors_headers(origins[0])

    async def _principal(self, headers: Iterable[tuple[bytes, bytes]]) -> Principal:
        if not hasattr(self._verifier, "verify"):
            return self._verifier
        token = bearer_token([value for name, value in headers if name == b"authorization"])
        return await self._verifier.verify(token)

    async def _admit(self, principal: Principal, scope: Scope, receive: Receive, send: Send) -> None:
        caller = Caller(principal)
        with serving(caller):
            await self._app({**scope, "user": caller}, receive, send)

    async def _refuse(self, error: AuthError, scope: Scope, send: Send, extra: Headers) -> None:
        correlation_id = secrets.token_hex(8)
        if isinstance(error, MissingCredentials):
            log.debug("challenged: no credentials", method=scope["method"])
        else:
            log.warning(
                "refused", status=error.status, code=error.code, correlation_id=correlation_id, **_details(error)
            )
        await self._challenger.answer(error, correlation_id).send(send, extra)


def _details(error: AuthError) -> dict[str, str]:
    """What the log says and the wire does not; bounded, and in escaped form since it comes from outside."""
    match error:
        case InvalidToken():
            details = {"reason": error.reason.value, "expected": repr(error.expected), "got": repr(error.got)}
        case ProviderUnavailable():
            details = {"fault": error.detail}
        case _:
            details = {"detail": " ".join([error.description, *getattr(error, "__notes__", ())])}
    return {name: text[:_LOGGED_CHARACTERS] for name, text in details.items()}


def _asks_for_method(headers: Iterable[tuple[bytes, bytes]]) -> bool:
    return any(name == b"access-control-request-method" for name, _ in headers)


def _with_headers(send: Send, extra: Headers) -> Send:
    async def send_more(message: Message) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "headers": [*message["headers"], *extra]}
        await send(message)

    return send_more
