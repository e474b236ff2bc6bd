"""Endpoints of the provider that are asked in this server's own name: introspection, RFC 7662 section 2, and tokens.

One POST with bounds on its answer. Neither the token nor the secret is in any text that leaves this module, and no
exception raised here shows the request as its cause.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import httpx
import structlog

from mcp_idp.errors import ProviderUnavailable
from mcp_idp.oauth.http import FetchError, read_bounded
from mcp_idp.util import strict_json

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from mcp_idp.oauth.client_auth import ClientAuth
    from mcp_idp.util.clock import Clock

MAX_RESPONSE_BYTES = 64 * 1024
COMPLAIN_EVERY_SECONDS = 60.0
_HEADERS = {
    "content-type": "application/x-www-form-urlencoded",
    "accept": "application/json",
    "accept-encoding": "identity",
}
_CLIENT_ERRORS = frozenset({"invalid_client", "unauthorized_client"})  # RFC 6749 section 5.2
log = structlog.get_logger(__name__)


class AuthenticatedEndpoint:
    """An endpoint of the provider that answers known clients: it is shown who asks, in the way of `client`.

    Attributes:
        impact: what does not work while the provider does not believe who asks.

    Args:
        http: the client to ask with.
        locate: finds the endpoint.
        clock: for how often the operator is told.
        client: how this server says who it is.
    """

    impact = "no token can be checked"
    _statuses = frozenset({200})  # with which it answers

    def __init__(
        self,
        http: httpx.AsyncClient,
        locate: Callable[[], Awaitable[str]],
        clock: Clock,
        client: ClientAuth,
    ) -> None:
        self._http = http
        self._locate = locate
        self._clock = clock
        self._client = client
        self._complained_at = float("-inf")

    async def post(self, form: Mapping[str, str]) -> tuple[dict[str, Any], int]:
        """What the provider answers to a form, and how many bytes it took to say it.

        Raises:
            ProviderUnavailable: there is no usable answer; the text says why, for the log.
        """
        url = await self._locate()
        try:
            body = await self._post(url, form)
            response = strict_json.loads(body)
        except (httpx.HTTPError, httpx.InvalidURL, UnicodeError) as error:
            raise ProviderUnavailable(f"{url}: {type(error).__name__}") from None
        except strict_json.StrictJsonError as error:
            raise ProviderUnavailable(f"{url}: {error}") from None
        except FetchError as error:
            raise ProviderUnavailable(str(error)) from None
        if not isinstance(response, dict):
            raise ProviderUnavailable(f"{url}: not a JSON object")
        return response, len(body)

    async def _post(self, url: str, form: Mapping[str, str]) -> bytes:
        # No redirect: it would let whoever answers choose who sees the token and our secret.
        credentials = self._client.credentials()
        content = urlencode({**form, **credentials.form}).encode()
        headers = {**_HEADERS, **credentials.headers}
        async with self._http.stream("POST", url, content=content, headers=headers, follow_redirects=False) as response:
            if response.status_code in self._client.rejection_statuses - self._statuses:
                self._log_client_rejected(url, response.status_code)
            return await read_bounded(response, url, MAX_RESPONSE_BYTES, self._statuses)

    def _log_client_rejected(self, url: str, status: int) -> None:
        """Tell the operator, once per `COMPLAIN_EVERY_SECONDS`.

        The next call is made all the same: a firewall before the provider may refuse one odd token with the same
        status, and whoever sends that must not lock out the others.
        """
        now = self._clock.monotonic()
        if now - self._complained_at < COMPLAIN_EVERY_SECONDS:
            return
        self._complained_at = now
        log.error(
            "client_authentication_rejected",
            url=url,
            status=status,
            client_id=self._client.client_id,
            hint=f"the identity provider rejects this server's own credentials: {self.impact}. {self._client.remedy}",
        )


class IntrospectionEndpoint(AuthenticatedEndpoint):
    """Where the provider says whether a token is active."""

    async def introspect(self, token: str) -> tuple[dict[str, Any], int]:
        """What the provider says of `token`, and how many bytes it took to say it.

        No token_type_hint: it may only narrow where the provider looks, and Keycloak answers a wrong one "inactive".

        Raises:
            ProviderUnavailable: there is no usable answer; the text says why, for the log.
        """
        return await self.post({"token": token})


class TokenEndpoint(AuthenticatedEndpoint):
    """Where the provider gives tokens. An error is an answer too: RFC 6749 section 5.2, RFC 8693 section 2.2.2."""

    impact = "no token can be exchanged"
    _statuses = frozenset({200, 400})

    async def request_token(self, form: Mapping[str, str]) -> dict[str, Any]:
        """What the provider answers to a form: a token, or an `error`.

        Raises:
            ProviderUnavailable: there is no usable answer, or it is that this server may not ask; the text says which.
        """
        response, _ = await self.post(form)
        error = response.get("error")
        if isinstance(error, str) and error in _CLIENT_ERRORS:
            self._log_client_rejected(await self._locate(), 400)
            raise ProviderUnavailable(f"the token endpoint: {error}")
        return response
