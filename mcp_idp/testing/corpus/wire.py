"""Attacks on the connection: targets, sizes, slow requests, unsupported features."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from mcp_idp.testing.corpus.model import WHOAMI, Attack
from mcp_idp.testing.corpus.wire_calls import (
    CHUNK,
    CHUNKED,
    CODING,
    CROWDED,
    END,
    HOST,
    NOT_DONE,
    POST,
    head,
    row,
    whole,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from mcp_idp.testing.issuer import Issuer


def _line(  # noqa: PLR0917 - a row's columns
    name: str, source: str, check: str, line: bytes, status: int, code: str = "invalid_request"
) -> Attack:
    return row(name, source, check, lambda i: head(i, line=line) + END + b"Content-Length: 0\r\n\r\n", status, code)


def _stops(name: str, start: Callable[[Issuer], bytes]) -> Attack:
    """Returns an incomplete head, sent to a server whose limit on waiting bytes is lower than its length."""
    return replace(
        row(f"an incomplete head: {name}", "RFC 9110 section 15.6.4", "waiting_bytes", start, 503, "server_full"),
        stage=CROWDED,
    )


ATTACKS = (
    row(
        "chunks in HTTP/1.0",
        CODING,
        "old_chunked",
        lambda i: head(i, line=b"POST /mcp HTTP/1.0") + CHUNKED + b"\r\n" + CHUNK + whole(i),
        400,
    ),
    row(
        "two hosts on the wire",
        "RFC 9112 section 3.2",
        "one_host_on_the_wire",
        lambda i: head(i, host=HOST + b"Host: attacker.example\r\n") + END + b"\r\n",
        400,
    ),
    row(
        "no host on the wire",
        "RFC 9112 section 3.2",
        "one_host_on_the_wire",
        lambda i: head(i, host=b"") + END + b"\r\n",
        400,
    ),
    _line(
        "an absolute target that names another host",
        "RFC 9112 section 3.2.2",
        "target_host",
        b"POST http://attacker.example/mcp HTTP/1.1",
        400,
    ),
    _line(
        "an absolute target of another scheme",
        "RFC 9112 section 3.2.2",
        "target_scheme",
        b"POST ftp://localhost:3000/mcp HTTP/1.1",
        400,
    ),
    _line(
        "a target with a fragment that holds a token",
        "RFC 9110 section 4.2.5",
        "target_fragment",
        b"POST /mcp#access_token=x HTTP/1.1",
        400,
    ),
    _line(
        "a tunnel to another machine",
        "RFC 9110 section 9.3.6",
        "no_tunnel",
        b"CONNECT 169.254.169.254:80 HTTP/1.1",
        501,
        NOT_DONE,
    ),
    _line(
        "a version that has no headers",
        "RFC 9112 section 2.3",
        "version",
        b"POST /mcp HTTP/0.9",
        505,
        "version_not_supported",
    ),
    _line("a space in the target", "RFC 9112 section 3", "strict_parser", b"POST /mcp HTTP/1.1 HTTP/1.1", 400),
    row(
        "a thousand headers",
        "RFC 6585 section 5",
        "header_count",
        lambda i: head(i) + b"A: b\r\n" * 1000 + END + b"\r\n",
        431,
        "too_many_headers",
    ),
    row(
        "a header that does not end",
        "RFC 6585 section 5",
        "header_bytes",
        lambda i: head(i) + b"A: " + b"b" * 40_000 + b"\r\n" + END + b"\r\n",
        431,
        "headers_too_large",
    ),
    row(
        "a token of a million letters",
        "CVE-2025-61920; CVE-2025-30204",
        "header_bytes",
        lambda i: head(i) + b"Authorization: Bearer " + b"." * 1_000_000 + b"\r\n\r\n",
        431,
        "headers_too_large",
    ),
    row(
        "a hundred and fifty short headers",
        "RFC 6585 section 5",
        "header_count",
        lambda i: head(i) + b"A: b\r\n" * 150 + END + b"\r\n",
        431,
        "too_many_headers",
    ),
    row(
        "more lines than are read, in an incomplete head",
        "RFC 6585 section 5",
        "header_count_of_a_part",
        lambda i: head(i) + b"ab: cd\r\n" * 2000,
        431,
        "too_many_headers",
    ),
    row(
        "empty lines in an incomplete head",
        "RFC 6585 section 5",
        "header_count_of_a_part",
        lambda i: head(i) + b"ab:\r\n" * 150,
        431,
        "too_many_headers",
    ),
    _stops("many lines", lambda i: head(i) + b"abc: " + b"d" * 300 + b"\r\n" + b"ab: cd\r\n" * 70),
    _stops("a long target", lambda i: head(i, line=b"POST /mcp?" + b"a" * 12_000 + b" HTTP/1.1")),
    _stops("a long cookie", lambda i: head(i) + b"Cookie: " + b"a=b; " * 2400),
    _stops("white space before a value", lambda i: head(i) + b"abc:" + b" " * 12_000),
    _stops("a long name", lambda i: head(i) + b"a" * 12_000),
    _stops("a second token that does not end", lambda i: head(i) + b"Authorization: Bearer " + b"e" * 12_000),
    _stops("line ends before a head", lambda _: b"\r\n" * 6000),
    row("a head that is never complete", "RFC 9112 section 9.5", "deadline", head, 0, ""),
    row(
        "a body that is never complete",
        "RFC 9112 section 9.5",
        "deadline",
        lambda i: head(i) + b"Content-Length: 10\r\n\r\n{",
        0,
        "",
    ),
    row(
        "a body whose declared length is too long",
        "RFC 9110 section 15.5.14",
        "declared_body",
        lambda i: head(i) + b"Content-Length: 999999999\r\n\r\n",
        413,
        "body_too_large",
    ),
    row(
        "a body in chunks that does not end",
        "RFC 9110 section 15.5.14",
        "counted_body",
        lambda i: head(i) + CHUNKED + b"\r\n" + (b"1000\r\n" + b" " * 4096 + b"\r\n") * 20,
        413,
        "body_too_large",
    ),
    row(
        "chunks that are all extension",
        "RFC 9112 section 7.1.1; CVE-2024-22019",
        "chunk_extensions",
        lambda i: head(i) + CHUNKED + b"\r\n" + b"1;" + b"a" * 200_000 + b"\r\n",
        413,
        "body_too_large",
    ),
    row(
        "trailers without end",
        "RFC 9112 section 7.1.2",
        "chunk_extensions",
        lambda i: head(i) + CHUNKED + b"\r\n0\r\n" + b"A: b\r\n" * 40_000,
        413,
        "body_too_large",
    ),
    row(
        "a good token in a trailer",
        "RFC 9110 section 6.5.1",
        "trailers",
        lambda i: (
            POST
            + END
            + CHUNKED
            + b"\r\n%x\r\n" % len(WHOAMI)
            + WHOAMI
            + b"\r\n0\r\nAuthorization: Bearer "
            + i.token().encode()
            + b"\r\n\r\n"
        ),
        401,
        "missing_authorization",
    ),
    row(
        "a call after a rejected upgrade",
        "RFC 9110 section 7.8",
        "upgrade",
        lambda i: (
            POST
            + b"Connection: upgrade\r\nUpgrade: h2c\r\nContent-Length: %d\r\n\r\n" % len(whole(i))
            + whole(i)
            + POST
            + END
            + b"\r\n"
        ),
        401,
        "missing_authorization",
    ),
    row(
        "the preface of another protocol",
        "RFC 9113 section 3.4",
        "strict_parser",
        lambda i: b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + whole(i),
        400,
    ),
)
