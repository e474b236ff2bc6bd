"""Attacks through the place and form of the credentials, and through sessions of other users."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from mcp_idp.testing.corpus.issuers import TRUSTED
from mcp_idp.testing.corpus.model import NO_CREDENTIALS, Attack, Request, Stage, call, in_session
from mcp_idp.testing.issuer import rsa_key

if TYPE_CHECKING:
    from collections.abc import Callable

    from mcp_idp.testing.issuer import Issuer

    Make = Callable[[Issuer], Request]


def _missing(name: str, source: str, check: str, send: Make) -> Attack:
    """Returns a request without credentials: the challenge has no error code (RFC 6750 section 3.1)."""
    return Attack(name=name, source=source, check=check, send=send, challenge="", message=NO_CREDENTIALS)


def _malformed(name: str, check: str, send: Make) -> Attack:
    source, code = "RFC 6750 section 3.1", "invalid_request"
    return Attack(name=name, source=source, check=check, send=send, status=400, challenge=code, message=code)


def _authorization(value: Callable[[str], str]) -> Make:
    return lambda issuer: call(None, (b"authorization", value(issuer.token()).encode("latin-1")))


def _with_headers(*more: tuple[bytes, bytes]) -> Make:
    return lambda issuer: call(issuer.token(), *more)


def _in_header(header: bytes, before: bytes = b"") -> Make:
    return lambda issuer: call(None, (header, before + issuer.token().encode()))


OTHER_PLACES = "RFC 6750 section 2; RS-17"


_CREDENTIALS = (
    _malformed(
        "two Authorization headers, the good one first", "one_header", _with_headers((b"authorization", b"Bearer x"))
    ),
    _malformed(
        "two Authorization headers of two schemes", "one_header", _with_headers((b"authorization", b"Basic eDp5"))
    ),
    _malformed("two tokens separated by a comma", "one_token", _authorization(lambda t: f"Bearer {t}, Bearer {t}")),
    _malformed("a token and a parameter", "one_token", _authorization(lambda t: f'Bearer {t} realm="x"')),
    _malformed("a token after a tab", "one_token", _authorization(lambda t: f"Bearer x\t{t}")),
    _malformed("Bearer and nothing", "empty_token", lambda _: call(None, (b"authorization", b"Bearer   "))),
    _missing("a good token as a Basic user", "RFC 9110 section 11.4", "scheme", _authorization(lambda t: f"Basic {t}")),
    _missing(
        "a good token under the scheme DPoP", "RFC 9449 section 7.1", "scheme", _authorization(lambda t: f"DPoP {t}")
    ),
    _missing("a good token without a scheme", "RFC 9110 section 11.4", "scheme", _authorization(lambda t: t)),
    _missing("a scheme and a tabulator", "RFC 9110 section 11.4", "scheme", _authorization(lambda t: f"Bearer\t{t}")),
    _missing(
        "a scheme that begins with Bearer",
        "RFC 9110 section 11.1",
        "scheme",
        _authorization(lambda t: f"BearerToken {t}"),
    ),
    _missing(
        "a token in the query",
        OTHER_PLACES,
        "header_only",
        lambda i: call(None, query=b"access_token=" + i.token().encode()),
    ),
    _missing("a token in a cookie", OTHER_PLACES, "header_only", _in_header(b"cookie", b"access_token=")),
    _missing(
        "a token in a proxy's header",
        "RFC 9110 section 11.7.2",
        "header_only",
        _in_header(b"proxy-authorization", b"Bearer "),
    ),
    _missing(
        "a token in a header that proxies set", OTHER_PLACES, "header_only", _in_header(b"x-forwarded-access-token")
    ),
    _missing(
        "a token in a form",
        "RFC 6750 section 2.2",
        "header_only",
        lambda i: call(
            None, (b"content-type", b"application/x-www-form-urlencoded"), body=b"access_token=" + i.token().encode()
        ),
    ),
    _missing(
        "a user name in the headers of a proxy",
        "RFC 9110 section 17.1",
        "header_only",
        lambda _: call(None, (b"x-forwarded-user", b"root"), (b"remote-user", b"root")),
    ),
)


def _method(method: str) -> Attack:
    source = "RS-18; RFC 9110 section 9"
    return _missing(f"{method} without a token", source, "every_method", lambda _: call(None, method=method, body=b""))


def _session(name: str, source: str, check: str, send: Make, stage: Stage | None = None) -> Attack:
    row = Attack(name=name, source=source, check=check, send=send, status=404, challenge=None)
    return replace(row, stage=stage or row.stage)


def _two_issuers(issuer: Any) -> Request:
    return in_session(issuer.token(), issuer.other.token(key=rsa_key("two")))


_SESSIONS = (
    *(_method(method) for method in ("GET", "DELETE", "PUT", "HEAD", "TRACE", "OPTIONS", "PROPFIND")),
    _session(
        "another user's session", "RS-25", "session_subject", lambda i: in_session(i.token(), i.token(sub="mallory"))
    ),
    _session(
        "deletion of another user's session",
        "RS-25",
        "session_subject",
        lambda i: in_session(i.token(), i.token(sub="mallory"), "DELETE"),
    ),
    _session(
        "one's own session through another client",
        "RS-25",
        "session_client",
        lambda i: in_session(i.token(), i.token(azp="client-2")),
    ),
    _session(
        "the session of the same name at another issuer",
        "RS-25; OIDC Core 1.0 section 5.7",
        "session_issuer",
        _two_issuers,
        TRUSTED,
    ),
    _session(
        "the event stream of another user's session",
        "RS-25",
        "session_subject",
        lambda i: in_session(i.token(), i.token(sub="mallory"), "GET"),
    ),
)


ATTACKS = (*_CREDENTIALS, *_SESSIONS)
