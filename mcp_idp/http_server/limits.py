"""Limits of HTTP requests, and validation of the request head: pure functions over the parser's results.

llhttp (inside httptools, strict mode) itself rejects: Content-Length beside Transfer-Encoding, a second Content-Length
or one that is not a plain number, line folding, a bare CR or LF, NUL and control characters in names, values and
targets, white space before a colon, "chunked" that is not last or is repeated, malformed chunks, unknown methods, the
HTTP/2 preface. This module checks the rest: sizes and counts, exactly one Host, "chunked" as the only transfer coding
and only in HTTP/1.1, the version (llhttp also accepts 0.9 and 2.0), the form of the request target.

Sources: RFC 9112 sections 2.3, 3.2 and 6; RFC 9110 sections 4.2.4 and 15; RFC 6585 section 5.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from mcp_idp.util.memory_plan import DEFAULT_MAX_MEMORY, MemoryPlan

if TYPE_CHECKING:
    from collections.abc import Iterable

    Fields = list[tuple[bytes, bytes]]

MAX_BODY_BYTES = 4 * 1024 * 1024
"""Maximum bytes of a request body. Our HTTP server enforces it; behind any other server, the auth middleware does."""
_PLAN = MemoryPlan.for_total(DEFAULT_MAX_MEMORY)


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpLimits:
    """Limits of each connection, and of all connections together.

    Attributes:
        header_bytes: bytes of request line and headers together. The same limit applies separately to the overhead of a
            chunked body (chunk extensions and trailers).
        header_seconds: seconds from the first byte of a head to its end; for the first head, from the start of the
            connection.
        header_count: header fields of a request.
        body_bytes: bytes of a body, whether declared by Content-Length or counted.
        body_seconds: seconds from the end of the head to the end of the body, not enforced while reading is paused by
            our own flow control.
        pipelined: requests that wait for the response to the one before them.
        linger_seconds: seconds for which a connection is still read after its final response, so that the client can
            read that response.
        linger_bytes: bytes that are discarded during that time.
        write_seconds: seconds within which a client must read what is buffered for it, or 64 KiB of it.
        connections: connections in total; fewer if the process may not open so many files.
        waiting_bytes: bytes received for requests whose token is not verified yet, over all connections.
        unsent_bytes: bytes of responses that clients have not read, over all connections.
    """

    header_bytes: int = 32 * 1024
    header_seconds: float = 10.0
    header_count: int = 100
    body_bytes: int = MAX_BODY_BYTES
    body_seconds: float = 60.0
    pipelined: int = 16
    linger_seconds: float = 2.0
    linger_bytes: int = 32 * 1024 * 1024
    write_seconds: float = 30.0
    connections: int = _PLAN.connections
    waiting_bytes: int = _PLAN.waiting
    unsent_bytes: int = _PLAN.unsent

    @classmethod
    def for_memory(cls, plan: MemoryPlan) -> HttpLimits:
        """Returns the limits of a process that may hold so much memory."""
        return cls(connections=plan.connections, waiting_bytes=plan.waiting, unsent_bytes=plan.unsent)


@dataclass(frozen=True, slots=True)
class HttpRejection:
    """An error response after which the connection is closed.

    Attributes:
        status: the HTTP status.
        code: the `error` member of the JSON body.
        description: the `error_description` member of the JSON body.
    """

    status: HTTPStatus
    code: str
    description: str

    def to_bytes(self, headers: Iterable[tuple[bytes, bytes]]) -> bytes:
        """Returns the whole response as bytes.

        Args:
            headers: further headers as pairs of name and value, such as Date.
        """
        body = _error_body(self.code, self.description)
        lines = [
            f"HTTP/1.1 {self.status.value} {self.status.phrase}".encode(),
            *(name + b": " + value for name, value in headers),
            b"content-type: application/json",
            f"content-length: {len(body)}".encode(),
            b"connection: close",
            b"",
            body,
        ]
        return b"\r\n".join(lines)


@cache
def _error_body(code: str, description: str) -> bytes:
    return json.dumps({"error": code, "error_description": description}).encode()


class RequestRejected(Exception):
    """The request is rejected.

    Args:
        rejection: the response to send; None to close the connection without one.
    """

    def __init__(self, rejection: HttpRejection | None) -> None:
        super().__init__(rejection.description if rejection else "closed")
        self.rejection = rejection


def _malformed(description: str) -> HttpRejection:
    return HttpRejection(HTTPStatus.BAD_REQUEST, "invalid_request", description)


HEAD_TOO_LARGE = HttpRejection(
    HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
    "headers_too_large",
    "The request line and headers are too long: together they may have 32 KiB.",
)
TOO_MANY_HEADERS = HttpRejection(
    HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "too_many_headers", "The request has too many header fields."
)
BODY_TOO_LARGE = HttpRejection(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "body_too_large", "The request body is too large.")
FULL = HttpRejection(
    HTTPStatus.SERVICE_UNAVAILABLE,
    "server_full",
    "The server has too many connections. Try again shortly.",
)
NOT_HTTP = _malformed("The request is not well-formed HTTP/1.1.")
BAD_HOST = _malformed("An HTTP/1.1 request must have exactly one Host header.")
CHUNKED_IN_HTTP10 = _malformed("HTTP/1.0 does not support Transfer-Encoding.")
BAD_TARGET = _malformed("The request target is invalid or its form is not supported.")
TARGET_HOST = _malformed("The host in the request target differs from the Host header.")
UNSUPPORTED_CODING = HttpRejection(
    HTTPStatus.NOT_IMPLEMENTED, "not_implemented", "The only supported Transfer-Encoding is chunked."
)
CONNECT = HttpRejection(
    HTTPStatus.NOT_IMPLEMENTED, "not_implemented", "This server is not a proxy and does not support CONNECT."
)
UNSUPPORTED_VERSION = HttpRejection(
    HTTPStatus.HTTP_VERSION_NOT_SUPPORTED, "version_not_supported", "This server supports HTTP/1.1 and HTTP/1.0 only."
)


def validate_head(version: str, headers: Fields, limits: HttpLimits) -> int | None:
    """Validates the head and returns the length of the body that it declares.

    Args:
        version: the HTTP version as the parser reports it, such as "1.1".
        headers: pairs of lower-case name and value.
        limits: the limits to apply.

    Returns:
        The length in bytes; None for a chunked body.

    Raises:
        RequestRejected: the head has too many headers, not exactly one Host (RFC 9112 section 3.2; HTTP/1.0 may omit
            it), a transfer coding other than chunked (section 6.1) or an unsupported version, or it declares too long a
            body.
    """
    if len(headers) > limits.header_count:
        raise RequestRejected(TOO_MANY_HEADERS)
    names = [name for name, _ in headers]
    hosts = names.count(b"host")
    if version != "1.1":
        _check_old(version, names, hosts)
    elif hosts != 1:
        raise RequestRejected(BAD_HOST)
    # llhttp accepts any list of codings that ends in chunked. It ensures that there is at most one Content-Length, and
    # none beside Transfer-Encoding.
    if b"transfer-encoding" in names:
        if [value.lower() for name, value in headers if name == b"transfer-encoding"] != [b"chunked"]:
            raise RequestRejected(UNSUPPORTED_CODING)
        return None
    length = int(headers[names.index(b"content-length")][1]) if b"content-length" in names else 0
    if length > limits.body_bytes:
        raise RequestRejected(BODY_TOO_LARGE)
    return length


def _check_old(version: str, names: list[bytes], hosts: int) -> None:
    if version != "1.0":
        raise RequestRejected(UNSUPPORTED_VERSION)
    # RFC 9112 section 6.1: treat the framing as faulty, since an HTTP/1.0 proxy may have forwarded the field without
    # processing it.
    if b"transfer-encoding" in names:
        raise RequestRejected(CHUNKED_IN_HTTP10)
    if hosts > 1:
        raise RequestRejected(BAD_HOST)


def head_size(target: bytes, headers: Fields) -> int:
    """Returns the size of a head in bytes, without the white space around header values.

    Args:
        target: the request target.
        headers: pairs of name and value.
    """
    return len(target) + sum(len(name) + len(value) + 4 for name, value in headers)


def origin_form(method: bytes, target: bytes, headers: Fields) -> bytes:
    """Converts a request target to origin form: path and query (RFC 9112 section 3.2).

    The absolute form is accepted only if its host equals the Host header, so that validating Host also covers the
    target. `*` is accepted for OPTIONS only and returned unchanged. A fragment is not allowed in a request target.

    Args:
        method: the method, in upper case.
        target: the request target as received.
        headers: pairs of lower-case name and value.

    Raises:
        RequestRejected: the target has another form, or the method is CONNECT.
    """
    if method == b"CONNECT":
        raise RequestRejected(CONNECT)
    if target == b"*" and method == b"OPTIONS":
        return target
    if b"#" in target:
        raise RequestRejected(BAD_TARGET)
    if target.startswith(b"/"):
        return target
    parts = urlsplit(target)
    if parts.scheme not in {b"http", b"https"} or not parts.netloc:
        raise RequestRejected(BAD_TARGET)
    if [value.lower() for name, value in headers if name == b"host"] != [parts.netloc.lower()]:
        raise RequestRejected(TARGET_HOST)
    return (parts.path or b"/") + (b"?" + parts.query if parts.query else b"")
