"""Attacks on the framing of requests: each is framed in two ways and followed by a valid call."""

from __future__ import annotations

from mcp_idp.testing.corpus.model import WHOAMI, Attack
from mcp_idp.testing.corpus.wire_calls import CHUNK, CHUNKED, CODING, NOT_DONE, head, row, whole


def _framed(  # noqa: PLR0917 - a row's columns
    name: str, source: str, fields: bytes, body: bytes, check: str = "strict_parser", status: int = 400, code: str = ""
) -> Attack:
    """Returns a call that is framed in two ways, followed by another call."""
    message = code or "invalid_request"
    return row(name, source, check, lambda i: head(i) + fields + b"\r\n" + body + whole(i), status, message)


SIZED = b"Content-Length: %d\r\n" % len(WHOAMI)


LENGTH = "RFC 9112 section 6.3"


ATTACKS = (
    _framed("a length and a transfer coding", LENGTH, SIZED + CHUNKED, CHUNK),
    _framed("a transfer coding and a length of zero", LENGTH, CHUNKED + b"Content-Length: 0\r\n", CHUNK),
    _framed("two lengths", LENGTH, SIZED + b"Content-Length: 0\r\n", WHOAMI),
    _framed("two lengths in one header", LENGTH, b"Content-Length: 0, %d\r\n" % len(WHOAMI), WHOAMI),
    _framed("a length with a sign", "RFC 9110 section 8.6; CVE-2023-40167", b"Content-Length: +0\r\n", b""),
    _framed("a length in hexadecimal", "RFC 9110 section 8.6", b"Content-Length: 0x0\r\n", b""),
    _framed(
        "a length with a separator of thousands", "RFC 9110 section 8.6", b"Content-Length: 1_0\r\n", b"0123456789"
    ),
    _framed(
        "a length over what a word of the machine holds",
        "RFC 9110 section 8.6",
        b"Content-Length: 18446744073709551617\r\n",
        b"x",
    ),
    _framed("a space before the colon", "CVE-2021-22959", b"Content-Length : 0\r\n", b""),
    _framed(
        "a transfer coding on a folded line",
        "CVE-2022-32215; RFC 9112 section 5.2",
        b"Transfer-Encoding:\r\n chunked\r\n",
        CHUNK,
    ),
    _framed("a line that ends in a bare line feed", "CVE-2022-32214", b"X: a\nContent-Length: 0\r\n", b""),
    _framed("a bare carriage return in a value", "RFC 9112 section 2.2", b"X: a\rContent-Length: 0\r\n", b""),
    _framed("a null byte in a value", "RFC 9110 section 5.5", b"X: a\0b\r\nContent-Length: 0\r\n", b""),
    _framed("a control character in a name", "RFC 9110 section 5.1", b"X\x01: a\r\nContent-Length: 0\r\n", b""),
    _framed("a chunk's length in another notation", "RFC 9112 section 7.1", CHUNKED, b"0x0\r\n\r\n"),
    _framed(
        "a chunk longer than its declared length",
        "RFC 9112 section 7.1; CVE-2025-43859",
        CHUNKED,
        b"1\r\n{}\r\n0\r\n\r\n",
    ),
    _framed("a bare line feed in a chunk's extension", "CVE-2021-22960", CHUNKED, b"0;a\nb\r\n\r\n"),
    _framed("a chunk's length over what a word holds", "RFC 9112 section 7.1", CHUNKED, b"1" * 17 + b"\r\nx\r\n"),
    _framed("chunked twice", "CVE-2020-8287", CHUNKED * 2, CHUNK),
    _framed("chunked, and not last", "RFC 9112 section 6.1", b"Transfer-Encoding: chunked, identity\r\n", CHUNK),
    _framed(
        "a compressed transfer", CODING, b"Transfer-Encoding: gzip, chunked\r\n", CHUNK, "one_coding", 501, NOT_DONE
    ),
    _framed(
        "a transfer coding that only ends like chunked",
        "CVE-2022-32213",
        b"Transfer-Encoding: xchunked\r\n",
        CHUNK,
        "one_coding",
        501,
        NOT_DONE,
    ),
    _framed(
        "a transfer coding that changes nothing",
        CODING,
        b"Transfer-Encoding: identity\r\n",
        CHUNK,
        "one_coding",
        501,
        NOT_DONE,
    ),
)
