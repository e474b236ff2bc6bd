"""The bounds of a request on the wire, and the judgement of its head: pure functions over what the parser read.

llhttp (inside httptools, strict mode) itself refuses, before anything here is asked: Content-Length beside
Transfer-Encoding, a second Content-Length or one that is no plain number, line folding, a bare CR or LF, NUL and
control characters in names, values and targets, white space before a colon, "chunked" that is not last or comes twice,
malformed chunks, unknown methods, the preface of HTTP/2. Left to this module: sizes and counts, one Host, "chunked" as
the only transfer coding and only since HTTP/1.1, versions (llhttp takes 0.9 and 2.0 too), forms of the request target.

Sources: RFC 9112 sections 2.3, 3.2 and 6; RFC 9110 sections 4.2.4 and 15; RFC 6585 section 5.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterable

    Fields = list[tuple[bytes, bytes]]


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpLimits:
    """What one connection may cost, and all of them together.

    Attributes:
        header_bytes: request line and headers together; once more for what a chunked body brings besides its data
            (chunk extensions, trailers).
        header_seconds: from the first byte of a head, or from the connection, to the end of that head.
        header_count: lines in a head.
        body_bytes: the body, declared or counted.
        body_seconds: from the end of the head to the end of the body, while we read.
        pipelined: requests waiting for the answer to the one before them.
        linger_seconds: how long a refused connection is still read from, so that its client can read the answer.
        linger_bytes: how much is thrown away meanwhile.
        connections: how many there may be in all, fewer where the process may not open so many files.
        waiting_bytes: how much may have arrived, in all of them, of requests whose token is not verified yet.
    """

    header_bytes: int = 32 * 1024
    header_seconds: float = 10.0
    header_count: int = 100
    body_bytes: int = 4 * 1024 * 1024
    body_seconds: float = 60.0
    pipelined: int = 16
    linger_seconds: float = 2.0
    linger_bytes: int = 32 * 1024 * 1024
    connections: int = 2048
    waiting_bytes: int = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class HttpRejection:
    """An answer after which the connection is closed."""

    status: HTTPStatus
    code: str
    description: str

    def to_bytes(self, headers: Iterable[tuple[bytes, bytes]]) -> bytes:
        """The bytes for the wire; `headers` are those of every answer, as Date."""
        body = json.dumps({"error": self.code, "error_description": self.description}).encode()
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


class RequestRejected(Exception):
    """The request ends here. Without a refusal the connection closes without an answer."""

    def __init__(self, rejection: HttpRejection | None) -> None:
        super().__init__(rejection.description if rejection else "closed")
        self.rejection = rejection


def _malformed(description: str) -> HttpRejection:
    return HttpRejection(HTTPStatus.BAD_REQUEST, "invalid_request", description)


HEAD_TOO_LARGE = HttpRejection(
    HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
    "headers_too_large",
    "The request line and headers are longer than this server reads.",
)
TOO_MANY_HEADERS = HttpRejection(
    HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "too_many_headers", "There are more headers than this server reads."
)
BODY_TOO_LARGE = HttpRejection(
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "body_too_large", "The body is longer than this server reads."
)
FULL = HttpRejection(
    HTTPStatus.SERVICE_UNAVAILABLE,
    "server_full",
    "There are more connections than this server holds. Try again shortly.",
)
NOT_HTTP = _malformed("This is not a well-formed HTTP/1.1 request.")
BAD_HOST = _malformed("HTTP/1.1 asks for exactly one Host header.")
CHUNKED_IN_HTTP10 = _malformed("There is no Transfer-Encoding in HTTP/1.0.")
BAD_TARGET = _malformed("The request target is not one that this server understands.")
TARGET_HOST = _malformed("The host in the request target is not the one in the Host header.")
UNSUPPORTED_CODING = HttpRejection(
    HTTPStatus.NOT_IMPLEMENTED, "not_implemented", "The only Transfer-Encoding understood is chunked."
)
CONNECT = HttpRejection(
    HTTPStatus.NOT_IMPLEMENTED, "not_implemented", "This server is no proxy: CONNECT is not understood."
)
UNSUPPORTED_VERSION = HttpRejection(
    HTTPStatus.HTTP_VERSION_NOT_SUPPORTED, "version_not_supported", "This server speaks HTTP/1.1 and HTTP/1.0."
)


def validate_head(version: str, headers: Fields, limits: HttpLimits) -> int | None:
    """How long a body the head announces; None for a chunked one.

    Args:
        version: "1.1", as the parser read it.
        headers: names in lower case.
        limits: the bounds.

    Raises:
        RequestRejected: too many headers, not exactly one Host (RFC 9112 section 3.2), a transfer coding other than
            chunked (section 6.1), or too long a body.
    """
    if len(headers) > limits.header_count:
        raise RequestRejected(TOO_MANY_HEADERS)
    names = [name for name, _ in headers]
    hosts = names.count(b"host")
    if version != "1.1":
        _check_old(version, names, hosts)
    elif hosts != 1:
        raise RequestRejected(BAD_HOST)
    # llhttp takes any list of codings that ends in chunked, and at most one Content-Length, alone.
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
    # RFC 9112 section 6.1: its framing is faulty, since a proxy that speaks 1.0 would have passed it on unread.
    if b"transfer-encoding" in names:
        raise RequestRejected(CHUNKED_IN_HTTP10)
    if hosts > 1:
        raise RequestRejected(BAD_HOST)


def head_size(target: bytes, headers: Fields) -> int:
    """How long a head was, without the white space around its values."""
    return len(target) + sum(len(name) + len(value) + 4 for name, value in headers)


def origin_form(method: bytes, target: bytes, headers: Fields) -> bytes:
    """The path and query of any target (RFC 9112 section 3.2).

    The absolute form is taken if it names the host that Host names, so that whoever judges Host judges the right one;
    `*` belongs to OPTIONS; a fragment never belongs on the wire.

    Raises:
        RequestRejected: anything else, CONNECT included.
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
