"""How machine clients say who they are at the provider: secrets out of the environment, public keys out of the file.

How the MCP server says who it is at the provider: the secret in its file, or the public half of its key.
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
from mcp_idp.cli.bootstrap.keycloak.client_credentials import ClientCredentials
from mcp_idp.cli.bootstrap.secret_file import get_or_create_secret, read_secret

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mcp_idp.access.models import ServiceClient
    from mcp_idp.access.policy import AccessPolicy
    from mcp_idp.config.client_credentials import ClientSigningKey
    from mcp_idp.config.env import EnvReader


def public_key_set(key: ClientSigningKey) -> str:
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


_MIN_SECRET_LENGTH = 16  # characters: it guards an account that nobody watches


@dataclass(frozen=True, slots=True)
class SecretSource:
    """Where a secret is: in the variable itself, or in the file that the variable with `_FILE` names."""

    variable: str
    value: str | None = field(default=None, repr=False)
    file: Path | None = None

    def read(self, *, create_missing: bool) -> str | None:
        """The secret; None where this run was not told.

        Args:
            create_missing: create the file with a new secret if it is missing, and require a secret. Otherwise a random
                value stands for the missing one: it differs from whatever the provider has.

        Raises:
            ConfigError: it cannot be read, or is too short; with `create_missing` also if this run was not told.
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
    """Where the secret of each machine client is, by client id; those with keys have none.

    Raises:
        ConfigError: a variable and its `_FILE` are both set.
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
) -> dict[str, ClientCredentials]:
    """What the provider has to know of each machine client, by client id; `create_missing` as for `SecretSource.read`.

    Raises:
        ConfigError: a secret cannot be used.
    """
    return {
        client_id: _credentials(service_client, places.get(client_id), create_missing=create_missing)
        for client_id, service_client in access.machine_clients.items()
    }


def _credentials(
    service_client: ServiceClient, place: SecretSource | None, *, create_missing: bool
) -> ClientCredentials:
    if service_client.jwks is not None:
        return ClientCredentials(
            keys=json.dumps(service_client.jwks, sort_keys=True), algorithm=service_client.algorithm
        )
    if service_client.jwks_url is not None:
        return ClientCredentials(keys_url=service_client.jwks_url, algorithm=service_client.algorithm)
    return ClientCredentials(secret=place.read(create_missing=create_missing) if place is not None else None)
