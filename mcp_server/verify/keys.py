"""Public keys of a provider's key set (RFC 7517), each tied to the algorithms it may verify.

Only asymmetric signatures count (RFC 8725 section 3.1): RS, PS and ES with SHA-256 to 512, and Ed25519. A key that is
for encryption, is symmetric, is too short, is private or cannot be read is left out, and so verifies nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import jwt
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_RSA: tuple[str, ...] = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512")
_BY_CURVE = {"P-256": "ES256", "P-384": "ES384", "P-521": "ES512", "Ed25519": "EdDSA"}
ALGORITHMS = frozenset((*_RSA, *_BY_CURVE.values()))
MIN_RSA_BITS = 2048  # RFC 7518 section 3.3
MAX_KEYS = 200


def read_key_set(document: Mapping[str, Any]) -> Mapping[tuple[str | None, str], jwt.PyJWK]:
    """The verification keys of a JWK Set, by (kid, algorithm); kid None where the key has none.

    Of two keys with one kid and algorithm neither counts: which of them signed cannot be told.
    """
    keys: dict[tuple[str | None, str], jwt.PyJWK] = {}
    doubtful: set[tuple[str | None, str]] = set()
    for jwk in _entries(document):
        kid = jwk.get("kid")
        for algorithm in _algorithms(jwk):
            key = _load(jwk, algorithm)
            if key is None:
                continue
            if (kid, algorithm) in keys:
                doubtful.add((kid, algorithm))
            keys[kid, algorithm] = key
    return {name: key for name, key in keys.items() if name not in doubtful}


def _entries(document: Mapping[str, Any]) -> Iterable[dict[str, Any]]:
    listed = document.get("keys")
    for jwk in listed[:MAX_KEYS] if isinstance(listed, list) else ():
        if isinstance(jwk, dict) and isinstance(jwk.get("kid"), str | None) and _is_for_verifying(jwk):
            yield jwk


def _is_for_verifying(jwk: Mapping[str, Any]) -> bool:
    use, operations = jwk.get("use"), jwk.get("key_ops")
    return (
        (use is None or use == "sig")
        and (operations is None or (isinstance(operations, list) and "verify" in operations))
        and "d" not in jwk  # a private key in a public document verifies nothing any more
    )


def _algorithms(jwk: Mapping[str, Any]) -> tuple[str, ...]:
    """The algorithms of the key's own type, or the one of them that its `alg` names."""
    if jwk.get("kty") == "RSA":
        fitting: tuple[str, ...] = _RSA
    else:
        curve = _BY_CURVE.get(str(jwk.get("crv")))
        if curve is None or jwk.get("kty") != ("OKP" if curve == "EdDSA" else "EC"):
            return ()
        fitting = (curve,)
    named = jwk.get("alg")
    if named == "Ed25519" and fitting == ("EdDSA",):  # RFC 9864 names the curve's algorithm itself
        return fitting
    return fitting if named is None else tuple(a for a in fitting if a == named)


def _load(jwk: dict[str, Any], algorithm: str) -> jwt.PyJWK | None:
    try:
        key = jwt.PyJWK(jwk, algorithm=algorithm)
    except (jwt.PyJWTError, ValueError, TypeError, KeyError, AttributeError):  # what reading somebody's key can raise
        return None
    if isinstance(key.key, RSAPublicKey) and key.key.key_size < MIN_RSA_BITS:
        return None
    return key
