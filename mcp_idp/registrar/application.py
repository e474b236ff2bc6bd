"""The ASGI application of the registrar.

It holds no credential and no state: what it knows of a registration ends with the response. Only the counters of the
limit by address remain, in a table of bounded size.
"""

from __future__ import annotations

from time import monotonic, time
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import structlog

from mcp_idp.access.registration_profiles import PROFILES
from mcp_idp.auth.rate_limiting.client_address import address_key
from mcp_idp.auth.rate_limiting.limits import RequestLimit
from mcp_idp.errors import RateLimited
from mcp_idp.http.body import ClientDisconnect
from mcp_idp.http.responses import NOT_FOUND, Response
from mcp_idp.registrar.errors import RegistrationClosed, RegistrationRejected
from mcp_idp.registrar.normalization import Limits, dropped_members, normalize
from mcp_idp.registrar.request import check_headers, read_document, values
from mcp_idp.registrar.upstream import ProviderFailed
from mcp_idp.util.repeated_events import RepeatedEvents

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.types import Receive, Scope, Send

    from mcp_idp.access.models import RegistrationPolicy
    from mcp_idp.http.responses import Headers
    from mcp_idp.registrar.upstream import Upstream

log = structlog.get_logger(__name__)
LIMIT_SECONDS = 60
_LIVE = Response.json(200, {"status": "live"})
_ONLY_POST = Response.json(
    405, {"error": "method_not_allowed", "error_description": "Use POST."}, ((b"allow", b"POST"),)
)
_UNAVAILABLE = "The identity provider does not answer. Nothing is wrong with the registration: try again shortly."
_FAILED = "The identity provider failed to register the client. Try again; its log has the reason."


class Registrar:
    """ASGI application: one endpoint that takes registrations, at the path of the provider's own.

    Args:
        upstream: the provider's endpoint.
        registration: the block `registration` of the access file.
        home_hosts: hosts that `client_uri` may have, in addition to those of the redirect URIs.
        quota: registrations of one address in `LIMIT_SECONDS`; 0 for no limit.
        now: returns the time in seconds since the epoch.
    """

    def __init__(
        self,
        upstream: Upstream,
        registration: RegistrationPolicy,
        *,
        home_hosts: frozenset[str],
        quota: int,
        now: Callable[[], float] = time,
    ) -> None:
        self._upstream = upstream
        self._path = urlsplit(upstream.url).path
        self._profile = PROFILES[registration.profile]
        self._web_origins = frozenset(origin.encode() for origin in registration.web_origins)
        self._limits = Limits.of(registration, home_hosts)
        self._repeated = RepeatedEvents(monotonic)
        self._address_limit = RequestLimit(
            "registrations",
            quota,
            "Too many registrations from this address.",
            now,
            seconds=LIMIT_SECONDS,
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one request, or the lifespan."""
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
        elif scope["path"] == "/livez":
            await _LIVE(scope, receive, send)
        elif scope["path"].removesuffix("/") != self._path:
            await NOT_FOUND.send(send)
        elif scope["method"] != "POST":
            await _ONLY_POST.send(send)
        else:
            await self._serve(scope, receive, send)

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            response = await self._register(scope, receive)
        except RegistrationRejected as error:
            self._report("registration_rejected", error.code, detail=error.description)
            response = Response.json(
                error.status, {"error": error.code, "error_description": error.description}, self._cors(scope)
            )
        except RateLimited as error:
            self._report("registration_rejected", error.code, address=address_key(scope))
            document = {"error": error.code, "error_description": error.description}
            fields = ((b"retry-after", b"%d" % error.retry_after), *error.fields, *self._cors(scope))
            response = Response.json(error.status, document, fields)
        except ProviderFailed as error:
            self._report("provider_failed", "provider_failed", detail=str(error)[:200])
            text = _UNAVAILABLE if error.status == 503 else _FAILED  # noqa: PLR2004 - the two statuses
            document = {"error": "temporarily_unavailable", "error_description": text}
            response = Response.json(error.status, document, ((b"retry-after", b"5"), *self._cors(scope)))
        except ClientDisconnect:
            return
        await response.send(send)

    async def _register(self, scope: Scope, receive: Receive) -> Response:
        """Returns the response to a registration.

        Raises:
            RegistrationRejected, RateLimited, ProviderFailed: the client is not registered.
            ClientDisconnect: nobody waits for the response.
        """
        headers = scope["headers"]
        self._address_limit.take(address_key(scope))
        self._check_profile(values(headers, b"authorization"))
        check_headers(headers)
        document = await read_document(receive)
        forwarded = normalize(document, self._limits)
        response = await self._upstream.register(forwarded, document["redirect_uris"], headers)
        log.info("registration_forwarded", status=response.status, dropped=dropped_members(document, forwarded))
        return response

    def _check_profile(self, authorization: list[bytes]) -> None:
        if not self._profile.initial_access_token:
            raise RegistrationClosed("Registration is closed: use a client_id from the administrator of this provider.")
        if not self._profile.anonymous and not authorization:
            raise RegistrationClosed(
                "Registration needs an initial access token from the administrator of this provider "
                "(RFC 7591 section 3)."
            )

    def _cors(self, scope: Scope) -> Headers:
        """Returns the CORS headers for a response of this application, which the listed web origins may read."""
        origins = values(scope["headers"], b"origin")
        vary = (b"vary", b"Origin")
        if len(origins) == 1 and self._profile.anonymous and origins[0] in self._web_origins:
            return ((b"access-control-allow-origin", origins[0]), vary)
        return (vary,)

    def _report(self, event: str, kind: str, **fields: Any) -> None:
        """Logs an event that anybody can cause: the first of a kind as a warning, the others for debugging only."""
        record = log.warning if self._repeated.is_first(kind) else log.debug
        record(event, code=kind, **fields)

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                await send({"type": "lifespan.startup.complete"})
            else:
                await self._upstream.http.aclose()
                await send({"type": "lifespan.shutdown.complete"})
                return
