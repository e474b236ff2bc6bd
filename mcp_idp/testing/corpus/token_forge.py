"""Tokens that no library would write, really signed wherever that is the point."""

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
    """One key per name; the name says which curve."""
    curves: dict[str, ec.EllipticCurve] = {
        "p256": ec.SECP256R1(),
        "p256-other": ec.SECP256R1(),
        "p384": ec.SECP384R1(),
        "secp256k1": ec.SECP256K1(),
    }
    return ec.generate_private_key(curves[name])


@cache
def ed_key(name: str = "one") -> ed25519.Ed25519PrivateKey:
    """One Ed25519 key per name."""
    assert name
    return ed25519.Ed25519PrivateKey.generate()


def with_every_kind_of_key() -> Issuer:
    """RSA under kid `one`, P-256 under `ec`, Ed25519 under `ed`."""
    return Issuer(
        keys=[
            public_jwk(RSA, kid="one", alg="RS256", use="sig"),
            public_jwk(ec_key(), kid="ec", alg="ES256", use="sig"),
            public_jwk(ed_key(), kid="ed", alg="EdDSA", use="sig"),
        ]
    )


def as_bytes(document: Any) -> bytes:
    """`document` itself if it is bytes, else its JSON."""
    return document if isinstance(document, bytes) else json.dumps(document).encode()


def signing_input(header: Any, claims: Any) -> str:
    """The first two segments of a token (RFC 7515 section 5.1)."""
    return f"{b64(as_bytes(header))}.{b64(as_bytes(claims))}"


def sign(data: bytes, key: PrivateKey = RSA, alg: str = "RS256") -> bytes:
    """The signature of `data` by the JWS algorithm `alg`."""
    return ALGORITHMS[alg].sign(data, key)


def forge(
    header: Any, claims: Any, *, key: PrivateKey = RSA, alg: str = "RS256", signature: bytes | None = None
) -> str:
    """A token of exactly this header and these claims; signed by `alg` whatever the header names."""
    data = signing_input(header, claims)
    return f"{data}.{b64(sign(data.encode(), key, alg) if signature is None else signature)}"


def forged(issuer: Issuer, claims: Any, *, by: str = "RS256", signature: bytes | None = None, **header: Any) -> str:
    """A token of the issuer's, of exactly these claims, with these header members in place of its own."""
    return forge({**issuer.header, **header}, claims, key=issuer.key, alg=by, signature=signature)


def headed(issuer: Issuer, *, key: PrivateKey | None = None, by: str = "RS256", **header: Any) -> str:
    """A good token but for its header; a member changed to `...` is taken out."""
    members = {name: value for name, value in {**issuer.header, **header}.items() if value is not ...}
    return forge(members, issuer.claims(), key=key or issuer.key, alg=by)


def claiming(issuer: Issuer, **changes: Any) -> str:
    """A good token but for its claims."""
    return forged(issuer, issuer.claims(**changes))


def claiming_text(issuer: Issuer, extra: str) -> str:
    """A good token with `extra` text behind the last claim."""
    return forged(issuer, as_bytes(issuer.claims())[:-1] + b"," + extra.encode() + b"}")


def hmac_signed(issuer: Issuer, secret: bytes, alg: str = "HS256", **header: Any) -> str:
    """A good token, "signed" with what everybody knows."""
    data = signing_input({**issuer.header, "alg": alg, **header}, issuer.claims())
    digest = {"HS256": "sha256", "HS384": "sha384", "HS512": "sha512"}[alg]
    return f"{data}.{b64(hmac.digest(secret, data.encode(), digest))}"


def public_bytes(key: PrivateKey, encoding: Encoding, form: PublicFormat) -> bytes:
    """The public key of `key`, serialized."""
    return key.public_key().public_bytes(encoding, form)


def parts(token: str) -> list[str]:
    """The segments of a token."""
    return token.split(".")


def other_last_bits(segment: str) -> str:
    """Another spelling of the same bytes: the last character's unused bits are set."""
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    assert len(segment) % 4 in {2, 3}
    return segment[:-1] + alphabet[alphabet.index(segment[-1]) + 1]


def left_hash(text: str) -> str:
    """at_hash and c_hash: OpenID Connect Core 1.0 section 3.1.3.6."""
    return b64(hashlib.sha256(text.encode()).digest()[:16])


def homoglyph(text: str) -> str:
    """The same to an eye: a letter of it is from another script."""
    found = next(letter for letter in text if letter in _TWINS)
    return text.replace(found, _TWINS[found])
