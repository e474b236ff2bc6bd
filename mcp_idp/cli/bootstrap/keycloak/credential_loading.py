"""Loads the credentials that the bootstrap registers at Keycloak for service clients and for the MCP server.

Secrets of service clients come from the environment or from files, their public keys from the access file. The MCP
server's public key is derived from its private key.
"""

from __future__ import annotations

import json
import secrets
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

from mcp_idp.cli.bootstrap.errors import ConfigError
from mcp_idp.cli.bootstrap.keycloak.client_authentication import ClientAuthentication
from mcp_idp.cli.bootstrap.secret_file import get_or_create_secret, read_secret

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mcp_idp.access.models import ServiceClient
    from mcp_idp.access.policy import AccessPolicy
    from mcp_idp.config.client_signing_key import ClientSigningKey
    from mcp_idp.config.env import EnvReader


def public_key_set(key: ClientSigningKey) -> str:
    """Converts a signing key's public half to a JSON Web Key Set (RFC 7517 section 5).

    Args:
        key: the MCP server's private key and its algorithm.

    Returns:
        JSON text with one key. The same key always gives the same text, so comparing it with the provider's is stable.
    """
    public = key.private.public_key()
    if isinstance(public, rsa.RSAPublicKey):
        jwk = RSAAlgorithm.to_jwk(public, as_dict=True)
    elif isinstance(public, ec.EllipticCurvePublicKey):
        jwk = ECAlgorithm.to_jwk(public, as_dict=True)
    else:
        jwk = OKPAlgorithm.to_jwk(public, as_dict=True)
    members = {name: value for name, value in jwk.items() if name != "key_ops"}
    return json.dumps({"keys": [{**members, "use": "sig", "alg": key.algorithm}]}, sort_keys=True)


_MIN_SECRET_LENGTH = 16  # characters; a service account has no user who would notice misuse


@dataclass(frozen=True, slots=True)
class SecretSource:
    """Where a service client's secret comes from: a variable, or the file that the variable with `_FILE` names.

    Attributes:
        variable: the variable's name, without `_FILE`.
        value: the secret, if the variable is set.
        file: the file with the secret, if the variable with `_FILE` is set.
    """

    variable: str
    value: str | None = field(default=None, repr=False)
    file: Path | None = None

    def read(self, *, create_missing: bool) -> str | None:
        """Reads the secret.

        Args:
            create_missing: create the file with a new secret if it is missing, and require a secret. Otherwise a
                missing file gives a random value that is not stored: it differs from the provider's, as a created
                secret would.

        Returns:
            The secret; None if neither variable is set.

        Raises:
            ConfigError: the file cannot be read, or the secret has fewer than 16 characters; with `create_missing` also
                if neither variable is set.
        """
        found = self._read_secret(create_missing=create_missing)
        if found is None:
            if create_missing:
                raise ConfigError(
                    f"{self.variable}: a machine client of the access file needs this secret: set it, or set "
                    f"{self.variable}_FILE to a file, which is created if missing"
                )
            return None
        if len(found) < _MIN_SECRET_LENGTH:
            raise ConfigError(f"{self.variable}: use at least {_MIN_SECRET_LENGTH} characters")
        return found

    def _read_secret(self, *, create_missing: bool) -> str | None:
        if self.file is None:
            return self.value
        return get_or_create_secret(self.file) if create_missing else read_secret(self.file) or secrets.token_urlsafe()


def secret_sources(env: EnvReader, access: AccessPolicy) -> dict[str, SecretSource]:
    """Maps each service client that authenticates with a secret to the source of that secret.

    Args:
        env: the environment.
        access: the access file; a service client's `secret` names an environment variable.

    Returns:
        Sources by client id, without the clients that authenticate with a key.

    Raises:
        ConfigError: a variable and its `_FILE` form are both set.
    """
    return {
        client_id: _place(env, service_client.secret)
        for client_id, service_client in access.machine_clients.items()
        if service_client.secret is not None
    }


def _place(env: EnvReader, variable: str) -> SecretSource:
    value, file = env.get_str(variable), env.get_str(f"{variable}_FILE")
    if value is not None and file is not None:
        raise ConfigError(f"{variable} and {variable}_FILE are both set: keep one")
    return SecretSource(variable, value, Path(file) if file is not None else None)


def service_client_credentials(
    access: AccessPolicy, places: Mapping[str, SecretSource], *, create_missing: bool
) -> dict[str, ClientAuthentication]:
    """Builds the credentials of every service client.

    Args:
        access: the access file.
        places: sources of the secrets by client id, from `secret_sources`.
        create_missing: passed on to `SecretSource.read`.

    Returns:
        Credentials by client id.

    Raises:
        ConfigError: a secret cannot be used.
    """
    return {
        client_id: _credentials(service_client, places.get(client_id), create_missing=create_missing)
        for client_id, service_client in access.machine_clients.items()
    }


def _credentials(
    service_client: ServiceClient, place: SecretSource | None, *, create_missing: bool
) -> ClientAuthentication:
    if service_client.jwks is not None:
        return ClientAuthentication(
            keys=json.dumps(service_client.jwks, sort_keys=True), algorithm=service_client.algorithm
        )
    if service_client.jwks_url is not None:
        return ClientAuthentication(keys_url=service_client.jwks_url, algorithm=service_client.algorithm)
    return ClientAuthentication(secret=place.read(create_missing=create_missing) if place is not None else None)
