"""HTTP for the bootstrap: a provider's responses are bounded in size and time, and redirects are not followed.

The bootstrap sends the admin client's secret. A redirect could lead it to another server, so it is an error; the
address of the provider is the one that the user configured.
"""

from __future__ import annotations

import io
import queue
import threading
import traceback
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, TypeVar

import httpx
from keycloak import KeycloakOpenIDConnection
from keycloak.exceptions import KeycloakError
from requests import Response, TooManyRedirects
from requests.adapters import HTTPAdapter
from requests.exceptions import ConnectionError as RequestsConnectionError
from requests.exceptions import ContentDecodingError

from mcp_idp.cli.bootstrap.errors import ProviderRequestError, ProviderUnreachable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from keycloak import KeycloakOpenID
    from requests import PreparedRequest

_T = TypeVar("_T")
_CHUNK = 64 * 1024
_MAX_MESSAGE = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderLimits:
    """What one response of the provider may take.

    Attributes:
        max_bytes: The most bytes of a body. A realm with 10,000 clients is listed in some 40 MB.
        seconds: How long a response may take, its body included.
    """

    max_bytes: int = 64 * 1024 * 1024
    seconds: float = 120


LIMITS = ProviderLimits()


@contextmanager
def usable_responses() -> Iterator[None]:
    """Reports a response in the `with` block that has not the form that a provider's has, instead of a traceback.

    The bootstrap reads the admin API's objects as documented. A server that is no Keycloak, or a hostile one, may send
    anything.

    Raises:
        ProviderRequestError: A response could not be used. The text says where.
        ProviderUnreachable: There was no response.
    """
    try:
        yield
    except httpx.HTTPError as error:
        raise ProviderUnreachable(
            f"the provider does not respond as expected: {str(error) or type(error).__name__}"
        ) from error
    except (
        KeycloakError,
        AttributeError,
        ArithmeticError,
        LookupError,
        RecursionError,
        TypeError,
        ValueError,
    ) as error:
        frame = traceback.extract_tb(error.__traceback__)[-1]
        where = f"{PurePath(frame.filename).name}:{frame.lineno}"
        what = f"{type(error).__name__}: {error}"[:_MAX_MESSAGE]
        raise ProviderRequestError(
            f"the provider's response does not have the expected form ({where}: {what})", 0
        ) from error


def run_until(function: Callable[[], _T], seconds: float, overdue: Exception) -> _T:
    """Returns the result of `function`, which runs in a thread that is left to itself when it takes too long.

    A timeout of a socket bounds each read, not a response that arrives byte by byte.

    Args:
        function: What to run.
        seconds: How long it may take.
        overdue: Is raised after that.
    """
    results: queue.SimpleQueue[tuple[_T | None, BaseException | None]] = queue.SimpleQueue()

    def run() -> None:
        try:
            results.put((function(), None))
        except BaseException as error:  # noqa: BLE001 - raised again in the waiting thread
            results.put((None, error))

    threading.Thread(target=run, daemon=True).start()
    try:
        result, error = results.get(timeout=seconds)
    except queue.Empty:
        raise overdue from None
    if error is not None:
        raise error
    return result  # type: ignore[return-value]  # set where there is no error


class BoundedAdapter(HTTPAdapter):
    """An adapter of `requests` that reads each response to its end, within `limits`, and rejects redirects."""

    def __init__(self, limits: ProviderLimits) -> None:
        super().__init__()
        self._limits = limits

    def send(self, request: PreparedRequest, *args: Any, **options: Any) -> Response:
        """Sends `request`, asking for a response that is not compressed.

        Raises:
            RequestException: The response is a redirect, compressed, too long or too slow.
        """
        request.headers["Accept-Encoding"] = "identity"
        overdue = RequestsConnectionError("the response takes too long", request=request)
        return run_until(lambda: self._receive(request, *args, **options), self._limits.seconds, overdue)

    def _receive(self, request: PreparedRequest, *args: Any, **options: Any) -> Response:
        response = super().send(request, *args, **{**options, "stream": True})
        with closing(response.raw):
            if response.is_redirect:
                raise TooManyRedirects("the response is a redirect, which is not followed", response=response)
            _require_plain(response.headers, ContentDecodingError("the response is compressed", response=response))
            body = bytearray()
            while chunk := response.raw.read(_CHUNK, decode_content=False):
                body += chunk
                if len(body) > self._limits.max_bytes:
                    raise RequestsConnectionError("the response is too long", response=response)
            response.raw.release_conn()
        response.raw = io.BytesIO(body)
        return response


class BoundedConnection(KeycloakOpenIDConnection):
    """python-keycloak's connection to the admin API, with bounded responses; the same for its token requests."""

    def __init__(self, limits: ProviderLimits, **options: Any) -> None:
        self._limits = limits
        super().__init__(**options)
        self._bound(self)

    @property
    def keycloak_openid(self) -> KeycloakOpenID:
        """The client of the token endpoint."""
        found: KeycloakOpenID = super().keycloak_openid
        self._bound(found.connection)
        return found

    def _bound(self, connection: Any) -> None:
        for scheme in ("https://", "http://"):
            connection._s.mount(scheme, BoundedAdapter(self._limits))  # noqa: SLF001 - there is no public way


class BoundedTransport(httpx.BaseTransport):
    """The same for `httpx`, which follows no redirects by itself.

    Args:
        client: Sends the requests; it chooses between a proxy of the environment and a direct connection.
        limits: The limits.
    """

    def __init__(self, client: httpx.Client, limits: ProviderLimits = LIMITS) -> None:
        self._client = client
        self._limits = limits

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Sends `request` and reads the whole response.

        Raises:
            TransportError: The response is compressed, too long or too slow.
        """
        request.headers["accept-encoding"] = "identity"
        overdue = httpx.ReadTimeout("the response takes too long", request=request)
        return run_until(lambda: self._receive(request), self._limits.seconds, overdue)

    def _receive(self, request: httpx.Request) -> httpx.Response:
        response = self._client.send(request, stream=True)
        try:
            _require_plain(response.headers, httpx.RemoteProtocolError("the response is compressed", request=request))
            body = bytearray()
            for chunk in response.iter_raw():
                body += chunk
                if len(body) > self._limits.max_bytes:
                    raise httpx.ReadError("the response is too long", request=request)
        finally:
            response.close()
        stream = httpx.ByteStream(bytes(body))
        return httpx.Response(response.status_code, headers=response.headers, stream=stream, request=request)

    def close(self) -> None:
        """Closes the underlying client."""
        self._client.close()


def _require_plain(headers: Mapping[str, str], error: Exception) -> None:
    if headers.get("content-encoding", "identity").strip().lower() != "identity":
        raise error
