"""HTTP requests to servers that may be malicious.

Requests are limited in size and time, follow no redirects, and do not reach the local network on behalf of a public
server (SSRF protection).
"""

from __future__ import annotations

import asyncio
import ssl
import time
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import httpx2

from mcp_idp.util import strict_json
from mcp_idp.util.urls import is_loopback, is_private, validate_http_url

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

MAX_BYTES = 512 * 1024
SECONDS = 10.0
_OK = 200


class HttpFailure(StrEnum):
    """Why there is no HTTP response."""

    NO_NAME = "its host name cannot be resolved"
    CONNECTION_REFUSED = "nothing listens there"
    CERTIFICATE = "its certificate is not valid"
    TOO_SLOW = "it does not respond in time"
    BROKEN = "its response is not valid HTTP, or too large"
    INSIDE = "it is inside this network and the server is not: no request was sent"
    NO_URL = "it is not an http or https URL"


@dataclass(frozen=True, slots=True)
class HttpResult:
    """An HTTP response, or the reason why there is none.

    Attributes:
        url: The requested URL.
        at: When the response arrived by the local clock, in seconds since the epoch.
        status: The HTTP status; 0 without a response.
        headers: The response headers.
        body: The response body, as received.
        fault: Set if there is no response.
        detail: The underlying error message, or "".
    """

    url: str
    at: float
    status: int = 0
    headers: httpx2.Headers = field(default_factory=httpx2.Headers)
    body: bytes = b""
    fault: HttpFailure | None = None
    detail: str = ""

    @property
    def document(self) -> dict[str, Any]:
        """The JSON object in the body; empty if the body is not one."""
        try:
            value = strict_json.loads(self.body)
        except strict_json.StrictJsonError:
            return {}
        return value if isinstance(value, dict) else {}

    @property
    def json_if_ok(self) -> dict[str, Any]:
        """The JSON object in the body of a 200 response; otherwise empty."""
        return self.document if self.status == _OK else {}

    def header(self, name: str) -> str:
        """Returns the value of the response header `name`, or ""."""
        return str(self.headers.get(name, ""))

    def __str__(self) -> str:
        """Returns the status and the redirect target, for example `404`, or the reason why there is no response."""
        if self.fault is None:
            where = f", to {self.header('location')}" if self.header("location") else ""
            return f"{self.status}{where}"
        return f"{self.fault.value}{f' ({self.detail})' if self.detail else ''}"


class SafeHttpClient:
    """Sends the requests of one run of checks.

    Args:
        http: The underlying client.
        url: The MCP server under test. If it is on the public network, URLs on private addresses are not requested, so
            that the server's metadata cannot make this client probe the local network.
        now: The local clock, in seconds since the epoch.
    """

    def __init__(self, http: httpx2.AsyncClient, url: str, now: Callable[[], float] = time.time) -> None:
        self._http = http
        self._outside = not is_private(urlsplit(url).hostname or "")
        self.now = now

    async def get(self, url: str, **headers: str) -> HttpResult:
        """Sends a GET request with the given headers."""
        return await self.send("GET", url, headers=headers)

    async def send(
        self, method: str, url: str, *, headers: Mapping[str, str] | None = None, json: Any = None, form: Any = None
    ) -> HttpResult:
        """Sends one request, with a timeout of `SECONDS` and at most `MAX_BYTES` of response body.

        Args:
            method: The HTTP method.
            url: Where to send it.
            headers: Headers in addition to `accept` and `accept-encoding`.
            json: Value for a JSON body.
            form: Fields for a form-encoded body.

        Returns:
            A response, or a result with `fault` set; network errors are not raised.
        """
        if (fault := self._check_allowed(url)) is not None:
            return HttpResult(url, self.now(), fault=fault)
        all_headers = {
            "accept": "application/json, text/event-stream",
            "accept-encoding": "identity",
            **(headers or {}),
        }
        try:
            async with (
                asyncio.timeout(SECONDS),
                self._http.stream(
                    method, url, headers=all_headers, json=json, data=form, follow_redirects=False
                ) as response,
            ):
                body = bytearray()
                async for chunk in response.aiter_raw():
                    body += chunk
                    if len(body) > MAX_BYTES:
                        return HttpResult(
                            url, self.now(), fault=HttpFailure.BROKEN, detail=f"more than {MAX_BYTES} bytes"
                        )
                return HttpResult(url, self.now(), response.status_code, response.headers, bytes(body))
        except (httpx2.HTTPError, httpx2.InvalidURL, OSError, UnicodeError) as error:
            return HttpResult(url, self.now(), fault=_fault(error), detail=_detail(error))

    def _check_allowed(self, url: str) -> HttpFailure | None:
        if not is_http_url(url):
            return HttpFailure.NO_URL
        if self._outside and is_private(urlsplit(url).hostname or ""):
            return HttpFailure.INSIDE
        return None


def is_http_url(url: object) -> bool:
    """Returns whether `url` is an absolute http or https URL without user information."""
    try:
        validate_http_url("url", url.partition("?")[0] if isinstance(url, str) else "")
    except ValueError:
        return False
    return True


def is_cleartext(url: str) -> bool:
    """Returns whether requests to `url` can be read on the network: neither https nor loopback."""
    parts = urlsplit(url)
    return parts.scheme != "https" and not is_loopback(parts.hostname or "")


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _fault(error: BaseException) -> HttpFailure:
    for cause in _causes(error):
        if isinstance(cause, ssl.SSLError):
            return HttpFailure.CERTIFICATE
        if isinstance(cause, TimeoutError | httpx2.TimeoutException):
            return HttpFailure.TOO_SLOW
        if getattr(cause, "errno", None) in {-2, -3, -5, 8, 11001}:  # EAI_NONAME and related codes of each platform
            return HttpFailure.NO_NAME
    return HttpFailure.CONNECTION_REFUSED if isinstance(error, httpx2.ConnectError) else HttpFailure.BROKEN


def _detail(error: BaseException) -> str:
    for cause in _causes(error):
        if isinstance(cause, ssl.SSLCertVerificationError):
            return str(cause.verify_message)
    return str(error)[:300]
