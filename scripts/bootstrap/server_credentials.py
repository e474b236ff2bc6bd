"""How the MCP server says who it is at the provider: the secret in its file, or the public half of its key."""

from __future__ import annotations

import json
import secrets
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

from scripts.bootstrap.keycloak.credentials import Credentials
from scripts.bootstrap.secret_file import keep_secret, read_secret

if TYPE_CHECKING:
    from mcp_server.client_key import ClientKey
    from scripts.bootstrap.settings import BootstrapSettings


def server_credentials(settings: BootstrapSettings, *, keep: bool) -> Credentials:
    """What the provider has to know.

    Args:
        settings: which file, or which key.
        keep: make the secret if there is none. Otherwise one that nobody has stands for it: it differs from whatever
            the provider has, as the one would that an apply makes.

    Raises:
        SettingsFailure: the file with the secret cannot be read or, to `keep` it, written.
    """
    if settings.client_key is not None:
        return Credentials(keys=public_key_set(settings.client_key), algorithm=settings.client_key.algorithm)
    if settings.client_signs:
        return Credentials(by_key=True)
    file = settings.client_secret_file
    if file is None:
        return Credentials()
    return Credentials(secret=keep_secret(file) if keep else read_secret(file) or secrets.token_urlsafe())


def public_key_set(key: ClientKey) -> str:
    """The public half as a JSON Web Key Set (RFC 7517 section 5), always the same text for the same key."""
    public = key.private.public_key()
    if isinstance(public, rsa.RSAPublicKey):
        jwk = RSAAlgorithm.to_jwk(public, as_dict=True)
    elif isinstance(public, ec.EllipticCurvePublicKey):
        jwk = ECAlgorithm.to_jwk(public, as_dict=True)
    else:
        jwk = OKPAlgorithm.to_jwk(public, as_dict=True)
    members = {name: value for name, value in jwk.items() if name != "key_ops"}
    return json.dumps({"keys": [{**members, "use": "sig", "alg": key.algorithm}]}, sort_keys=True)
