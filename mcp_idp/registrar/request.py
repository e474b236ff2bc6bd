"""Reads the registration document of a request: strict framing, JSON only, bounded before anything is parsed."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from mcp_idp.http.body import ClientDisconnect
from mcp_idp.registrar.errors import DocumentTooLarge, InvalidMetadata, LengthRequired, UnsupportedBody
from mcp_idp.util import strict_json

if TYPE_CHECKING:
    from starlette.types import Receive

    Fields = list[tuple[bytes, bytes]]

MAX_DOCUMENT_BYTES = 64 * 1024
MAX_VALUES = 2000  # names of members included
_JSON_TYPE = re.compile(rb'application/json(?:\s*;\s*charset="?utf-8"?)?', re.IGNORECASE)
_LENGTH = re.compile(rb"[0-9]{1,9}")


def check_headers(headers: Fields) -> None:
    """Checks the headers that describe the body.

    A front such as Caddy accepts a request with both Content-Length and Transfer-Encoding and forwards it as chunked,
    so a chunked body may have been ambiguous: a length is required.

    Args:
        headers: pairs of lower-case name and value.

    Raises:
        UnsupportedBody: the type is not JSON in UTF-8, or the body is encoded.
        LengthRequired: the request has no Content-Length, or also a Transfer-Encoding.
        DocumentTooLarge: the declared length is over `MAX_DOCUMENT_BYTES`.
    """
    types, lengths = values(headers, b"content-type"), values(headers, b"content-length")
    if len(types) != 1 or _JSON_TYPE.fullmatch(types[0].strip()) is None:
        raise UnsupportedBody("send the registration as application/json in UTF-8 (RFC 7591 section 3.1)")
    if any(coding.strip().lower() != b"identity" for coding in values(headers, b"content-encoding")):
        raise UnsupportedBody("send the registration without Content-Encoding")
    if len(lengths) != 1 or values(headers, b"transfer-encoding") or _LENGTH.fullmatch(lengths[0]) is None:
        raise LengthRequired("send the registration with one Content-Length and no Transfer-Encoding")
    if int(lengths[0]) > MAX_DOCUMENT_BYTES:
        raise DocumentTooLarge(f"the document: send at most {MAX_DOCUMENT_BYTES} bytes")


async def read_document(receive: Receive) -> dict[str, Any]:
    """Reads and parses the document.

    Args:
        receive: the ASGI `receive` of a request whose headers `check_headers` has accepted.

    Raises:
        DocumentTooLarge: the body is over `MAX_DOCUMENT_BYTES`.
        InvalidMetadata: the body is not one unambiguous JSON object: a member is there twice, it has a byte order mark
            or trailing data, is not UTF-8, or has too many values.
        ClientDisconnect: the client disconnected.
    """
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] != "http.request":
            raise ClientDisconnect
        body += message.get("body", b"")
        if len(body) > MAX_DOCUMENT_BYTES:
            raise DocumentTooLarge(f"the document: send at most {MAX_DOCUMENT_BYTES} bytes")
        if not message.get("more_body", False):
            break
    try:
        document = strict_json.loads(bytes(body), max_values=MAX_VALUES)
    except strict_json.StrictJsonError as error:
        raise InvalidMetadata(f"the document: {error}") from error
    if not isinstance(document, dict):
        raise InvalidMetadata("the document: send one JSON object")
    return document


def values(headers: Fields, name: bytes) -> list[bytes]:
    """Returns the values of a header, one for each field with that name."""
    return [value for found, value in headers if found == name]
