"""Introspection with a real Keycloak: client authentication, and how soon revoked tokens are rejected."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from structlog.testing import capture_logs

from mcp_idp.testing.issuer import PrivateKey, public_jwk, rsa_key
from mcp_idp.tokens.introspection import MAX_RESULT_AGE, IntrospectionLimits
from tests.support.in_process import serving, settings_for
from tests.support.keycloak.realm import REDIRECT, bootstrapped

if TYPE_CHECKING:
    from collections.abc import Callable, MutableMapping
    from pathlib import Path

    from mcp_idp.config.settings import Settings
    from tests.support.keycloak.realm import Json, Keycloak, Realm

pytestmark = [pytest.mark.anyio, pytest.mark.containers]

KEYS: dict[str, PrivateKey] = {
    "RS256": rsa_key("ours"),
    "ES256": ec.generate_private_key(ec.SECP256R1()),
    "EdDSA": ed25519.Ed25519PrivateKey.generate(),
}


@dataclass(frozen=True)
class Login:
    """A user's login at a client."""

    realm: Realm
    user: str
    client_id: str
    response: Json

    @property
    def token(self) -> str:
        token: str = self.response["access_token"]
        return token

    @property
    def user_id(self) -> str:
        (found,) = self.realm.admin().get("users", username=self.user, exact="true")
        return str(found["id"])

    def write(self, method: str, *path: str, **body: Any) -> None:
        self.realm.admin().write(method, path, body or None)

    def client(self, method: str, **changes: Any) -> None:
        (found,) = self.realm.admin().get("clients", clientId=self.client_id)
        self.write(method, "clients", found["id"], **(found | changes if changes else {}))

    def post_form(self, endpoint: str, **form: str) -> None:
        url = f"{self.realm.issuer}/protocol/openid-connect/{endpoint}"
        httpx.post(url, data={"client_id": self.client_id, **form}).raise_for_status()


def login(realm: Realm, user: str = "reader", scope: str = "mcp:tools") -> Login:
    """Logs in at a newly registered client."""
    client = realm.register(redirect_uris=[REDIRECT], scope=scope)
    return Login(realm, user, client["client_id"], realm.log_in(user, client["client_id"], scope=scope))


def introspecting(realm: Realm, **variables: str) -> Settings:
    return settings_for(realm, AUTH_TOKEN_MODE="introspection", **variables)


def introspects_every_scope(settings: Settings) -> Settings:
    """Returns settings as for a provider with opaque tokens: every token is introspected first."""
    return replace(settings, provider=replace(settings.provider, signed=False, opaque=True))


def rejections(lines: list[MutableMapping[str, Any]]) -> list[str]:
    return [str(line["reason"]) for line in lines if line["event"] == "request_rejected"]


@pytest.fixture(scope="module")
def introspected_realm(keycloak: Keycloak, tmp_path_factory: pytest.TempPathFactory) -> Realm:
    """Creates a realm whose users and clients change, but not its configuration."""
    return bootstrapped(keycloak, tmp_path_factory.mktemp("asked"))


@pytest.fixture(scope="module")
def keyed(keycloak: Keycloak, tmp_path_factory: pytest.TempPathFactory) -> Realm:
    """Creates a realm in which this server authenticates with a key of the test."""
    return bootstrapped(keycloak, tmp_path_factory.mktemp("keyed"))


WITHDRAWALS: dict[str, Callable[[Login], None]] = {
    "the user is disabled": lambda it: it.write("PUT", "users", it.user_id, enabled=False),
    "the user is logged out by an administrator": lambda it: it.write("POST", "users", it.user_id, "logout"),
    "the user logs out": lambda it: it.post_form("logout", refresh_token=it.response["refresh_token"]),
    "the user takes the consent back": lambda it: it.write("DELETE", "users", it.user_id, "consents", it.client_id),
    "the token is revoked": lambda it: it.post_form("revoke", token=it.token),
    "the refresh token is revoked": lambda it: it.post_form("revoke", token=it.response["refresh_token"]),
    "the client is disabled": lambda it: it.client("PUT", enabled=False),
    "the client is removed": lambda it: it.client("DELETE"),
}


@pytest.mark.requirement("keycloak.revoked_token")
@pytest.mark.parametrize("withdraw", WITHDRAWALS.values(), ids=WITHDRAWALS)
async def test_a_revoked_token_is_accepted_until_its_cached_result_is_too_old(
    introspected_realm: Realm, withdraw: Callable[[Login], None]
) -> None:
    reader, writer = login(introspected_realm), login(introspected_realm, "writer")
    try:
        with capture_logs() as lines:
            async with serving(introspecting(introspected_realm)) as server:
                assert await server.status(reader.token) == 200
                withdraw(reader)
                assert introspected_realm.introspect(reader.token) == {"active": False}
                server.clock.forward(MAX_RESULT_AGE - 0.1)
                assert await server.status(reader.token) == 200
                assert len(server.requests) == 1
                server.clock.forward(0.1)
                assert await server.status(reader.token) == 401
                assert await server.status(writer.token) == 200
        assert rejections(lines) == ["inactive"]
    finally:
        reader.write("PUT", "users", reader.user_id, enabled=True)


@pytest.mark.requirement("keycloak.revoked_token")
async def test_a_user_who_is_enabled_again_is_served_again(introspected_realm: Realm) -> None:
    writer = login(introspected_realm, "writer")
    try:
        async with serving(introspecting(introspected_realm)) as server:
            writer.write("PUT", "users", writer.user_id, enabled=False)
            assert await server.status(writer.token) == 401
            writer.write("PUT", "users", writer.user_id, enabled=True)
            assert await server.status(writer.token) == 401  # rejections are cached too
            server.clock.forward(IntrospectionLimits().max_rejection_age)
            assert await server.status(writer.token) == 200
    finally:
        writer.write("PUT", "users", writer.user_id, enabled=True)


@pytest.mark.requirement("keycloak.client_auth")
@pytest.mark.parametrize(("way", "by_header"), [("basic", True), ("post", False)])
async def test_keycloak_accepts_the_secret(introspected_realm: Realm, way: str, by_header: bool) -> None:  # noqa: FBT001 - a row of the table
    token = login(introspected_realm).token
    async with serving(introspecting(introspected_realm, OAUTH_CLIENT_AUTH=way)) as server:
        assert await server.status(token) == 200
    (request,) = server.requests
    assert ("authorization" in request.headers) == by_header
    assert (b"client_secret=" in request.content) != by_header


def know_by_key(realm: Realm, key: PrivateKey, algorithm: str) -> None:
    """Registers the server's public key at Keycloak; secrets are rejected from now on."""
    admin = realm.admin()
    (client,) = admin.get("clients", clientId=realm.public_url)
    keys = json.dumps({"keys": [public_jwk(key, use="sig", alg=algorithm)]})
    attributes = {**client["attributes"], "use.jwks.string": "true", "jwks.string": keys}
    changed = {**client, "clientAuthenticatorType": "client-jwt", "attributes": attributes}
    admin.write("PUT", ("clients", client["id"]), changed)


def by_key(realm: Realm, folder: Path, key: PrivateKey) -> Settings:
    file = folder / "key.pem"
    file.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return introspecting(realm, OAUTH_CLIENT_AUTH="private_key_jwt", OAUTH_CLIENT_KEY_FILE=str(file))


@pytest.mark.requirement("keycloak.client_auth")
@pytest.mark.parametrize("algorithm", KEYS)
async def test_keycloak_accepts_a_new_assertion_each_time(keyed: Realm, tmp_path: Path, algorithm: str) -> None:
    know_by_key(keyed, KEYS[algorithm], algorithm)
    tokens = [login(keyed).token for _ in range(2)]
    async with serving(by_key(keyed, tmp_path, KEYS[algorithm])) as server:
        assert [await server.status(token) for token in tokens] == [200, 200]
    assert len(server.requests) == 2
    assert all("authorization" not in request.headers for request in server.requests)


async def served_in_vain(settings: Settings, realm: Realm) -> list[MutableMapping[str, Any]]:
    """Sends three calls to a server whose credentials Keycloak rejects; returns the error lines of its log."""
    tokens = [login(realm).token for _ in range(3)]
    with capture_logs() as lines:
        async with serving(settings) as server:
            responses = [await server.post(token) for token in tokens]
    assert [response.status_code for response in responses] == [503] * 3
    assert all(int(response.headers["retry-after"]) > 0 for response in responses)
    assert all("www-authenticate" not in response.headers for response in responses)
    assert len(server.requests) == 3
    assert all(token not in repr(lines) for token in tokens)
    return [line for line in lines if line["log_level"] == "error"]


@pytest.mark.requirement("keycloak.rejected_client")
@pytest.mark.parametrize("way", ["basic", "post"])
async def test_a_wrong_secret_is_logged_once_and_causes_no_401(introspected_realm: Realm, way: str) -> None:
    settings = replace(introspecting(introspected_realm, OAUTH_CLIENT_AUTH=way), client_secret="not-the-one")
    (line,) = await served_in_vain(settings, introspected_realm)
    assert "OAUTH_CLIENT_SECRET" in line["hint"]
    assert line["status"] == 401
    assert "not-the-one" not in repr(line)


@pytest.mark.requirement("keycloak.rejected_client")
async def test_a_key_that_keycloak_does_not_know_is_logged_once_too(keyed: Realm, tmp_path: Path) -> None:
    know_by_key(keyed, KEYS["ES256"], "ES256")
    settings = by_key(keyed, tmp_path, ec.generate_private_key(ec.SECP256R1()))
    (line,) = await served_in_vain(settings, keyed)
    assert "OAUTH_CLIENT_KEY_FILE" in line["hint"]
    assert line["status"] == 400


OTHER_TOKENS: dict[str, tuple[Callable[[Realm], str], str, int]] = {
    "a refresh token": (lambda realm: login(realm).response["refresh_token"], "algorithm", 401),
    "an ID token": (lambda realm: login(realm, scope="openid mcp:tools").response["id_token"], "audience", 401),
    "a token without our scopes": (lambda realm: login(realm, scope="openid").token, "audience", 403),
    "a token of a person without a role": (lambda realm: login(realm, "nobody").token, "audience", 403),
}


@pytest.mark.requirement("keycloak.token_types")
@pytest.mark.parametrize(("token", "reason", "status"), OTHER_TOKENS.values(), ids=OTHER_TOKENS)
async def test_keycloak_s_other_tokens_are_rejected_before_and_after_introspection(
    introspected_realm: Realm, token: Callable[[Realm], str], reason: str, status: int
) -> None:
    other, good = token(introspected_realm), login(introspected_realm).token
    for settings, expected, other_status in (
        (introspecting(introspected_realm), (reason, 0), status),
        (introspects_every_scope(introspecting(introspected_realm)), ("inactive", 1), 401),
    ):
        with capture_logs() as lines:
            async with serving(settings) as server:
                assert await server.status(other) == other_status
                assert (*rejections(lines), len(server.requests)) == expected
                assert await server.status(good) == 200
