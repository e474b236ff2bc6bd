"""Requests to servers that may be hostile: bounded in size and time, no redirect, and no way into this network."""

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
    """Why there is no answer."""

    NO_NAME = "its host name cannot be resolved"
    REFUSED = "nothing listens there"
    CERTIFICATE = "its certificate is not valid"
    TOO_SLOW = "it does not answer in time"
    BROKEN = "its response is not valid HTTP, or too large"
    INSIDE = "it is inside this network and the server is not: no request was sent"
    NO_URL = "it is not an http or https URL"


@dataclass(frozen=True, slots=True)
class HttpResult:
    """What came back, or why nothing did.

    Attributes:
        url: what was asked.
        at: when it came, in seconds since the epoch, here.
        status: 0 where there is no answer.
        fault: set where there is no answer, with `detail` in the words of whoever noticed.
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
        """The JSON object in the body, or an empty one."""
        try:
            value = strict_json.loads(self.body)
        except strict_json.StrictJsonError:
            return {}
        return value if isinstance(value, dict) else {}

    @property
    def json_if_ok(self) -> dict[str, Any]:
        """The JSON object that was asked for, or an empty one: the status is 200."""
        return self.document if self.status == _OK else {}

    def header(self, name: str) -> str:
        """The value of the header, or ""."""
        return str(self.headers.get(name, ""))

    def __str__(self) -> str:
        """`404`, or why there is no answer."""
        if self.fault is None:
            where = f", to {self.header('location')}" if self.header("location") else ""
            return f"{self.status}{where}"
        return f"{self.fault.value}{f' ({self.detail})' if self.detail else ''}"


class SafeHttpClient:
    """Asks on behalf of one examination.

    Args:
        http: follows no redirect.
        url: the server under examination. If it is on the public network, what it names inside this one is not asked:
            metadata must not make the doctor knock at our neighbours.
        now: the time here, in seconds since the epoch.
    """

    def __init__(self, http: httpx2.AsyncClient, url: str, now: Callable[[], float] = time.time) -> None:
        self._http = http
        self._outside = not is_private(urlsplit(url).hostname or "")
        self.now = now

    async def get(self, url: str, **headers: str) -> HttpResult:
        """GET a document."""
        return await self.send("GET", url, headers=headers)

    async def send(
        self, method: str, url: str, *, headers: Mapping[str, str] | None = None, json: Any = None, form: Any = None
    ) -> HttpResult:
        """One request, within `SECONDS`; at most `MAX_BYTES` of the answer. Whatever happens, a `HttpResult`."""
        if (fault := self._check_allowed(url)) is not None:
            return HttpResult(url, self.now(), fault=fault)
        own = {"accept": "application/json, text/event-stream", "accept-encoding": "identity", **(headers or {})}
        try:
            async with (
                asyncio.timeout(SECONDS),
                self._http.stream(method, url, headers=own, json=json, data=form, follow_redirects=False) as response,
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
    """Whether it is an absolute http or https URL without a user."""
    try:
        validate_http_url("url", url.partition("?")[0] if isinstance(url, str) else "")
    except ValueError:
        return False
    return True


def is_cleartext(url: str) -> bool:
    """Whether what is sent there can be read on the way: http, and not to this machine."""
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
        if getattr(cause, "errno", None) in {-2, -3, -5, 8, 11001}:  # EAI_NONAME and its kin, where systems differ
            return HttpFailure.NO_NAME
    return HttpFailure.REFUSED if isinstance(error, httpx2.ConnectError) else HttpFailure.BROKEN


def _detail(error: BaseException) -> str:
    for cause in _causes(error):
        if isinstance(cause, ssl.SSLCertVerificationError):
            return str(cause.verify_message)
    return str(error)[:300]
