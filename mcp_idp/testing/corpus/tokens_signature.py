"""Attacks through the signature."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from mcp_idp.errors import TokenErrorReason
from mcp_idp.testing.corpus.model import token
from mcp_idp.testing.corpus.token_forge import HEADER, ec_key, forge, forged, parts, sign, signing_input
from mcp_idp.testing.corpus.tokens_algorithm import MANY_KEYS
from mcp_idp.testing.issuer import b64

if TYPE_CHECKING:
    from collections.abc import Callable

    from mcp_idp.testing.issuer import Issuer


P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


ES = {"alg": "ES256", "kid": "ec", "typ": "JWT"}


def _es256(change: Callable[[int, int], bytes]) -> Callable[[Issuer], str]:
    """An ES256 token whose two numbers have gone through `change`."""

    def send(issuer: Issuer) -> str:
        signature = sign(signing_input(ES, issuer.claims()).encode(), ec_key(), "ES256")
        numbers = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big")
        return forge(ES, issuer.claims(), signature=change(*numbers))

    return send


def _raw(r: int, s: int) -> bytes:
    return r.to_bytes(32, "big") + s.to_bytes(32, "big")


def altered(change: Callable[[str], str]) -> Callable[[Issuer], str]:
    """A good RS256 token but for the text of its signature."""

    def send(issuer: Issuer) -> str:
        header, payload, signature = parts(issuer.token())
        return f"{header}.{payload}.{change(signature)}"

    return send


S = "signature"


ATTACKS = (
    token(
        "another user's claims with a valid signature",
        "RFC 7515 section 5.2",
        S,
        lambda i: ".".join([parts(i.token())[0], parts(i.token(sub="root"))[1], parts(i.token())[2]]),
        TokenErrorReason.SIGNATURE,
    ),
    token(
        "an ECDSA signature of two zeros",
        "CVE-2022-21449",
        S,
        _es256(lambda *_: bytes(64)),
        TokenErrorReason.SIGNATURE,
        MANY_KEYS,
    ),
    token(
        "an ECDSA signature of the group's order twice",
        "CVE-2022-21449",
        S,
        _es256(lambda *_: _raw(P256_ORDER, P256_ORDER)),
        TokenErrorReason.SIGNATURE,
        MANY_KEYS,
    ),
    token(
        "a good ECDSA signature in DER",
        "RFC 7518 section 3.4; CVE-2024-42461",
        S,
        _es256(encode_dss_signature),
        TokenErrorReason.SIGNATURE,
        MANY_KEYS,
    ),
    token(
        "a good ECDSA signature with a zero before each number",
        "RFC 7518 section 3.4; CVE-2020-13822",
        S,
        _es256(lambda r, s: b"\0" + r.to_bytes(32, "big") + b"\0" + s.to_bytes(32, "big")),
        TokenErrorReason.SIGNATURE,
        MANY_KEYS,
    ),
    token(
        "the two numbers of an ECDSA signature swapped",
        "RFC 7518 section 3.4",
        S,
        _es256(lambda r, s: _raw(s, r)),
        TokenErrorReason.SIGNATURE,
        MANY_KEYS,
    ),
    token(
        "an ECDSA signature of another curve's length",
        "RFC 7518 section 3.4",
        S,
        lambda i: forge(ES, i.claims(), key=ec_key("p384"), alg="ES384"),
        TokenErrorReason.SIGNATURE,
        MANY_KEYS,
    ),
    token(
        "ES256 by a key that is not the provider's",
        "RFC 8725 section 3.2",
        S,
        lambda i: forge(ES, i.claims(), key=ec_key("p256-other"), alg="ES256"),
        TokenErrorReason.SIGNATURE,
        MANY_KEYS,
    ),
    token(
        "an ES256 header over an RSA signature",
        "RFC 8725 section 3.1",
        S,
        lambda i: forge(ES, i.claims()),
        TokenErrorReason.SIGNATURE,
        MANY_KEYS,
    ),
    token(
        "a PSS signature under an RS256 header",
        "RFC 7518 sections 3.3 and 3.5",
        S,
        lambda i: forged(i, i.claims(), by="PS256"),
        TokenErrorReason.SIGNATURE,
    ),
    token(
        "a SHA-512 signature under an RS256 header",
        "RFC 7518 section 3.3",
        S,
        lambda i: forged(i, i.claims(), by="RS512"),
        TokenErrorReason.SIGNATURE,
    ),
    token(
        "an Ed25519 signature of zeros",
        "RFC 8032 section 5.1.7",
        S,
        lambda i: forge({**HEADER, "alg": "EdDSA", "kid": "ed"}, i.claims(), signature=bytes(64)),
        TokenErrorReason.SIGNATURE,
        MANY_KEYS,
    ),
    token("a signature cut short", "RFC 8017 section 8.2.2", S, altered(lambda s: s[:-8]), TokenErrorReason.SIGNATURE),
    token(
        "a signature with trailing bytes",
        "RFC 8017 section 8.2.2",
        S,
        altered(lambda s: b64(b"\0" * 3) + s),
        TokenErrorReason.SIGNATURE,
    ),
    token(
        "a signature of the number one",
        "RFC 8017 section 8.2.2",
        S,
        lambda i: forged(i, i.claims(), signature=(1).to_bytes(256, "big")),
        TokenErrorReason.SIGNATURE,
    ),
)
