"""This server's own private key, with which it says who it is to the provider.

This server's own client at the provider, from the environment: whether it signs, and with which key.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from mcp_idp.config.env import SettingsError

if TYPE_CHECKING:
    PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey
    from mcp_idp.config.env import EnvReader

_MIN_RSA_BITS = 2048  # RFC 7518 section 3.3


class InvalidClientKey(ValueError):
    """The text says why, and nothing of the key."""


@dataclass(frozen=True, slots=True)
class ClientSigningKey:
    """A key that signs, and the one algorithm it signs with (RFC 7518 section 3.1; RFC 8037 section 3.1)."""

    algorithm: str
    private: PrivateKey = field(repr=False)

    @classmethod
    def from_pem(cls, pem: bytes) -> ClientSigningKey:
        """The key in a PEM file: RSA for RS256, P-256 for ES256, Ed25519 for EdDSA.

        Raises:
            InvalidClientKey: there is no such key in it.
        """
        try:
            key = load_pem_private_key(pem, password=None)
        except TypeError as error:
            raise InvalidClientKey("the key is encrypted: store it without a passphrase") from error
        except (ValueError, UnsupportedAlgorithm) as error:
            raise InvalidClientKey("it contains no PEM private key") from error
        match key:
            case rsa.RSAPrivateKey() if key.key_size >= _MIN_RSA_BITS:
                return cls("RS256", key)
            case ec.EllipticCurvePrivateKey() if isinstance(key.curve, ec.SECP256R1):
                return cls("ES256", key)
            case ed25519.Ed25519PrivateKey():
                return cls("EdDSA", key)
        raise InvalidClientKey(f"use an RSA key of at least {_MIN_RSA_BITS} bits, or a P-256 or Ed25519 key")


def uses_private_key_jwt(env: EnvReader, client_auth: str) -> bool:
    """Whether a key takes the place of the secret. What is set besides and would not be used is a mistake.

    OAUTH_CLIENT_SECRET_FILE is none: compose always sets it.

    Raises:
        SettingsError: both are set.
    """
    signs = client_auth == "private_key_jwt"
    if signs and env.get_str("OAUTH_CLIENT_SECRET") is not None:
        raise SettingsError("OAUTH_CLIENT_SECRET: not used with OAUTH_CLIENT_AUTH=private_key_jwt; keep one of the two")
    if not signs and env.get_str("OAUTH_CLIENT_KEY_FILE") is not None:
        raise SettingsError(
            f"OAUTH_CLIENT_KEY_FILE: not used with OAUTH_CLIENT_AUTH={client_auth}; set that to private_key_jwt"
        )
    return signs


def load_client_key(env: EnvReader, *, required: bool) -> ClientSigningKey | None:
    """The key in the file that OAUTH_CLIENT_KEY_FILE names. If `required`, it must be there.

    Raises:
        SettingsError: it is not, or cannot be used.
    """
    path = env.get_str("OAUTH_CLIENT_KEY_FILE")
    if path is None:
        return None
    try:
        return ClientSigningKey.from_pem(Path(path).read_bytes())
    except InvalidClientKey as error:
        raise SettingsError(f"OAUTH_CLIENT_KEY_FILE={path}: {error}") from error
    except OSError as error:
        if not required:
            return None
        raise SettingsError(f"OAUTH_CLIENT_KEY_FILE={path}: cannot be read ({type(error).__name__})") from error
