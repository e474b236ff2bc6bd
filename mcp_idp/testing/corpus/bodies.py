"""Attacks through the body: JSON that two parsers read differently, and bodies that are too large."""

from __future__ import annotations

import gzip
from typing import TYPE_CHECKING

from mcp_idp.http_server.limits import MAX_BODY_BYTES
from mcp_idp.testing.corpus.model import WHOAMI, Attack, Request, call
from mcp_idp.util.strict_json import MAX_VALUES

if TYPE_CHECKING:
    from collections.abc import Callable

    from mcp_idp.testing.issuer import Issuer

    Make = Callable[[Issuer], Request]


def _body(name: str, source: str, check: str, body: bytes, *more: tuple[bytes, bytes]) -> Attack:
    def send(issuer: Issuer) -> Request:
        return call(issuer.token(), *more, body=body)

    code = "invalid_body"
    return Attack(name=name, source=source, check=check, send=send, status=400, challenge=None, message=code)


def _number(name: str, value: bytes) -> Attack:
    """Returns a call with a long number in its arguments."""
    body = WHOAMI.replace(b'"arguments": {}', b'"arguments": {"x": ' + value + b"}")
    return _body(name, "CVE-2020-10735; RFC 8259 section 6", "number_length", body)


def _too_large(name: str, check: str, arguments: bytes) -> Attack:
    """Returns a call whose arguments exceed a limit."""
    body = WHOAMI.replace(b'"arguments": {}', b'"arguments": {"x": ' + arguments + b"}")

    def send(issuer: Issuer) -> Request:
        return call(issuer.token(), body=body)

    source = "RFC 8259 section 9; RFC 9110 section 15.5.14"
    return Attack(
        name=name, source=source, check=check, send=send, status=413, challenge=None, message="body_too_large"
    )


def _many(name: str, item: bytes) -> Attack:
    """Returns a call with as many copies of `item` as a body may contain."""
    maximum = (MAX_BODY_BYTES - 1000) // (len(item) + 1)
    return _too_large(name, "values_bound", b"[" + b",".join([item] * maximum) + b"]")


def _initialize(name: str, capability: bytes) -> Attack:
    """Returns an `initialize` request, which the session stores, with `capability` in it."""
    body = (
        b'{"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {"protocolVersion": "2025-11-25", '
        b'"clientInfo": {"name": "a", "version": "1"}, "capabilities": {"experimental": {"x": {"k": '
        + capability
        + b"}}}}}"
    )

    def send(issuer: Issuer) -> Request:
        return call(issuer.token(), body=body)

    source = "MCP 2025-11-25 lifecycle; RFC 9110 section 15.5.14"
    return Attack(
        name=name,
        source=source,
        check="initialize_length",
        send=send,
        status=413,
        challenge=None,
        message="body_too_large",
    )


TWICE, JSON = "RFC 8259 section 4", "RFC 8259 section 8.1"


ATTACKS = (
    _body("method twice", TWICE, "duplicate_members", WHOAMI.replace(b'"id"', b'"method": "ping", "id"')),
    _body(
        "a tool's name twice",
        TWICE,
        "duplicate_members",
        WHOAMI.replace(b'"arguments"', b'"name": "greet", "arguments"'),
    ),
    _body(
        "a name twice, once in escapes",
        "RFC 8259 section 8.3",
        "duplicate_members",
        WHOAMI.replace(b'"id"', b'"m\\u0065thod": "ping", "id"'),
    ),
    _body("a batch", "MCP 2025-06-18, changes", "one_message", b"[" + WHOAMI + b"]"),
    _body("an empty batch", "JSON-RPC 2.0 section 6", "one_message", b"[]"),
    _body("a string that contains a call", "JSON-RPC 2.0 section 4", "one_message", b'"tools/call"'),
    _body("UTF-16 with its mark", JSON, "utf8_only", WHOAMI.decode().encode("utf-16")),
    _body("UTF-32 without a mark", JSON, "utf8_only", WHOAMI.decode().encode("utf-32-be")),
    _body("a byte order mark before the call", JSON, "json_errors", b"\xef\xbb\xbf" + WHOAMI),
    _body("bytes that are not UTF-8", "RFC 3629 section 3", "utf8_only", WHOAMI.replace(b"whoami", b"who\xc0\xafami")),
    _body(
        "an unpaired surrogate as bytes", "RFC 3629 section 3", "utf8_only", WHOAMI.replace(b"whoami", b"\xed\xa0\x80")
    ),
    _body("another call after the call", "RFC 8259 section 2", "json_errors", WHOAMI + WHOAMI),
    _body("a null byte after the call", "RFC 8259 section 2", "json_errors", WHOAMI + b"\0"),
    _many("empty objects, four megabytes", b"{}"),
    _many("objects in objects, four megabytes", b'{"a":{}}'),
    _many("arrays in arrays, four megabytes", b"[[]]"),
    _many("texts of two letters, four megabytes", b'"ab"'),
    _many("small floats, four megabytes", b"1e5"),
    _many("texts that end in a backslash, between numbers", b'"\\\\",1'),
    _many("members of many objects, four megabytes", b'{"a":1,"b":2}'),
    _too_large(
        "one object of many members", "values_bound", b"{" + b",".join(b'"%x":0' % n for n in range(200_000)) + b"}"
    ),
    _too_large("one value more than is read", "values_bound", b"[" + b"1," * (MAX_VALUES - 1) + b"1]"),
    _too_large("deep arrays", "depth_bound", b"[" * 129 + b"]" * 129),
    _too_large("deep objects", "depth_bound", b'{"a":' * 150 + b"1" + b"}" * 150),
    _too_large("arrays and objects in turn, deep", "depth_bound", b'[{"a":' * 100 + b"1" + b"}]" * 100),
    _too_large(
        "deep arrays after brackets in strings", "depth_bound", b'["]]]]","\\"}}",' + b"[" * 140 + b"]" * 140 + b"]"
    ),
    _too_large("deep arrays after shallow ones", "depth_bound", b"[" + b"[]," * 999 + b"[" * 140 + b"]" * 140 + b"]"),
    _too_large("deep nesting", "depth_bound", b'{"a":' * 20_000 + b"1" + b"}" * 20_000),
    _initialize("a session that begins with four megabytes", b'"' + b"a" * (MAX_BODY_BYTES - 1000) + b'"'),
    _initialize("a session that begins with wide characters", '"é\U0001f600'.encode() + b"a" * 20_000 + b'"'),
    _initialize("a session that begins with many objects", b"[" + b",".join([b"{}"] * 15_000) + b"]"),
    _initialize("a session that begins with escapes", b'"' + rb"\u0041" * 3000 + b'"'),
    _body(
        "an id of four megabytes",
        "JSON-RPC 2.0 section 4",
        "id_length",
        WHOAMI.replace(b'"id": 1', b'"id": "' + b"i" * 4_000_000 + b'"'),
    ),
    _body(
        "an id of one character too many",
        "JSON-RPC 2.0 section 4",
        "id_length",
        WHOAMI.replace(b'"id": 1', b'"id": "' + b"i" * 257 + b'"'),
    ),
    _body("deep nesting without an end", "RFC 8259 section 9", "json_errors", b'{"a":' * 100),
    _body("NaN as an id", "RFC 8259 section 6", "no_constants", WHOAMI.replace(b'"id": 1', b'"id": NaN')),
    _body(
        "an id too large for a float",
        "RFC 8259 section 6",
        "finite_numbers",
        WHOAMI.replace(b'"id": 1', b'"id": 1e400'),
    ),
    _number("an id of more digits than Python reads", b"1" * 5000),
    _number("an integer of one digit too many", b"1" * 401),
    _number("a negative integer of 4,299 digits", b"-" + b"9" * 4299),
    _number("950 integers of 4,299 digits", b"[" + b",".join([b"9" * 4299] * 950) + b"]"),
    _number("a fraction of four million digits", b"0." + b"3" * 4_000_000),
    _number("a fraction with a long exponent", b"1e-" + b"0" * 3000 + b"1"),
    _number("floats of a thousand digits", b"[" + b",".join([b"1." + b"7" * 1000] * 4000) + b"]"),
    _number("a long integer as a value in an object in an array", b'[[{"a": ' + b"8" * 2000 + b"}]]"),
    _body("a comment in the call", "RFC 8259 section 2", "json_errors", WHOAMI.replace(b'"id"', b'/* */ "id"')),
    _body("nothing", "RFC 8259 section 2", "json_errors", b""),
    _body(
        "a compressed call",
        "RFC 9110 section 8.4",
        "json_errors",
        gzip.compress(WHOAMI),
        (b"content-encoding", b"gzip"),
    ),
    _body(
        "a bomb in gzip",
        "RFC 9110 section 8.4; CVE-2024-33664",
        "json_errors",
        gzip.compress(b" " * 3_000_000),
        (b"content-encoding", b"gzip"),
    ),
    Attack(
        name="a body over the bound",
        source="RFC 9110 section 15.5.14",
        check="body_length",
        send=lambda i: call(i.token(), body=WHOAMI + b" " * MAX_BODY_BYTES),
        status=413,
        challenge=None,
        message="body_too_large",
    ),
)
