"""The server authenticates with a key (RFC 7523): Keycloak has the public key, and an apply preserves it."""

from __future__ import annotations

import os
import secrets
import time
from typing import TYPE_CHECKING, Any

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from mcp_idp.cli.bootstrap.errors import ConfigError
from mcp_idp.cli.bootstrap.keycloak.runner import run_apply
from mcp_idp.cli.bootstrap.keycloak.settings import KeycloakSettings
from mcp_idp.cli.common.server_env import server_environment
from mcp_idp.cli.doctor.bootstrap_bridge import fix
from tests.support.keycloak.bootstrap_commands import check, settings_of
from tests.support.keycloak.manual_changes import TAMPERINGS
from tests.support.keycloak.realm import PUBLIC_URL, REDIRECT

if TYPE_CHECKING:
    from tests.support.keycloak.realm import Realm

pytestmark = pytest.mark.containers

ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


def _by_key(realm: Realm, key: ec.EllipticCurvePrivateKey, token: str) -> dict[str, Any]:
    """Introspects `token` as a server that signs with `key`."""
    now = int(time.time())
    claims = {
        "iss": realm.public_url,
        "sub": realm.public_url,
        "aud": realm.issuer,
        "iat": now,
        "exp": now + 60,
        "jti": secrets.token_hex(),
    }
    form = {
        "token": token,
        "client_id": realm.public_url,
        "client_assertion_type": ASSERTION,
        "client_assertion": jwt.encode(claims, key, algorithm="ES256"),
    }
    response = httpx.post(f"{realm.issuer}/protocol/openid-connect/token/introspect", data=form, timeout=30)
    output: dict[str, Any] = response.json()
    return output


def _key_file(realm: Realm, key: ec.EllipticCurvePrivateKey) -> str:
    file = realm.folder / "key.pem"
    file.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return str(file)


@pytest.mark.requirement("bootstrap.private_key_jwt")
def test_a_servers_key_survives_every_apply_and_replaces_the_secret(realm: Realm) -> None:
    key, other = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    signing = {"OAUTH_CLIENT_AUTH": "private_key_jwt", "OAUTH_CLIENT_KEY_FILE": _key_file(realm, key)}
    client_id = str(realm.register(redirect_uris=[REDIRECT], scope="mcp:tools")["client_id"])
    token = realm.log_in("reader", client_id, scope="mcp:tools")["access_token"]

    assert run_apply(settings_of(realm, **signing), wait=30, log=lambda _: None) > 0
    assert run_apply(settings_of(realm, **signing), wait=30, log=lambda _: None) == 0
    assert check(realm, **signing).clean
    assert _by_key(realm, key, token)["active"] is True
    assert _by_key(realm, other, token)["error"] == "invalid_client"
    assert "error" in realm.introspect(token)  # the secret is no longer accepted

    realm.apply()  # back to the secret
    assert realm.introspect(token)["active"] is True
    assert "error" in _by_key(realm, key, token)
    assert check(realm).clean


@pytest.mark.requirement("bootstrap.private_key_jwt")
def test_a_key_that_is_not_on_this_machine_stays_and_the_rest_is_fixed(realm: Realm) -> None:
    """`.env` has the path inside the containers, so `scripts/doctor --fix` on the host has no key."""
    key = ec.generate_private_key(ec.SECP256R1())
    dotenv = realm.folder / ".env"
    dotenv.write_text("OAUTH_CLIENT_AUTH=private_key_jwt\nOAUTH_CLIENT_KEY_FILE=/run/secrets/introspection.pem\n")
    environment = {name: value for name, value in realm.environment.items() if name != "OAUTH_CLIENT_SECRET_FILE"}
    outside = server_environment({**environment, "PATH": os.environ["PATH"]}, dotenv)
    before = realm.admin().get("clients", clientId=PUBLIC_URL)
    requests: list[bool] = []

    def agreed() -> bool:
        requests.append(True)
        return True

    def apply_fix() -> str:
        return fix(outside, PUBLIC_URL, agreed)

    # The provider has no key yet, so a client without any key or secret would result.
    assert "could not determine" in apply_fix()
    with pytest.raises(ConfigError, match="set OAUTH_CLIENT_KEY_FILE"):
        run_apply(KeycloakSettings.load(outside), wait=30, log=lambda _: None)
    assert (requests, realm.admin().get("clients", clientId=PUBLIC_URL)) == ([], before)

    inside = {"OAUTH_CLIENT_AUTH": "private_key_jwt", "OAUTH_CLIENT_KEY_FILE": _key_file(realm, key)}
    run_apply(settings_of(realm, **inside), wait=30, log=lambda _: None)
    client_id = str(realm.register(redirect_uris=[REDIRECT], scope="mcp:tools")["client_id"])
    token = realm.log_in("reader", client_id, scope="mcp:tools")["access_token"]
    TAMPERINGS["scope mcp:admin.roles"](realm.admin())
    realm.admin().write("PUT", ("clients", before[0]["id"]), {"name": "Renamed"})
    assert apply_fix() == ""
    assert requests == [True]
    assert check(realm, **inside).clean
    assert _by_key(realm, key, token)["active"] is True
