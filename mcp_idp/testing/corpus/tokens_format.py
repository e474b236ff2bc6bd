"""Attacks through the format of the token: serializations, alphabets, encryption, length."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from mcp_idp.errors import TokenErrorReason
from mcp_idp.testing.corpus.model import PLAIN, Attack, Stage, token
from mcp_idp.testing.corpus.token_forge import forged, other_last_bits, parts, sign
from mcp_idp.testing.corpus.tokens_signature import altered
from mcp_idp.testing.introspecting_issuer import MODE, Introspecting
from mcp_idp.testing.issuer import b64

if TYPE_CHECKING:
    from collections.abc import Callable

    from mcp_idp.testing.issuer import Issuer


def _introspecting() -> Introspecting:
    issuer = Introspecting()
    issuer.message = lambda _: issuer.active()
    return issuer


AT_THE_PROVIDER = Stage("introspection of every token", _introspecting, settings=MODE)


def _other_alphabet(issuer: Issuer) -> str:
    """Signed over the letters that are sent: only the alphabet is wrong."""
    header = b64(json.dumps({**issuer.header, "x": "\u00bf\u00be\u00fb\u00ff?>~"}, ensure_ascii=False).encode())
    data = f"{header}.{b64(json.dumps(issuer.claims()).encode())}".replace("-", "+").replace("_", "/")
    assert set(data) & set("+/")
    return f"{data}.{b64(sign(data.encode(), issuer.key))}"


def _with_groups(issuer: Issuer, length: int) -> str:
    """Returns a good token of at least so many characters: its user is a member of many groups."""
    count = length // 60
    while len(made := issuer.token(groups=[f"/departments/department-{i:05}" for i in range(count)])) < length:
        count += 1
    return made


def _too_long(name: str, send: Callable[[Any], str], stage: Stage = PLAIN) -> Attack:
    """Returns an attack with a token that is too long: a new login would not change that, so there is no challenge."""
    return Attack(
        name=name,
        source="CVE-2025-61920",
        check="token_length",
        send=send,
        status=431,
        challenge=None,
        message=TokenErrorReason.TOO_LONG.value,
        stage=stage,
    )


def _json_form(issuer: Issuer) -> str:
    header, payload, signature = parts(issuer.token())
    return json.dumps({"protected": header, "payload": payload, "signature": signature}, separators=(";", ":"))


def _both_forms(issuer: Issuer) -> str:
    """One text that is JSON serialization to one reader and compact to another."""
    header, payload, signature = parts(issuer.token())
    return f'{{"{header}.{payload}.{signature}":"{header}"}}'


def _nested(issuer: Issuer) -> str:
    return forged(issuer, issuer.token().encode(), cty="JWT")


SHAPE = "compact_shape"


ATTACKS = (
    token(
        "no signature after a header that requires one",
        "CVE-2020-28042",
        SHAPE,
        altered(lambda _: ""),
        TokenErrorReason.NOT_A_JWT,
    ),
    token(
        "two parts, as if the signature were optional",
        "RFC 7515 section 7.1",
        SHAPE,
        lambda i: i.token().rpartition(".")[0],
        TokenErrorReason.NOT_A_JWT,
    ),
    token(
        "a valid token with trailing padding",
        "RFC 7515 section 2",
        SHAPE,
        altered(lambda s: s + "=="),
        TokenErrorReason.NOT_A_JWT,
    ),
    token(
        "a good token in the other base64 alphabet",
        "RFC 7515 section 2",
        SHAPE,
        _other_alphabet,
        TokenErrorReason.NOT_A_JWT,
    ),
    token(
        "a valid token with a trailing character that decoders skip",
        "RFC 4648 section 3.3",
        SHAPE,
        altered(lambda s: s + "!"),
        TokenErrorReason.NOT_A_JWT,
    ),
    token(
        "a good signature in another spelling of its last bits",
        "RFC 4648 section 3.5",
        "one_spelling",
        altered(other_last_bits),
        TokenErrorReason.SIGNATURE,
    ),
    token(
        "a detached payload",
        "RFC 7515 appendix F",
        SHAPE,
        lambda i: "..".join(parts(i.token())[::2]),
        TokenErrorReason.NOT_A_JWT,
    ),
    token(
        "the JSON serialization in place of the compact one",
        "RFC 7519 section 3; CVE-2022-39227",
        SHAPE,
        _json_form,
        TokenErrorReason.NOT_A_JWT,
    ),
    token(
        "one string that two parsers read as different serializations",
        "CVE-2022-39227",
        SHAPE,
        _both_forms,
        TokenErrorReason.NOT_A_JWT,
    ),
    token(
        "a token in a token",
        "RFC 7519 section 5.2; RFC 8725 section 2.3",
        "json_errors",
        _nested,
        TokenErrorReason.CLAIMS_MALFORMED,
    ),
    token(
        "an encrypted token of five parts",
        "RFC 7516 section 3; RFC 8725 section 2.3",
        SHAPE,
        lambda i: f"{b64(b'{}')}.YQ.YQ.{b64(json.dumps(i.claims()).encode())}.YQ",
        TokenErrorReason.ENCRYPTED,
    ),
    token(
        "an encrypted token with a decompression bomb",
        "CVE-2024-33664; CVE-2024-28102",
        SHAPE,
        lambda _: ".".join([b64(b'{"alg":"dir","enc":"A128GCM","zip":"DEF"}'), "YQ", "YQ", "A" * 9000, "YQ"]),
        TokenErrorReason.ENCRYPTED,
    ),
    token(
        "an encrypted token that requires a billion rounds",
        "CVE-2022-36083",
        SHAPE,
        lambda _: ".".join(
            [b64(b'{"alg":"PBES2-HS256+A128KW","enc":"A128GCM","p2c":2147483647,"p2s":"YQ"}'), *["YQ"] * 4]
        ),
        TokenErrorReason.ENCRYPTED,
    ),
    token(
        "a token of nothing but dots",
        "CVE-2025-30204; CVE-2025-27144",
        SHAPE,
        lambda _: "." * 8000,
        TokenErrorReason.NOT_A_JWT,
    ),
    _too_long("a token longer than the limit", lambda i: i.token(filler="x" * 20_000)),
    _too_long("a good token of a user with hundreds of groups", lambda i: _with_groups(i, 16_600)),
    _too_long("a token that is one byte longer than the limit", lambda i: i.token().ljust(16_385, "A")),
    _too_long("a word longer than the limit", lambda _: "x" * 16_385),
    _too_long("nothing but dots, longer than the limit", lambda _: "." * 20_000),
    _too_long("letters outside ASCII, longer than the limit", lambda _: "\u00e9" * 10_000),
    _too_long("an opaque token longer than the limit, to be introspected", lambda _: "x" * 16_385, AT_THE_PROVIDER),
    _too_long("a JWT longer than the limit, to be introspected", lambda i: _with_groups(i, 16_600), AT_THE_PROVIDER),
    token(
        "a letter outside ASCII in the token",
        "RFC 6750 section 2.1",
        SHAPE,
        altered(lambda s: s[:-1] + "\u00e9"),
        TokenErrorReason.NOT_A_JWT,
    ),
    token(
        "digits of another script in the token",
        "RFC 6750 section 2.1",
        SHAPE,
        altered(lambda s: s[:-1] + "\u0661"),
        TokenErrorReason.NOT_A_JWT,
    ),
)
