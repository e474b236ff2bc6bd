"""The private key with which this server authenticates to the provider (`private_key_jwt`, RFC 7523)."""

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
    """The file does not hold a usable private key. The message says why and reveals nothing of the key."""


@dataclass(frozen=True, slots=True)
class ClientSigningKey:
    """A private key and its signature algorithm.

    Attributes:
        algorithm: the JWS algorithm, one per key type (RFC 7518 section 3.1; RFC 8037 section 3.1).
        private: the private key.
    """

    algorithm: str
    private: PrivateKey = field(repr=False)

    @classmethod
    def from_pem(cls, pem: bytes) -> ClientSigningKey:
        """Loads a key from PEM: RSA (for RS256), P-256 (for ES256) or Ed25519 (for EdDSA).

        Args:
            pem: the content of the PEM file.

        Raises:
            InvalidClientKey: the content is no private key, is encrypted, or is a key of another type or too short.
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
    """Returns whether this server authenticates to the provider with a private key instead of a client secret.

    Rejects a secret or key that is set and would not be used, except OAUTH_CLIENT_SECRET_FILE, which the compose files
    always set.

    Args:
        env: the environment.
        client_auth: the value of OAUTH_CLIENT_AUTH.

    Raises:
        SettingsError: OAUTH_CLIENT_SECRET or OAUTH_CLIENT_KEY_FILE is set although `client_auth` does not use it.
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
    """Loads the private key from the file that OAUTH_CLIENT_KEY_FILE names.

    Args:
        env: the environment.
        required: whether an unreadable file is an error.

    Returns:
        The key; None if OAUTH_CLIENT_KEY_FILE is unset, or if its file cannot be read and is not `required`.

    Raises:
        SettingsError: the file holds no usable key, or it is `required` and cannot be read.
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
