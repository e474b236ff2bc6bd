"""Attacks through the rest of the JOSE header: `kid`, extensions, the type, its encoding."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mcp_idp.errors import TokenErrorReason
from mcp_idp.testing.corpus.model import token
from mcp_idp.testing.corpus.token_forge import forge, headed, homoglyph, parts

if TYPE_CHECKING:
    from collections.abc import Callable

    from mcp_idp.testing.issuer import Issuer


def _header(text: str) -> Callable[[Issuer], str]:
    return lambda issuer: forge(text.encode(), issuer.claims(), key=issuer.key)


def _with(**header: Any) -> Callable[[Issuer], str]:
    return lambda issuer: headed(issuer, **header)


def _beside(change: Callable[[str], str]) -> Callable[[Issuer], str]:
    """The kid is what `change` makes of the good one."""
    return lambda issuer: headed(issuer, kid=change(issuer.header["kid"]))


KID, UNKNOWN = "key_known", TokenErrorReason.KEY_UNKNOWN
JWS_KID = "RFC 8725 section 3.10; RFC 7515 section 4.1.4"


ATTACKS = (
    token("kid as a path out of the folder of keys", JWS_KID, KID, _with(kid="../../../../dev/null"), UNKNOWN),
    token("kid as a piece of SQL", JWS_KID, KID, _with(kid="one' UNION SELECT 'secret' -- "), UNKNOWN),
    token("kid as a command", JWS_KID, KID, _with(kid="one|/bin/sh -c id"), UNKNOWN),
    token(
        "a valid kid with a trailing null byte",
        JWS_KID,
        KID,
        _beside(lambda kid: kid + "\0.pem"),
        UNKNOWN,
    ),
    token(
        "kid with a homoglyph",
        JWS_KID,
        KID,
        _beside(homoglyph),
        UNKNOWN,
    ),
    token(
        "a valid kid in another case",
        JWS_KID,
        KID,
        _beside(str.swapcase),
        UNKNOWN,
    ),
    token("kid as an LDAP and glob wildcard", JWS_KID, KID, _with(kid="*"), UNKNOWN),
    token("kid with a line break for the log", "CWE-117", KID, _with(kid="one\r\nlevel=error\x1b[2J"), UNKNOWN),
    token(
        "kid with an unpaired surrogate",
        "RFC 8259 section 8.2",
        "whole_characters",
        _header('{"alg":"RS256","kid":"\\ud800","typ":"JWT"}'),
        TokenErrorReason.HEADER_MALFORMED,
    ),
    token("kid as a list", JWS_KID, "kid_text", _with(kid=["one"]), TokenErrorReason.HEADER_MALFORMED),
    token(
        "kid that is too long",
        JWS_KID,
        "kid_text",
        _with(kid="k" * 1000),
        TokenErrorReason.HEADER_MALFORMED,
    ),
    token("kid that is empty", JWS_KID, "kid_text", _with(kid=""), TokenErrorReason.HEADER_MALFORMED),
    token(
        "an extension that we must understand and do not",
        "CVE-2025-59420; CVE-2026-32597",
        "critical_extensions",
        _with(crit=["bork"], bork=True),
        TokenErrorReason.CRITICAL_EXTENSION,
    ),
    token(
        "crit that lists nothing",
        "RFC 7515 section 4.1.11",
        "critical_extensions",
        _with(crit=[]),
        TokenErrorReason.CRITICAL_EXTENSION,
    ),
    token(
        "a payload that is not base64 by its header (b64)",
        "RFC 7797 section 6",
        "critical_extensions",
        _with(b64=False),
        TokenErrorReason.CRITICAL_EXTENSION,
    ),
    token(
        "a header that is a list",
        "RFC 7515 section 4",
        "json_object",
        _header('["RS256"]'),
        TokenErrorReason.HEADER_MALFORMED,
    ),
    token(
        "alg twice in the header, none first",
        "RFC 7515 section 4; RFC 8259 section 4",
        "duplicate_members",
        _header('{"alg":"none","alg":"RS256","kid":"one","typ":"JWT"}'),
        TokenErrorReason.HEADER_MALFORMED,
    ),
    token(
        "alg twice in the header, one of them spelt in escapes",
        "RFC 8259 sections 4 and 8.3",
        "duplicate_members",
        _header('{"\\u0061lg":"none","alg":"RS256","kid":"one","typ":"JWT"}'),
        TokenErrorReason.HEADER_MALFORMED,
    ),
    token(
        "a header that is too long",
        "CVE-2025-61920",
        "header_length",
        _with(filler="x" * 3000),
        TokenErrorReason.HEADER_MALFORMED,
    ),
    token(
        "a header nested deeper than the parser goes",
        "RFC 8259 section 9",
        "json_errors",
        _header('{"alg":"RS256","kid":"one","typ":"JWT","x":' + "[" * 1300),
        TokenErrorReason.HEADER_MALFORMED,
    ),
    token(
        "a header in UTF-16",
        "RFC 8725 section 2.6; RFC 8259 section 8.1",
        "utf8_only",
        lambda i: forge('{"alg":"RS256","kid":"one","typ":"JWT"}'.encode("utf-16-le"), i.claims(), key=i.key),
        TokenErrorReason.HEADER_MALFORMED,
    ),
    token(
        "a logout token by its header",
        "OIDC Back-Channel Logout 1.0 section 2.4",
        "header_type",
        _with(typ="logout+jwt"),
        TokenErrorReason.HEADER_TYPE,
    ),
    token(
        "a DPoP proof by its header",
        "RFC 9449 section 4.2",
        "header_type",
        _with(typ="dpop+jwt"),
        TokenErrorReason.HEADER_TYPE,
    ),
    token(
        "no type in the header", "RFC 8725 section 3.11", "header_type", _with(typ=...), TokenErrorReason.HEADER_TYPE
    ),
    token(
        "a type that begins like a valid one",
        "RFC 8725 section 3.11",
        "header_type",
        _with(typ="at+jwt;v=2"),
        TokenErrorReason.HEADER_TYPE,
    ),
    token(
        "a type that is a list with a valid one",
        "RFC 7515 section 4.1.9",
        "header_type",
        _with(typ=["JWT"]),
        TokenErrorReason.HEADER_TYPE,
    ),
    token(
        "an introspection response in the form of a JWT",
        "RFC 9701 section 5",
        "header_type",
        _with(typ="token-introspection+jwt"),
        TokenErrorReason.HEADER_TYPE,
    ),
    token(
        "a header of one token on the claims and signature of another",
        "RFC 7515 section 5.2",
        "signature",
        lambda i: ".".join([parts(headed(i, extra=1))[0], *parts(i.token())[1:]]),
        TokenErrorReason.SIGNATURE,
    ),
)
