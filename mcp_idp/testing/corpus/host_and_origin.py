"""Attacks through Host and Origin."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mcp_idp.testing.corpus.model import HOST, HOST_NOT_ALLOWED, NO_CREDENTIALS, Attack, Request, call

if TYPE_CHECKING:
    from collections.abc import Callable

    from mcp_idp.testing.issuer import Issuer

    Make = Callable[[Issuer], Request]


def _host(name: str, source: str, check: str, *hosts: bytes, more: tuple[tuple[bytes, bytes], ...] = ()) -> Attack:
    def send(issuer: Issuer) -> Request:
        return call(issuer.token(), *more, hosts=hosts)

    return Attack(
        name=name, source=source, check=check, send=send, status=421, challenge=None, message=HOST_NOT_ALLOWED
    )


def _origin(name: str, source: str, check: str, *origins: bytes, **changes: Any) -> Attack:
    def send(issuer: Issuer) -> Request:
        return call(issuer.token(), *((b"origin", origin) for origin in origins), **changes)

    code = "forbidden_origin"
    return Attack(name=name, source=source, check=check, send=send, status=403, challenge=None, message=code)


REBIND, PAGE = "CVE-2025-66416; TS-05", "TS-01; TS-02"


ATTACKS = (
    _host("a host name that an attacker resolves to this server", REBIND, "host", b"attacker.example:3000"),
    _host("a host name that begins with ours", REBIND, "host_whole", b"localhost:3000.attacker.example"),
    _host(
        "our host as the user part of another URL",
        "RFC 3986 section 3.2.1",
        "host_whole",
        b"localhost@attacker.example",
    ),
    _host("our host with a vertical tab at the end", "RFC 9112 section 3.2", "host_whole", b"localhost:3000\x0b"),
    _host("another spelling of this machine's address", "TS-05", "host", b"0x7f.1:3000"),
    _host("the address of every interface", "TS-05", "host", b"0.0.0.0:3000"),
    _host("two hosts, our host first", "RFC 9112 section 3.2", "one_host", HOST, b"attacker.example"),
    _host("no host", "RFC 9112 section 3.2", "one_host"),
    _host(
        "an untrusted host with a trusted forwarded host",
        "RFC 7239 section 8.1",
        "host",
        b"attacker.example",
        more=((b"x-forwarded-host", HOST), (b"forwarded", b"host=localhost:3000")),
    ),
    _origin("a page of another site", PAGE, "origin", b"https://attacker.example"),
    _origin("a page without an origin (null)", PAGE, "origin", b"null"),
    _origin("a page whose host name begins with ours", PAGE, "origin_whole", b"http://localhost:3000.attacker.example"),
    _origin("our host as the user part of an origin", PAGE, "origin_whole", b"http://localhost:3000@attacker.example"),
    _origin(
        "a list of origins that contains ours",
        "RFC 6454 section 7.1",
        "origin_whole",
        b"http://localhost:3000 https://attacker.example",
    ),
    _origin(
        "two origins, our origin first",
        "RFC 6454 section 7.3",
        "one_origin",
        b"http://localhost:3000",
        b"https://attacker.example",
    ),
    _origin("an origin of another scheme", PAGE, "origin", b"chrome-extension://localhost"),
    _origin("a header injection in the origin", "CWE-113", "origin_whole", b"http://localhost:3000\r\nset-cookie: a=b"),
    _origin(
        "a preflight of an untrusted page",
        "Fetch standard, CORS-preflight request",
        "origin",
        b"https://attacker.example",
        method="OPTIONS",
    ),
    Attack(
        name="a call that looks like a preflight",
        source="Fetch standard, CORS-preflight request",
        check="preflight_method",
        send=lambda _: call(None, (b"origin", b"http://localhost:6274"), (b"access-control-request-method", b"POST")),
        challenge="",
        message=NO_CREDENTIALS,
    ),
)
