"""Attacks through the key set that a provider publishes."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from jwt.algorithms import RSAAlgorithm

from mcp_idp.errors import TokenErrorReason
from mcp_idp.testing.corpus.model import Attack, Stage, token
from mcp_idp.testing.corpus.token_forge import HEADER, RSA, ec_key, forge, headed, hmac_signed
from mcp_idp.testing.issuer import Issuer, b64, public_jwk, rsa_key

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


def _with_further_keys(name: str, *keys: dict[str, Any]) -> Stage:
    return Stage(name, lambda: Issuer(keys=[GOOD, *keys]))


def _signed_by(key: Any, by: str = "RS256", **header: Any) -> Callable[[Issuer], str]:
    return lambda issuer: headed(issuer, key=key, by=by, **{"alg": by, "kid": "two", **header})


GOOD = public_jwk(RSA, kid="one", alg="RS256", use="sig")


TWO = rsa_key("two")


SMALL = rsa_key("small", 1024)


UNKNOWN = TokenErrorReason.KEY_UNKNOWN


ENCRYPTS = _with_further_keys("a key for encryption", public_jwk(TWO, kid="two", use="enc"))


WRAPS = _with_further_keys("a key for wrapping", {**public_jwk(TWO, kid="two"), "key_ops": ["wrapKey"]})


SYMMETRIC = _with_further_keys("a symmetric key", {"kty": "oct", "kid": "two", "k": b64(b"k" * 32), "alg": "HS256"})


PRIVATE = _with_further_keys(
    "a private key", {**RSAAlgorithm.to_jwk(TWO, as_dict=True), "kid": "two", "key_ops": ["verify"]}
)


DOUBLE = _with_further_keys(
    "two keys under one kid", public_jwk(TWO, kid="two"), public_jwk(rsa_key("three"), kid="two")
)


SHORT = _with_further_keys("a short key", public_jwk(SMALL, kid="two"))


CURVE = _with_further_keys("a key of another curve", public_jwk(ec_key("secp256k1"), kid="two"))


MIXED = _with_further_keys("a key of two types", {**public_jwk(ec_key("p384"), kid="two"), "alg": "ES256"})


ODD_KID = _with_further_keys("a kid that is not a string", public_jwk(TWO, kid=2))


NAMELESS = _with_further_keys("several keys", public_jwk(TWO, kid="two"))


BROKEN = _with_further_keys("broken keys", {"kty": "RSA", "kid": "two", "n": 7, "e": []}, {"kty": "EC", "crv": "P-256"})


# Keys of kinds that nobody here knows, all with the kid of the key that signs (RFC 7517 section 5: ignored).
UNKNOWN_KINDS: Mapping[str, dict[str, Any]] = {
    "ML-DSA": {"kty": "AKP", "alg": "ML-DSA-65", "kid": "one", "pub": b64(b"p" * 1952), "use": "sig"},
    "a key type that does not exist": {"kty": "XYZ", "alg": "RS256", "kid": "one", "use": "sig"},
    "a key agreement curve": {"kty": "OKP", "crv": "X25519", "kid": "one", "x": b64(b"x" * 32)},
    "Ed448": {"kty": "OKP", "crv": "Ed448", "alg": "Ed448", "kid": "one", "x": b64(b"x" * 57)},
    "a curve that does not exist": {"kty": "EC", "crv": "P-999", "kid": "one", "x": "AA", "y": "AA"},
    "no key type": {"kid": "one", "alg": "RS256", "use": "sig"},
}
NEXT_TO_UNKNOWN_KINDS = {
    name: Stage(f"a key set with {name}", partial(Issuer, keys=[jwk, GOOD])) for name, jwk in UNKNOWN_KINDS.items()
}


ATTACKS = (
    token(
        "a signature by the provider's key for encryption",
        "RFC 7517 section 4.2",
        "key_use",
        _signed_by(TWO),
        UNKNOWN,
        ENCRYPTS,
    ),
    token(
        "a signature by a key that wraps other keys",
        "RFC 7517 section 4.3",
        "key_operations",
        _signed_by(TWO),
        UNKNOWN,
        WRAPS,
    ),
    token(
        "an HMAC by the symmetric key in the key set",
        "RFC 8725 section 3.2",
        "algorithm_list",
        lambda i: hmac_signed(i, b"k" * 32, kid="two"),
        TokenErrorReason.ALGORITHM,
        SYMMETRIC,
    ),
    token(
        "a signature by a key whose private half is published",
        "RFC 7517 section 9.2",
        "private_key",
        _signed_by(TWO),
        UNKNOWN,
        PRIVATE,
    ),
    token(
        "a signature by one of two keys under one kid",
        "RFC 7517 section 4.5",
        "one_key_a_kid",
        _signed_by(TWO),
        UNKNOWN,
        DOUBLE,
    ),
    token("a signature by a key of 1024 bits", "RFC 7518 section 3.3", "key_length", _signed_by(SMALL), UNKNOWN, SHORT),
    token(
        "a signature on a curve that is not in use",
        "RFC 8812 section 3.2; RFC 8725 section 3.2",
        "algorithm_list",
        _signed_by(ec_key("secp256k1"), "ES256", alg="ES256K"),
        TokenErrorReason.ALGORITHM,
        CURVE,
    ),
    token(
        "ES256 by a P-384 key that is declared for ES256",
        "RFC 7518 section 3.4",
        "key_algorithm",
        lambda i: forge({**HEADER, "alg": "ES384", "kid": "two"}, i.claims(), key=ec_key("p384"), alg="ES384"),
        UNKNOWN,
        MIXED,
    ),
    token(
        "a kid that is a number, in the set and in the token",
        "RFC 7517 section 4.5",
        "kid_text",
        _signed_by(TWO, kid=2),
        TokenErrorReason.HEADER_MALFORMED,
        ODD_KID,
    ),
    token(
        "no kid where several keys could be meant",
        "RFC 7515 section 4.1.4",
        "one_key_without_kid",
        _signed_by(TWO, kid=...),
        UNKNOWN,
        NAMELESS,
    ),
    Attack(
        name="broken keys next to the valid one, to make it unusable",
        source="RFC 7517 section 5",
        check="unreadable_keys",
        send=Issuer.token,
        status=200,
        challenge=None,
        stage=BROKEN,
    ),
)
