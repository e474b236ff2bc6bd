"""The auth middleware: authenticates and authorizes every request to the MCP endpoint before the application runs.

The checks run in this order: Origin, credentials, base scope, body, scopes that the message requires. A failed check
raises an `AuthError`; `decisions.py` records it and sends the response. The application receives authorized requests
only, each with its caller.
"""

from __future__ import annotations

import asyncio
import time
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import structlog

from mcp_idp.auth.bearer import parse_bearer_token
from mcp_idp.auth.context import AuthenticatedCaller, request_context
from mcp_idp.auth.invocations import Resolved, authorized_request, resolve_message
from mcp_idp.auth.rate_limiting.by_address import KNOWN_TOKEN, REQUESTER
from mcp_idp.auth.rate_limiting.by_user import RequestSlot, UserLimits
from mcp_idp.auth.rate_limiting.known_tokens import KnownTokens
from mcp_idp.auth.scopes import require_scopes
from mcp_idp.auth.stream_comments import serve_with_comments
from mcp_idp.auth.stream_expiry import SUBSCRIPTIONS_LISTEN, end_stream_with_token
from mcp_idp.config.rate_limit_settings import NO_LIMITS
from mcp_idp.errors import AuthError, InvalidToken, OriginNotAllowed, TooManyRequests
from mcp_idp.http.body import MESSAGE_SCOPE_KEY, ClientDisconnect, read_body
from mcp_idp.http.long_messages import LongMessages
from mcp_idp.http.responses import Response
from mcp_idp.http.transport_security import TransportSecurity, cors_headers, merge_headers, preflight_headers
from mcp_idp.principal import Principal, user_key
from mcp_idp.util.request_memory import (
    AUTHENTICATED_CALLBACK,
    MEMORY_SHARE_SCOPE_KEY,
    REQUEST_BYTES,
    RequestMemory,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Hashable, Iterable, Sequence

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from mcp_idp.access.policy import AccessPolicy
    from mcp_idp.auth.context import TokenExchanger
    from mcp_idp.auth.decisions import DecisionRecorder
    from mcp_idp.auth.invocations import ServerAdapter
    from mcp_idp.auth.scopes import ScopeRequirements
    from mcp_idp.http.responses import Headers
    from mcp_idp.oauth.token_exchange import TokenExchange
    from mcp_idp.util.request_memory import MemoryShare

    Verify = Callable[[str, Hashable], Awaitable[Principal]]

log = structlog.get_logger(__name__)
_NOTHING_ELSE = Resolved()
_VARY: Headers = ((b"vary", b"Origin"),)


class AuthMiddleware:
    """ASGI middleware that authenticates and authorizes the requests to one endpoint.

    Args:
        app: the application that receives the authorized requests.
        verify: returns the principal of a token, or raises InvalidToken, RateLimited or ProviderUnavailable. Its second
            argument is who sent the token, see `REQUESTER`. A `Principal` in place of the function disables
            authentication: every request has this principal (DISABLE_AUTH).
        access: the access policy: the base scope, and which scopes imply others.
        scope_requirements: the scopes that each message requires.
        transport_security: the allowed origins.
        decisions: records the decisions and sends the responses to rejected requests.
        remaining_lifetime: returns for how many seconds the token of a principal is still valid. Streams that would not
            end by themselves are ended then.
        seconds_known: returns for how many seconds the status of a token is known; streams verify it again then.
        exchange: exchanges tokens for downstream APIs on behalf of tools; None if tools may not do so.
        budget: bounds the memory that authenticated requests hold.
        adapters: find out what a name in a message stands for, one for each MCP server that `app` serves.
        limits: limits what each user may do; None for no limits.
        known: the tokens that were verified before, shared with `AddressLimiter`.
        max_callers: how many tokens the verifiers cache; their callers are cached too.
        stream_comments: seconds without an event after which a comment is sent on a stream that would not end by
            itself; 0 for no comments.
    """

    def __init__(  # noqa: PLR0913 - each by name
        self,
        app: ASGIApp,
        *,
        verify: Verify | Principal,
        access: AccessPolicy,
        scope_requirements: ScopeRequirements,
        transport_security: TransportSecurity,
        decisions: DecisionRecorder,
        remaining_lifetime: Callable[[Principal], float],
        seconds_known: Callable[[str], float],
        budget: RequestMemory,
        max_callers: int,
        exchange: TokenExchange | None = None,
        adapters: Sequence[ServerAdapter] = (),
        limits: UserLimits | None = None,
        known: KnownTokens | None = None,
        stream_comments: float = 0.0,
    ) -> None:
        self._app = app
        self._adapters = adapters
        self._verify = verify
        self._auth_disabled = isinstance(verify, Principal)
        self._access = access
        self._scope_requirements = scope_requirements
        self._transport_security = transport_security
        self._decisions = decisions
        self._remaining_lifetime = remaining_lifetime
        self._seconds_known = seconds_known
        self._exchange = exchange
        self._budget = budget
        self._stream_comments = stream_comments
        self._long_messages = LongMessages()
        self._limits = limits or UserLimits(NO_LIMITS, {}, time.time)
        self._known = KnownTokens(time.time) if known is None else known
        # The verifiers return the same cached principal for the same token, so each is authorized and logged once.
        self._authenticate_cached = lru_cache(maxsize=max_callers)(self._authorize_base_scope)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one HTTP request."""
        origins, authorization = _origin_and_authorization(scope["headers"])
        if not (authorization or origins or self._auth_disabled):
            # Fast path: an unauthenticated request gets the prebuilt 401.
            await self._decisions.send_challenge(send, _VARY)
            return
        sent = _SentResponse(send)
        with self._budget.share() as share:
            slot = RequestSlot(self._limits)
            share.on_release(slot.end)
            task = asyncio.current_task()
            assert task is not None  # noqa: S101 - a coroutine runs in a task
            share.add_cancel(task.cancel)
            try:
                await self._serve(scope, receive, sent, origins, authorization, share, slot)
            except asyncio.CancelledError:
                if not share.is_cancelled or task.uncancel():
                    raise  # cancelled for another reason
                await self._end_cancelled(sent, self._cors(origins) if origins else _VARY)
            finally:
                share.remove_cancel(task.cancel)

    async def _serve(  # noqa: PLR0913, PLR0917 - the parsed parts of one request
        self,
        scope: Scope,
        receive: Receive,
        send: _SentResponse,
        origins: list[bytes],
        authorization: list[bytes],
        share: MemoryShare,
        slot: RequestSlot,
    ) -> None:
        extra, principal, document, runs = _VARY, None, None, _NOTHING_ELSE
        try:
            if origins:
                extra = self._cors(origins)
                if _is_preflight(scope):
                    await Response(204, preflight_headers(origins[0], scope["headers"]), b"").send(send)
                    return
            principal = send.principal = await self._principal(scope, authorization)
            slot.begin(principal, scope["method"])
            share.begin(principal)
            await share.reserve(REQUEST_BYTES + _report_authenticated(scope, principal))
            caller = self._authenticate_cached(principal)
            body = await read_body(receive, share)
            if scope["method"] == "POST":
                document = await self._long_messages.parse(body, user_key(principal), share)
                runs = await self._resolve(caller, document)
                self._authorize_message(caller, document, runs)
                slot.begin_message(document, runs.also)
            # Only a POST carries a message. The body of any other method was not validated, so it is not forwarded.
            receive = self._long_messages.replay(body if document is not None else b"", receive, user_key(principal))
            correlation_id = self._decisions.record_allowed(principal, document, runs.also)
        except ClientDisconnect:
            return
        except AuthError as error:
            await self._decisions.reject(error, send, extra, principal=principal, message=document, runs=runs.also)
            return
        exchange = None
        if self._exchange is not None and not self._auth_disabled:
            exchange = _bind_token_exchange(self._exchange, principal, parse_bearer_token(authorization))
        with request_context(caller, exchange):
            inside = {
                **scope,
                "user": caller,
                MESSAGE_SCOPE_KEY: document,
                MEMORY_SHARE_SCOPE_KEY: share,
                "headers": _strip_authorization(scope["headers"]),
            }
            serving = self._call_app(inside, receive, _with_headers(send, extra), document, authorization)
            if not self._adapters:
                await serving
                return
            with authorized_request(runs, correlation_id, document):
                await serving

    async def _call_app(
        self,
        scope: Scope,
        receive: Receive,
        send: Send,
        document: dict[str, Any] | None,
        authorization: list[bytes],
    ) -> None:
        """Calls the application. A response that would never end is ended when the token ends."""
        endless = scope["method"] == "GET" if document is None else document.get("method") == SUBSCRIPTIONS_LISTEN
        if endless and not self._auth_disabled:
            await self._serve_stream(scope, receive, send, document, authorization)
        else:
            await self._app(scope, receive, send)

    async def _serve_stream(
        self, scope: Scope, receive: Receive, send: Send, document: dict[str, Any] | None, authorization: list[bytes]
    ) -> None:
        principal = scope["user"].principal
        token = parse_bearer_token(authorization)

        async def verify_again() -> None:
            self._authenticate_cached(await self._principal({**scope, KNOWN_TOKEN: True}, authorization))

        try:
            await end_stream_with_token(
                self._remaining_lifetime(principal),
                lambda noted: serve_with_comments(
                    lambda commented: self._app(scope, receive, commented), noted, self._stream_comments
                ),
                send,
                verify_again,
                lambda: self._seconds_known(token),
            )
        except InvalidToken as error:
            await self._decisions.reject(error, send, (), principal=principal, message=document)

    async def _end_cancelled(self, sent: _SentResponse, extra: Headers) -> None:
        """Ends the response to a request that was cancelled because its user holds too much memory."""
        if not sent.is_started:
            await self._decisions.reject(TooManyRequests(), sent, extra, principal=sent.principal)
        elif not sent.is_complete:
            log.warning("response_cut_off", code=TooManyRequests.code)
            await sent({"type": "http.response.body", "body": b"", "more_body": False})

    def _cors(self, origins: list[bytes]) -> Headers:
        if len(origins) != 1 or not self._transport_security.is_allowed_origin(origins[0]):
            raise OriginNotAllowed(origin.decode("latin-1") for origin in origins)
        return cors_headers(origins[0])

    async def _principal(self, scope: Scope, authorization: list[bytes]) -> Principal:
        if isinstance(self._verify, Principal):
            return self._verify  # authentication is disabled
        token = parse_bearer_token(authorization)
        try:
            principal = await self._verify(token, scope.get(REQUESTER))
        except InvalidToken:
            self._known.forget(authorization[0])
            raise
        if not scope.get(KNOWN_TOKEN):
            self._limits.count_new_token(principal)
            self._known.add(authorization[0], principal)
        return principal

    def _authorize_base_scope(self, principal: Principal) -> AuthenticatedCaller:
        """Returns the caller if its token has the base scope, which every request requires."""
        require_scopes(principal, (self._access.base_scope,), self._access)
        self._decisions.log_authenticated(principal)
        return AuthenticatedCaller(principal, self._access.effective_scopes(principal.scopes))

    async def _resolve(self, caller: AuthenticatedCaller, document: dict[str, Any]) -> Resolved:
        """Returns what the name in a message stands for. The adapters run with the caller as the current principal."""
        if not self._adapters:
            return _NOTHING_ELSE
        with request_context(caller):
            return await resolve_message(self._adapters, document)

    def _authorize_message(self, caller: AuthenticatedCaller, document: dict[str, Any], runs: Resolved) -> None:
        """Rejects a message whose caller lacks one of the scopes that it, or what it runs, requires."""
        required = self._scope_requirements.for_message(document, runs.also)
        if not caller.effective_scopes.issuperset(required):
            require_scopes(caller.principal, required, self._access)


class _SentResponse:
    """The `send` of a request, which notes how much of the response is sent.

    Attributes:
        is_started: whether the response has begun.
        is_complete: whether it has ended.
        principal: the caller, once the token is verified.
    """

    __slots__ = ("_send", "is_complete", "is_started", "principal")

    def __init__(self, send: Send) -> None:
        self._send = send
        self.is_started = False
        self.is_complete = False
        self.principal: Principal | None = None

    async def __call__(self, message: Message) -> None:
        """Sends an ASGI message."""
        self.is_started = True
        await self._send(message)
        self.is_complete = message["type"] == "http.response.body" and not message.get("more_body", False)


def _report_authenticated(scope: Scope, principal: Principal) -> int:
    """Reports to the HTTP server that the request is authenticated, and its user.

    Returns:
        The number of bytes of the request that the server has buffered; from now on they count for the user. 0 if the
        server does not support this extension.
    """
    extension: dict[str, Callable[[Hashable], int]] | None = scope.get("extensions", {}).get(AUTHENTICATED_CALLBACK)
    return extension["callback"](user_key(principal)) if extension is not None else 0


def _origin_and_authorization(headers: Iterable[tuple[bytes, bytes]]) -> tuple[list[bytes], list[bytes]]:
    """Returns all values of the Origin header and all values of the Authorization header."""
    origins: list[bytes] = []
    authorization: list[bytes] = []
    for name, value in headers:
        if name == b"authorization":
            authorization.append(value)
        elif name == b"origin":
            origins.append(value)
    return origins, authorization


def _bind_token_exchange(exchange: TokenExchange, principal: Principal, token: str) -> TokenExchanger:
    """Returns the exchange function for one request. A closure, so that no repr shows the token that it holds."""

    async def exchange_for(audience: str, scopes: tuple[str, ...]) -> str:
        return await exchange.token(principal, token, audience, scopes)

    return exchange_for


def _strip_authorization(headers: Iterable[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """Returns the headers without Authorization: tools can read the request's headers and must not see the token."""
    return [header for header in headers if header[0] != b"authorization"]


def _is_preflight(scope: Scope) -> bool:
    """Whether a request that has an Origin is a CORS preflight: OPTIONS with Access-Control-Request-Method (Fetch)."""
    return scope["method"] == "OPTIONS" and any(n == b"access-control-request-method" for n, _ in scope["headers"])


def _with_headers(send: Send, response_headers: Headers) -> Send:
    async def send_more(message: Message) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "headers": merge_headers(message["headers"], response_headers)}
        await send(message)

    return send_more
