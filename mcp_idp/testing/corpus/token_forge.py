"""Creates tokens that no library would write; they are correctly signed unless the signature is the attack."""

from __future__ import annotations

import hashlib
import hmac
import json
from functools import cache
from typing import TYPE_CHECKING, Any

from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from jwt.algorithms import get_default_algorithms

from mcp_idp.testing.issuer import Issuer, b64, public_jwk, rsa_key

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    from mcp_idp.testing.issuer import PrivateKey

_TWINS = {"o": "\u043e", **{digit: chr(ord(digit) + 0xFEE0) for digit in "0123456789"}}  # Cyrillic, full-width
RSA = rsa_key("one")
ALGORITHMS = get_default_algorithms()
HEADER = {"alg": "RS256", "kid": "one", "typ": "JWT"}


@cache
def ec_key(name: str = "p256") -> ec.EllipticCurvePrivateKey:
    """Returns the EC key of this name; the name determines the curve."""
    curves: dict[str, ec.EllipticCurve] = {
        "p256": ec.SECP256R1(),
        "p256-other": ec.SECP256R1(),
        "p384": ec.SECP384R1(),
        "secp256k1": ec.SECP256K1(),
    }
    return ec.generate_private_key(curves[name])


@cache
def ed_key(name: str = "one") -> ed25519.Ed25519PrivateKey:
    """Returns the Ed25519 key of this name."""
    assert name
    return ed25519.Ed25519PrivateKey.generate()


def with_every_kind_of_key() -> Issuer:
    """Returns an issuer with an RSA key (kid `one`), a P-256 key (`ec`) and an Ed25519 key (`ed`)."""
    return Issuer(
        keys=[
            public_jwk(RSA, kid="one", alg="RS256", use="sig"),
            public_jwk(ec_key(), kid="ec", alg="ES256", use="sig"),
            public_jwk(ed_key(), kid="ed", alg="EdDSA", use="sig"),
        ]
    )


def as_bytes(document: Any) -> bytes:
    """Returns `document` itself if it is bytes, else its JSON."""
    return document if isinstance(document, bytes) else json.dumps(document).encode()


def signing_input(header: Any, claims: Any) -> str:
    """Returns the first two segments of a token (RFC 7515 section 5.1)."""
    return f"{b64(as_bytes(header))}.{b64(as_bytes(claims))}"


def sign(data: bytes, key: PrivateKey = RSA, alg: str = "RS256") -> bytes:
    """Returns the signature of `data` with the JWS algorithm `alg`."""
    return ALGORITHMS[alg].sign(data, key)


def forge(
    header: Any, claims: Any, *, key: PrivateKey = RSA, alg: str = "RS256", signature: bytes | None = None
) -> str:
    """Returns a token with exactly this header and these claims, signed with `alg` whatever the header names."""
    data = signing_input(header, claims)
    return f"{data}.{b64(sign(data.encode(), key, alg) if signature is None else signature)}"


def forged(issuer: Issuer, claims: Any, *, by: str = "RS256", signature: bytes | None = None, **header: Any) -> str:
    """Returns a token of the issuer with exactly these claims and with these header members changed."""
    return forge({**issuer.header, **header}, claims, key=issuer.key, alg=by, signature=signature)


def headed(issuer: Issuer, *, key: PrivateKey | None = None, by: str = "RS256", **header: Any) -> str:
    """Returns a valid token with these header members changed; `...` removes a member."""
    members = {name: value for name, value in {**issuer.header, **header}.items() if value is not ...}
    return forge(members, issuer.claims(), key=key or issuer.key, alg=by)


def claiming(issuer: Issuer, **changes: Any) -> str:
    """Returns a valid token with these claims changed; `...` removes a claim."""
    return forged(issuer, issuer.claims(**changes))


def claiming_text(issuer: Issuer, extra: str) -> str:
    """Returns a valid token with the text `extra` after the last claim."""
    return forged(issuer, as_bytes(issuer.claims())[:-1] + b"," + extra.encode() + b"}")


def hmac_signed(issuer: Issuer, secret: bytes, alg: str = "HS256", **header: Any) -> str:
    """Returns a valid token that is signed with HMAC and a secret that attackers know."""
    data = signing_input({**issuer.header, "alg": alg, **header}, issuer.claims())
    digest = {"HS256": "sha256", "HS384": "sha384", "HS512": "sha512"}[alg]
    return f"{data}.{b64(hmac.digest(secret, data.encode(), digest))}"


def public_bytes(key: PrivateKey, encoding: Encoding, form: PublicFormat) -> bytes:
    """Returns the serialized public key of `key`."""
    return key.public_key().public_bytes(encoding, form)


def parts(token: str) -> list[str]:
    """Returns the segments of a token."""
    return token.split(".")


def other_last_bits(segment: str) -> str:
    """Returns another encoding of the same bytes, with unused bits of the last character set."""
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    assert len(segment) % 4 in {2, 3}
    return segment[:-1] + alphabet[alphabet.index(segment[-1]) + 1]


def left_hash(text: str) -> str:
    """Returns an `at_hash` or `c_hash` (OpenID Connect Core 1.0 section 3.1.3.6)."""
    return b64(hashlib.sha256(text.encode()).digest()[:16])


def homoglyph(text: str) -> str:
    """Returns a text that looks the same, with one character replaced by one of another script."""
    found = next(letter for letter in text if letter in _TWINS)
    return text.replace(found, _TWINS[found])
