"""A realm with service clients."""

from __future__ import annotations

import json
import secrets
from typing import TYPE_CHECKING, Any

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from mcp_idp.cli.bootstrap.keycloak.credential_loading import public_key_set
from mcp_idp.config.client_signing_key import ClientSigningKey
from mcp_idp.oauth.client_auth import PrivateKeyJwt
from mcp_idp.util.clock import Clock
from tests.support.keycloak.realm import Realm

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.keycloak.realm import Json, Keycloak


SCOPE = "mcp:tools mcp:notes.read mcp:notes.write"


def new_key() -> ClientSigningKey:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return ClientSigningKey.from_pem(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))


KEY = new_key()

SERVICE_CLIENTS: dict[str, Any] = {
    "nightly-report": {"name": "The nightly report", "roles": ["mcp-reader"], "secret": "NIGHTLY_REPORT_SECRET"},
    "importer": {"name": "The importer", "roles": ["mcp-writer"], "jwks": json.loads(public_key_set(KEY))},
}


class Workshop(Realm):
    """A realm with service clients; the secret of one is in a file that `apply` creates."""

    __slots__ = ()

    @property
    def environment(self) -> dict[str, str]:
        return {**Realm.environment.fget(self), "NIGHTLY_REPORT_SECRET_FILE": str(self.folder / "nightly-secret")}  # type: ignore[attr-defined]  # a property has its getter

    @property
    def secret(self) -> str:
        return (self.folder / "nightly-secret").read_text(encoding="utf-8").strip()

    def service_client_token(
        self, client_id: str = "nightly-report", secret: str | None = None, scope: str = SCOPE
    ) -> Json:
        """Gets a token with the client credentials grant and a secret."""
        form = {"client_id": client_id, "client_secret": secret or self.secret, "scope": scope}
        return self.token(grant_type="client_credentials", **form)

    def assertion_token(self, key: ClientSigningKey, client_id: str = "importer") -> Json:
        """Gets a token with the client credentials grant and an assertion signed with `key`."""
        form = PrivateKeyJwt(client_id, key, self.issuer, Clock()).credentials().form
        return self.token(grant_type="client_credentials", client_id=client_id, scope=SCOPE, **form)


def workshop(server: Keycloak, folder: Path, **access: Any) -> Workshop:
    realm = Workshop(server, folder, f"test-{secrets.token_hex(4)}")
    realm.write_access(**{"machine_clients": SERVICE_CLIENTS, **access})
    realm.apply()
    return realm
