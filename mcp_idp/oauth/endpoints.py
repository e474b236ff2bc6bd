"""Provider endpoints that require client authentication: introspection (RFC 7662 section 2) and token endpoint.

Each call is one POST whose response is bounded. No text that leaves this module contains the token or the secret, and
no exception raised here has the request in its cause.
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
    """An endpoint at which this server authenticates as a client.

    Args:
        http: the HTTP client to use.
        locate: returns the URL of the endpoint; may raise `ProviderUnavailable`.
        clock: the time, to limit how often a rejection of the credentials is logged.
        client: the client authentication method.

    Attributes:
        impact: for the log, what fails while the provider rejects the credentials.
    """

    impact = "no token can be checked"
    _statuses = frozenset({200})  # the statuses of a usable response

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
        """Sends `form` with the client credentials.

        Returns:
            The JSON object of the response, and its size in bytes.

        Raises:
            ProviderUnavailable: there is no usable response; the text says why, for the log.
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
        # No redirects: a redirect could send the token and the client secret to another host.
        credentials = self._client.credentials()
        content = urlencode({**form, **credentials.form}).encode()
        headers = {**_HEADERS, **credentials.headers}
        async with self._http.stream("POST", url, content=content, headers=headers, follow_redirects=False) as response:
            if response.status_code in self._client.rejection_statuses - self._statuses:
                self._log_client_rejected(url, response.status_code)
            return await read_bounded(response, url, MAX_RESPONSE_BYTES, self._statuses)

    def _log_client_rejected(self, url: str, status: int) -> None:
        """Logs that the provider rejected the credentials, at most once per `COMPLAIN_EVERY_SECONDS`.

        Later calls are still sent: a firewall in front of the provider may reject a single unusual token with the same
        status, and the sender of that token must not block other users.
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
    """The introspection endpoint (RFC 7662)."""

    async def introspect(self, token: str) -> tuple[dict[str, Any], int]:
        """Introspects `token`.

        The request has no `token_type_hint`: a hint only narrows the provider's search, and with a wrong one Keycloak
        reports the token as inactive.

        Returns:
            The JSON object of the introspection response, and its size in bytes.

        Raises:
            ProviderUnavailable: there is no usable response; the text says why, for the log.
        """
        return await self.post({"token": token})


class TokenEndpoint(AuthenticatedEndpoint):
    """The token endpoint. An error response (RFC 6749 section 5.2, RFC 8693 section 2.2.2) counts as usable too."""

    impact = "no token can be exchanged"
    _statuses = frozenset({200, 400})

    async def request_token(self, form: Mapping[str, str]) -> dict[str, Any]:
        """Requests a token with the parameters in `form`.

        Returns:
            The JSON object of the response: a token response or an error response with `error`.

        Raises:
            ProviderUnavailable: there is no usable response, or the provider rejects this client (`invalid_client` or
                `unauthorized_client`); the text says which.
        """
        response, _ = await self.post(form)
        error = response.get("error")
        if isinstance(error, str) and error in _CLIENT_ERRORS:
            self._log_client_rejected(await self._locate(), 400)
            raise ProviderUnavailable(f"the token endpoint: {error}")
        return response
