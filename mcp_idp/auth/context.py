"""The principal of the request that is being served, for tools to ask; and what its token can be exchanged for."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from math import isfinite
from typing import TYPE_CHECKING

from mcp.server.auth.middleware.auth_context import auth_context_var
from mcp.server.auth.middleware.bearer_auth import AuthenticatedUser
from mcp.server.auth.provider import AccessToken

if TYPE_CHECKING:
    from mcp_idp.principal import Principal


class AuthenticatedCaller(AuthenticatedUser):
    """The principal in the form the SDK knows: its session owners and its `get_access_token()` come from here.

    The token itself stays at the gate (MCP authorization: a server must not pass it on), so `token` is empty.

    Attributes:
        principal: who calls.
        effective_scopes: all scopes that the token is good for, the implied ones included.
    """

    def __init__(self, principal: Principal, effective_scopes: frozenset[str]) -> None:
        expires_at = int(principal.expires_at) if isfinite(principal.expires_at) else None
        super().__init__(
            AccessToken(
                token="",
                # Session owners are compared by client, issuer and subject: none may be left to chance.
                client_id=principal.client or "",
                scopes=sorted(principal.scopes),
                expires_at=expires_at,
                subject=principal.subject,
                claims={"iss": principal.issuer},
            )
        )
        self.principal = principal
        self.effective_scopes = effective_scopes


TokenExchanger = Callable[[str, tuple[str, ...]], Awaitable[str]]
"""Gives a token for another API: for an audience, with scopes."""

_exchange: ContextVar[TokenExchanger | None] = ContextVar("exchange", default=None)


class request_context:  # noqa: N801 - used like a function: with serving(caller)
    """While it is open, `caller` is who `current_principal` and the SDK's `get_access_token` answer with.

    Args:
        caller: who calls.
        exchange: what `exchange_token` asks. The caller's token is inside it, and nowhere else.
    """

    __slots__ = ("_caller", "_exchange", "_exchange_token", "_token")

    def __init__(self, caller: AuthenticatedCaller, exchange: TokenExchanger | None = None) -> None:
        self._caller = caller
        self._exchange = exchange

    def __enter__(self) -> None:
        self._token = auth_context_var.set(self._caller)
        self._exchange_token = _exchange.set(self._exchange)

    def __exit__(self, *_: object) -> None:
        auth_context_var.reset(self._token)
        _exchange.reset(self._exchange_token)


def current_principal() -> Principal:
    """Who called the tool that is running.

    Raises:
        LookupError: no request is being served, or it did not come through the gate.
    """
    user = auth_context_var.get()
    if isinstance(user, AuthenticatedCaller):
        return user.principal
    raise LookupError("no request of a principal is being served")


async def exchange_token(audience: str, *scopes: str) -> str:
    """A token of the caller for another API, in exchange for the one that was sent here (RFC 8693).

    The caller's own token is never passed on (MCP authorization, "Access Token Privilege Restriction"): it is for this
    server, and whoever gets it could call this server with it.

    Args:
        audience: what the provider calls the other API, and the access file's `upstreams` too.
        scopes: what to ask for there; none is all that the access file names.

    Raises:
        LookupError: the access file does not name the audience in `upstreams`, or not a scope there; or no request of
            a principal is being served.
        TokenExchangeError: the provider gives none.
    """
    exchange = _exchange.get()
    if exchange is None:
        raise LookupError("no token can be exchanged here: the access file names no upstreams, or DISABLE_AUTH is set")
    return await exchange(audience, scopes)
