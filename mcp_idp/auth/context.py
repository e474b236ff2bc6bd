"""Gives tools access to the caller of the current request, and exchanges the caller's token (RFC 8693)."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from dataclasses import replace
from math import isfinite
from typing import TYPE_CHECKING

from mcp.server.auth.middleware.auth_context import auth_context_var
from mcp.server.auth.middleware.bearer_auth import AuthenticatedUser
from mcp.server.auth.provider import AccessToken

if TYPE_CHECKING:
    from mcp_idp.principal import Principal


class AuthenticatedCaller(AuthenticatedUser):
    """The caller as a user object of the MCP SDK, which derives session owners and `get_access_token()` from it.

    The access token itself is not passed on to the application (MCP authorization: a server must not pass it through).
    The SDK's `AccessToken.token` is a digest of the principal instead: libraries keep what they cache for one caller
    apart from that for another by this value, as FastMCP's response cache does. It is no credential.

    Attributes:
        principal: the caller.
        effective_scopes: the granted scopes and all that they imply.
    """

    def __init__(self, principal: Principal, effective_scopes: frozenset[str]) -> None:
        expires_at = int(principal.expires_at) if isfinite(principal.expires_at) else None
        super().__init__(
            AccessToken(
                token=_digest(principal),
                # The SDK compares session owners by client, issuer and subject, so all three are passed to it.
                client_id=principal.client or "",
                scopes=sorted(principal.scopes),
                expires_at=expires_at,
                subject=principal.subject,
                claims={"iss": principal.issuer},
            )
        )
        self.principal = principal
        self.effective_scopes = effective_scopes


def _digest(principal: Principal) -> str:
    """Returns a digest of everything that makes one caller different from another, the types of claims included."""
    parts = replace(principal, expires_at=0.0, scopes=frozenset(), roles=None)
    roles = None if principal.roles is None else sorted(principal.roles)
    return hashlib.sha256(repr((parts, sorted(principal.scopes), roles)).encode()).hexdigest()


TokenExchanger = Callable[[str, tuple[str, ...]], Awaitable[str]]
"""Exchanges the caller's token: takes an audience and scopes, returns a token for that downstream API."""

_exchange: ContextVar[TokenExchanger | None] = ContextVar("exchange", default=None)


class request_context:  # noqa: N801 - a context manager, used like a function
    """Context manager that makes `caller` the result of `current_principal` and of the SDK's `get_access_token`.

    Args:
        caller: the caller of the current request.
        exchange: the function that `exchange_token` calls; None disables it. Only this function holds the caller's
            token.
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
    """Returns the caller of the current request.

    Raises:
        LookupError: no request is being served, or it did not pass the auth middleware.
    """
    user = auth_context_var.get()
    if isinstance(user, AuthenticatedCaller):
        return user.principal
    raise LookupError("no request of a principal is being served")


async def exchange_token(audience: str, *scopes: str) -> str:
    """Exchanges the token of the current request for a token for a downstream API (RFC 8693).

    The caller's own token must not be forwarded (MCP authorization, "Access Token Privilege Restriction"): it is valid
    for this server, so any API that receives it could call this server as the user.

    Args:
        audience: the audience of the downstream API, as listed under `upstreams` in the access file.
        scopes: the scopes to request there; by default all that the access file lists for it.

    Returns:
        The access token for the downstream API.

    Raises:
        LookupError: the access file does not list the audience or one of the scopes; or no token can be exchanged here,
            because there are no `upstreams`, no request is being served, or DISABLE_AUTH is set.
        TokenExchangeError: the token cannot be exchanged, or the provider issues no usable token.
    """
    exchange = _exchange.get()
    if exchange is None:
        raise LookupError("no token can be exchanged here: the access file names no upstreams, or DISABLE_AUTH is set")
    return await exchange(audience, scopes)
