"""A call as bytes, and rows for the connection."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from mcp_idp.http_server.limits import HttpLimits
from mcp_idp.testing.corpus.model import WHOAMI, Attack, Stage, call

if TYPE_CHECKING:
    from collections.abc import Callable

    from mcp_idp.testing.issuer import Issuer


LIMITS = HttpLimits(header_seconds=0.5, body_seconds=0.5, body_bytes=64 * 1024, pipelined=4, linger_seconds=0.3)


WIRE = Stage("on a socket")
# The limit on waiting bytes is low, and the deadline of a head is long, so that the limit applies first.
CROWDED = Stage("on a socket with a low limit on waiting bytes")
CROWDED_LIMITS = replace(LIMITS, header_seconds=5, waiting_bytes=10_000)


HOST = b"Host: localhost:3000\r\n"


END = b"Connection: close\r\n"


def head(issuer: Issuer, *, line: bytes = b"POST /mcp HTTP/1.1", host: bytes = HOST) -> bytes:
    """Returns the head of a valid call without the end of its headers and without Content-Length."""
    fields = b"".join(name + b": " + value + b"\r\n" for name, value in call(issuer.token()).headers if name != b"host")
    return line + b"\r\n" + host + fields


def whole(issuer: Issuer) -> bytes:
    """Returns a valid call, which an attack tries to smuggle in after another request."""
    return head(issuer) + b"Content-Length: %d\r\n\r\n" % len(WHOAMI) + WHOAMI


POST = b"POST /mcp HTTP/1.1\r\n" + HOST + b"Content-Type: application/json\r\n"


CHUNKED = b"Transfer-Encoding: chunked\r\n"


CHUNK = b"%x\r\n" % len(WHOAMI) + WHOAMI + b"\r\n0\r\n\r\n"


CODING, NOT_DONE = "RFC 9112 section 6.1", "not_implemented"


def row(  # noqa: PLR0917 - a row's columns
    name: str, source: str, check: str, send: Callable[[Issuer], bytes], status: int, code: str = "invalid_request"
) -> Attack:
    """Returns an attack through the bytes of a connection."""
    return Attack(
        name=name, source=source, check=check, send=send, status=status, challenge=None, message=code, stage=WIRE
    )
