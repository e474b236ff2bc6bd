"""Limits the requests of each address, before any other work is done for a request.

A request whose token was verified before is counted for its user instead of its address. So an address that sends too
much does not lock out its logged-in users, and unauthenticated clients get only a small part of the server's time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mcp_idp.auth.rate_limiting.client_address import address_key
from mcp_idp.http.transport_security import cors_headers

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

    from mcp_idp.auth.decisions import DecisionRecorder
    from mcp_idp.auth.rate_limiting.known_tokens import KnownTokens
    from mcp_idp.auth.rate_limiting.limits import RequestLimit
    from mcp_idp.errors import RateLimited
    from mcp_idp.http.responses import Headers
    from mcp_idp.http.transport_security import TransportSecurity

REQUESTER = "mcp_idp.requester"
"""Key of the ASGI scope for the sender of the request, as known before its token is verified: the user of a token that
was verified before, otherwise the address."""
KNOWN_TOKEN = "mcp_idp.known_token"  # noqa: S105 - not a token
"""Key of the ASGI scope that is present if the request's token was verified before."""
_PROBES = frozenset({"/livez", "/readyz"})
_VARY: Headers = ((b"vary", b"Origin"),)


class AddressLimiter:
    """ASGI middleware in front of the router.

    Args:
        app: the router.
        limit: the limit of each address.
        known: the tokens that were verified before.
        transport_security: which web pages may read the response.
        decisions: logs rejections and sends the responses.
        trusts_proxies: whether forwarded addresses are trusted (TRUSTED_PROXIES); if not, the log shows which
            rejected requests had some.
    """

    def __init__(  # noqa: PLR0913 - each by name
        self,
        app: ASGIApp,
        *,
        limit: RequestLimit,
        known: KnownTokens,
        transport_security: TransportSecurity,
        decisions: DecisionRecorder,
        trusts_proxies: bool,
    ) -> None:
        self._app = app
        self._limit = limit
        self._hit = limit.windows.hit
        self._known = known
        self._transport_security = transport_security
        self._decisions = decisions
        self._trusts_proxies = trusts_proxies

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one HTTP request or the lifespan. Health checks are not limited."""
        if scope["type"] == "http" and scope["path"] not in _PROBES:
            user = self._known.find(scope["headers"])
            if user is not None:
                scope[KNOWN_TOKEN] = True
                scope[REQUESTER] = user
            else:
                scope[REQUESTER] = address = address_key(scope)
                wait = self._hit(address)
                if wait:
                    await self._reject(self._limit.error(wait), address, scope, send)
                    return
        await self._app(scope, receive, send)

    async def _reject(self, error: RateLimited, address: str, scope: Scope, send: Send) -> None:
        names = dict(scope["headers"])
        has_untrusted_proxy = not self._trusts_proxies and (b"x-forwarded-for" in names or b"forwarded" in names)
        origin = names.get(b"origin")
        allowed = origin is not None and self._transport_security.is_allowed_origin(origin)
        extra = cors_headers(origin) if origin is not None and allowed else _VARY
        await self._decisions.reject_address(
            error, send, extra, address=address, has_untrusted_proxy=has_untrusted_proxy
        )
