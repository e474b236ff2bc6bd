"""This server's own private key, with which it says who it is to the provider."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key

if TYPE_CHECKING:
    PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey

_LEAST_RSA_BITS = 2048  # RFC 7518 section 3.3


class UnusableKey(ValueError):
    """The text says why, and nothing of the key."""


@dataclass(frozen=True, slots=True)
class ClientKey:
    """A key that signs, and the one algorithm it signs with (RFC 7518 section 3.1; RFC 8037 section 3.1)."""

    algorithm: str
    private: PrivateKey = field(repr=False)

    @classmethod
    def read(cls, pem: bytes) -> ClientKey:
        """The key in a PEM file: RSA for RS256, P-256 for ES256, Ed25519 for EdDSA.

        Raises:
            UnusableKey: there is no such key in it.
        """
        try:
            key = load_pem_private_key(pem, password=None)
        except TypeError as error:
            raise UnusableKey("it is encrypted: write it without a passphrase") from error
        except (ValueError, UnsupportedAlgorithm) as error:
            raise UnusableKey("it holds no private key in PEM") from error
        match key:
            case rsa.RSAPrivateKey() if key.key_size >= _LEAST_RSA_BITS:
                return cls("RS256", key)
            case ec.EllipticCurvePrivateKey() if isinstance(key.curve, ec.SECP256R1):
                return cls("ES256", key)
            case ed25519.Ed25519PrivateKey():
                return cls("EdDSA", key)
        raise UnusableKey(f"it must hold an RSA key of {_LEAST_RSA_BITS} bits or more, or one on P-256 or Ed25519")
