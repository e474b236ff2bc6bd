"""The server says by a key who it is (RFC 7523): Keycloak is told the public half, and an apply keeps it."""

from __future__ import annotations

import secrets
import time
from typing import TYPE_CHECKING, Any

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from scripts.bootstrap.run import run_apply
from tests.integration.keycloak import REDIRECT
from tests.integration.verbs import check, settings_of

if TYPE_CHECKING:
    from tests.integration.keycloak import Realm

pytestmark = pytest.mark.containers

ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


def _by_key(realm: Realm, key: ec.EllipticCurvePrivateKey, token: str) -> dict[str, Any]:
    """What Keycloak tells a server that signs with `key` about `token`."""
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
    answer = httpx.post(f"{realm.issuer}/protocol/openid-connect/token/introspect", data=form, timeout=30)
    told: dict[str, Any] = answer.json()
    return told


@pytest.mark.requirement("verbs.private_key_jwt")
def test_a_servers_key_survives_every_apply_and_takes_the_secrets_place(realm: Realm) -> None:
    key, other = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    file = realm.folder / "key.pem"
    file.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    signing = {"OAUTH_CLIENT_AUTH": "private_key_jwt", "OAUTH_CLIENT_KEY_FILE": str(file)}
    client_id = str(realm.register(redirect_uris=[REDIRECT], scope="mcp:tools")["client_id"])
    token = realm.log_in("reader", client_id, scope="mcp:tools")["access_token"]

    assert run_apply(settings_of(realm, **signing), wait=30, say=lambda _: None) > 0
    assert run_apply(settings_of(realm, **signing), wait=30, say=lambda _: None) == 0
    assert check(realm, **signing).clean
    assert _by_key(realm, key, token)["active"] is True
    assert _by_key(realm, other, token)["error"] == "invalid_client"
    assert "error" in realm.introspect(token)  # the secret no longer counts

    realm.apply()  # and back
    assert realm.introspect(token)["active"] is True
    assert "error" in _by_key(realm, key, token)
    assert check(realm).clean
