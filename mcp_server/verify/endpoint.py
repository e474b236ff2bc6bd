"""The introspection endpoint, asked in this server's own name: RFC 7662 section 2.

One POST with bounds on its answer. Neither the token nor the secret is in any text that leaves this module, and no
exception raised here shows the request as its cause.
"""

from __future__ import annotations

from base64 import b64encode
from typing import TYPE_CHECKING, Any
from urllib.parse import quote_plus, urlencode

import httpx
import structlog

from mcp_server import strict_json
from mcp_server.errors import ProviderUnavailable

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from mcp_server.clock import Clock

MAX_ANSWER_BYTES = 64 * 1024
COMPLAIN_EVERY_SECONDS = 60.0
_OK = 200
_REFUSED = frozenset({401, 403})
log = structlog.get_logger(__name__)


class IntrospectionEndpoint:
    """Where the provider says whether a token is active, wherever `where` finds it."""

    def __init__(
        self,
        http: httpx.AsyncClient,
        where: Callable[[], Awaitable[str]],
        clock: Clock,
        *,
        client_id: str,
        client_secret: str,
    ) -> None:
        self._http = http
        self._where = where
        self._clock = clock
        self._client_id = client_id
        self._headers = {
            "authorization": _basic(client_id, client_secret),
            "content-type": "application/x-www-form-urlencoded",
            "accept": "application/json",
            "accept-encoding": "identity",
        }
        self._complained_at = float("-inf")

    async def ask(self, token: str) -> tuple[dict[str, Any], int]:
        """What the provider says of `token`, and how many bytes it took to say it.

        Raises:
            ProviderUnavailable: there is no usable answer; the text says why, for the log.
        """
        url = await self._where()
        try:
            body = await self._post(url, token)
            answer = strict_json.loads(body)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise ProviderUnavailable(f"{url}: {type(error).__name__}") from None
        except strict_json.NotStrictJson as error:
            raise ProviderUnavailable(f"{url}: {error}") from None
        if not isinstance(answer, dict):
            raise ProviderUnavailable(f"{url}: not a JSON object")
        return answer, len(body)

    async def _post(self, url: str, token: str) -> bytes:
        # No token_type_hint: it may only narrow where the provider looks, and Keycloak answers a wrong one "inactive".
        # No redirect: it would let whoever answers choose who sees the token and our secret.
        form = urlencode({"token": token}).encode()
        body = bytearray()
        async with self._http.stream(
            "POST", url, content=form, headers=self._headers, follow_redirects=False
        ) as response:
            if response.status_code in _REFUSED:
                self._complain(url, response.status_code)
            if response.status_code != _OK:
                raise ProviderUnavailable(f"{url}: status {response.status_code}")
            async for chunk in response.aiter_raw():
                body += chunk
                if len(body) > MAX_ANSWER_BYTES:
                    raise ProviderUnavailable(f"{url}: longer than {MAX_ANSWER_BYTES} bytes")
        return bytes(body)

    def _complain(self, url: str, status: int) -> None:
        """Tell the operator, once per `COMPLAIN_EVERY_SECONDS`.

        The next call is made all the same: a firewall before the provider may refuse one odd token with the same
        status, and whoever sends that must not lock out the others.
        """
        now = self._clock.monotonic()
        if now - self._complained_at < COMPLAIN_EVERY_SECONDS:
            return
        self._complained_at = now
        log.error(
            "the identity provider refuses this server itself: no token can be checked. "
            "Set OAUTH_CLIENT_ID and OAUTH_CLIENT_SECRET to a confidential client of the provider",
            at=url,
            status=status,
            client_id=self._client_id,
        )


def _basic(client_id: str, client_secret: str) -> str:
    """RFC 6749 section 2.3.1: both form-urlencoded first, so that an id may be a URL, colon and all."""
    pair = f"{quote_plus(client_id)}:{quote_plus(client_secret)}"
    return f"Basic {b64encode(pair.encode()).decode()}"
