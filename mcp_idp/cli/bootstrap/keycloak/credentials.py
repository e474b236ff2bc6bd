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

from mcp_idp.cli.bootstrap.errors import SettingsFailure
from mcp_idp.cli.bootstrap.keycloak.client_credentials import Credentials
from mcp_idp.cli.bootstrap.secret_file import keep_secret, read_secret

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mcp_idp.access.models import MachineClient
    from mcp_idp.access.policy import Access
    from mcp_idp.config.client_credentials import ClientKey
    from mcp_idp.config.env import Environment


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


_LEAST_SECRET = 16  # characters: it guards an account that nobody watches


@dataclass(frozen=True, slots=True)
class SecretPlace:
    """Where a secret is: in the variable itself, or in the file that the variable with `_FILE` names."""

    variable: str
    value: str | None = field(default=None, repr=False)
    file: Path | None = None

    def read(self, *, keep: bool) -> str | None:
        """The secret; None where this run was not told.

        Args:
            keep: make one if the file is not there, and insist on one. Otherwise one that nobody has stands for what
                the file would hold: it differs from whatever the provider has.

        Raises:
            SettingsFailure: it cannot be read, or is too short; with `keep` also if this run was not told.
        """
        found = self._found(keep=keep)
        if found is None:
            if keep:
                raise SettingsFailure(
                    f"{self.variable}: a machine client of the access file has its secret there: set it, or "
                    f"{self.variable}_FILE to a file, which is made if it is not there"
                )
            return None
        if len(found) < _LEAST_SECRET:
            raise SettingsFailure(f"{self.variable}: a machine's secret has {_LEAST_SECRET} characters or more")
        return found

    def _found(self, *, keep: bool) -> str | None:
        if self.file is None:
            return self.value
        return keep_secret(self.file) if keep else read_secret(self.file) or secrets.token_urlsafe()


def secret_places(env: Environment, access: Access) -> dict[str, SecretPlace]:
    """Where the secret of each machine client is, by client id; those with keys have none.

    Raises:
        SettingsFailure: a variable and its `_FILE` are both set.
    """
    return {
        client_id: _place(env, machine.secret)
        for client_id, machine in access.machine_clients.items()
        if machine.secret is not None
    }


def _place(env: Environment, variable: str) -> SecretPlace:
    value, file = env.text(variable), env.text(f"{variable}_FILE")
    if value is not None and file is not None:
        raise SettingsFailure(f"{variable} and {variable}_FILE are both set: keep one")
    return SecretPlace(variable, value, Path(file) if file is not None else None)


def machine_credentials(access: Access, places: Mapping[str, SecretPlace], *, keep: bool) -> dict[str, Credentials]:
    """What the provider has to know of each machine client, by client id; `keep` as for `SecretPlace.read`.

    Raises:
        SettingsFailure: a secret cannot be used.
    """
    return {
        client_id: _credentials(machine, places.get(client_id), keep=keep)
        for client_id, machine in access.machine_clients.items()
    }


def _credentials(machine: MachineClient, place: SecretPlace | None, *, keep: bool) -> Credentials:
    if machine.jwks is not None:
        return Credentials(keys=json.dumps(machine.jwks, sort_keys=True), algorithm=machine.algorithm)
    if machine.jwks_url is not None:
        return Credentials(keys_url=machine.jwks_url, algorithm=machine.algorithm)
    return Credentials(secret=place.read(keep=keep) if place is not None else None)
