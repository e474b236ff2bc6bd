"""Attacks through the algorithm and the keys in the JOSE header."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from mcp_idp.errors import TokenErrorReason
from mcp_idp.testing.corpus.model import Stage, token
from mcp_idp.testing.corpus.token_forge import (
    HEADER,
    ec_key,
    ed_key,
    forge,
    forged,
    headed,
    hmac_signed,
    public_bytes,
    with_every_kind_of_key,
)
from mcp_idp.testing.issuer import Issuer, public_jwk, rsa_key

if TYPE_CHECKING:
    from collections.abc import Callable


SPKI = PublicFormat.SubjectPublicKeyInfo


MANY_KEYS = Stage("every kind of key", with_every_kind_of_key)


THIEF = rsa_key("attacker")


def _unsigned(alg: str) -> Callable[[Issuer], str]:
    return lambda issuer: forged(issuer, issuer.claims(), alg=alg, signature=b"x")


def _with(**header: Any) -> Callable[[Issuer], str]:
    return lambda issuer: headed(issuer, **header)


def _stolen(**header: Any) -> Callable[[Issuer], str]:
    """Signed by the attacker's key, which the header offers."""
    return lambda issuer: headed(issuer, key=THIEF, **header)


def _pem(key: Any, form: PublicFormat = SPKI) -> bytes:
    return public_bytes(key, Encoding.PEM, form)


ALG, JWA = "algorithm_list", "RFC 8725 section 3.1"


ATTACKS = (
    token("alg none with bytes for a signature", "CVE-2022-23540", ALG, _unsigned("none"), TokenErrorReason.ALGORITHM),
    token(
        "alg none in capitals, to pass a deny list",
        JWA,
        ALG,
        _unsigned("nOnE"),
        TokenErrorReason.ALGORITHM,
    ),
    token(
        "alg none and the empty signature that goes with it",
        "RFC 7515 appendix A.5; RFC 8725 section 2.1",
        "compact_shape",
        lambda i: forged(i, i.claims(), alg="none", signature=b""),
        TokenErrorReason.NOT_A_JWT,
    ),
    token("no alg, so that a default might apply", JWA, ALG, _with(alg=...), TokenErrorReason.ALGORITHM),
    token(
        "alg as a list of names",
        "RFC 7515 section 4.1.1",
        ALG,
        _with(alg=["RS256", "none"]),
        TokenErrorReason.ALGORITHM,
    ),
    token(
        "alg with a trailing space",
        "RFC 7515 section 4.1.1",
        ALG,
        _with(alg="RS256 "),
        TokenErrorReason.ALGORITHM,
    ),
    token("alg that has no keys here (ES256K)", JWA, ALG, _with(alg="ES256K"), TokenErrorReason.ALGORITHM),
    token(
        "alg of an encryption in a signed token",
        "RFC 8725 section 2.3",
        ALG,
        _with(alg="RSA-OAEP"),
        TokenErrorReason.ALGORITHM,
    ),
    token(
        "the RSA key's PEM as an HMAC secret",
        "CVE-2015-9235; CVE-2016-10555; RFC 8725 section 2.1",
        ALG,
        lambda i: hmac_signed(i, _pem(i.key)),
        TokenErrorReason.ALGORITHM,
    ),
    token(
        "the PKCS#1 form of the RSA key as an HMAC secret",
        "CVE-2017-11424",
        ALG,
        lambda i: hmac_signed(i, _pem(i.key, PublicFormat.PKCS1)),
        TokenErrorReason.ALGORITHM,
    ),
    token(
        "the OpenSSH form of the EC key as an HMAC secret",
        "CVE-2022-29217; CVE-2024-33663",
        ALG,
        lambda i: hmac_signed(i, public_bytes(ec_key(), Encoding.OpenSSH, PublicFormat.OpenSSH), kid="ec"),
        TokenErrorReason.ALGORITHM,
        MANY_KEYS,
    ),
    token(
        "the DER form of the RSA key as an HMAC secret, SHA-512",
        "CVE-2024-37568",
        ALG,
        lambda i: hmac_signed(i, public_bytes(i.key, Encoding.DER, SPKI), "HS512"),
        TokenErrorReason.ALGORITHM,
    ),
    token(
        "the published JWK's own text as an HMAC secret",
        "CVE-2026-48526; CVE-2023-48238",
        ALG,
        lambda i: hmac_signed(i, str(i.keys[0]).encode(), "HS384"),
        TokenErrorReason.ALGORITHM,
    ),
    token(
        "an empty HMAC secret", "RFC 8725 section 3.5", ALG, lambda i: hmac_signed(i, b""), TokenErrorReason.ALGORITHM
    ),
    token(
        "the key for the signature in the header (jwk)",
        "CVE-2018-0114; RFC 7515 section 4.1.3",
        "signature",
        _stolen(jwk=public_jwk(THIEF, kid="one", alg="RS256")),
        TokenErrorReason.SIGNATURE,
    ),
    token(
        "a URL for the key in the header (jku)",
        "RFC 8725 section 3.10",
        "signature",
        _stolen(jku="http://attacker.example/keys"),
        TokenErrorReason.SIGNATURE,
    ),
    token(
        "a URL for a certificate in the header (x5u)",
        "RFC 7515 section 4.1.5",
        "signature",
        _stolen(x5u="http://169.254.169.254/latest/meta-data"),
        TokenErrorReason.SIGNATURE,
    ),
    token(
        "a certificate chain and its thumbprints in the header (x5c, x5t)",
        "RFC 7515 sections 4.1.6 to 4.1.8",
        "signature",
        _stolen(**{"x5c": ["MIIBszCCARygAwIBAgI"], "x5t": "x", "x5t#S256": "y"}),
        TokenErrorReason.SIGNATURE,
    ),
    token(
        "the RSA key named for ES256",
        "RFC 8725 section 3.1",
        "key_algorithm",
        lambda i: forge({**HEADER, "alg": "ES256"}, i.claims(), key=ec_key(), alg="ES256"),
        TokenErrorReason.KEY_ALGORITHM_MISMATCH,
        MANY_KEYS,
    ),
    token(
        "the RSA key named for EdDSA",
        "RFC 8037 section 3.1",
        "key_algorithm",
        lambda i: forge({**HEADER, "alg": "EdDSA"}, i.claims(), key=ed_key(), alg="EdDSA"),
        TokenErrorReason.KEY_ALGORITHM_MISMATCH,
        MANY_KEYS,
    ),
    token(
        "PS256 by a key that is for RS256 only",
        "RFC 8725 section 3.1; RFC 7517 section 4.4",
        "key_algorithm",
        lambda i: forged(i, i.claims(), alg="PS256", by="PS256"),
        TokenErrorReason.KEY_ALGORITHM_MISMATCH,
    ),
    token(
        "RS512 by a key that is for RS256 only",
        "RFC 7517 section 4.4",
        "key_algorithm",
        lambda i: forged(i, i.claims(), alg="RS512", by="RS512"),
        TokenErrorReason.KEY_ALGORITHM_MISMATCH,
    ),
)
