"""Keycloak as a connector of Dex: users log in there, and its roles become groups at Dex."""

from __future__ import annotations

import secrets
import subprocess
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import httpx
import pytest

from tests.support.dex import REDIRECT, Dex, running_dex
from tests.support.in_process import serving
from tests.support.keycloak.realm import bootstrapped, claims

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.keycloak.realm import Keycloak, Realm

pytestmark = [pytest.mark.anyio, pytest.mark.containers, pytest.mark.full]
# As described at the top of idp-config/dex/connectors/keycloak.yaml.
_GROUPS = {
    "name": "groups",
    "protocol": "openid-connect",
    "protocolMapper": "oidc-usermodel-realm-role-mapper",
    "config": {
        "claim.name": "groups",
        "multivalued": "true",
        "id.token.claim": "true",
        "jsonType.label": "String",
    },
}


@pytest.fixture(scope="module")
def dex(keycloak: Keycloak, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dex]:
    realm = bootstrapped(keycloak, tmp_path_factory.mktemp("realm"))
    secret = secrets.token_urlsafe(16)
    env = {
        "KEYCLOAK_URL": f"http://keycloak:8080/realms/{realm.name}",
        "KEYCLOAK_ISSUER": realm.issuer,
        "KEYCLOAK_DEX_SECRET": secret,
    }
    containers = {"keycloak": container_at(keycloak.url)}
    config = "dex.yaml,connectors/keycloak.yaml"
    with running_dex(
        tmp_path_factory.mktemp("dex"), config=config, env=env, other_containers=containers, demo_users={}
    ) as server:
        server.other_origins = (keycloak.url,)
        create_federated_client(realm, server, secret)
        yield server


def container_at(url: str) -> str:
    """Returns the id of the container that publishes the port of `url`."""
    words = ["docker", "ps", "--quiet", "--filter", f"publish={urlsplit(url).port}"]
    return subprocess.run(words, check=True, capture_output=True, text=True).stdout.strip()


def create_federated_client(realm: Realm, dex: Dex, secret: str) -> None:
    """Creates the client of the realm that Dex uses."""
    client = {
        "clientId": "dex",
        "secret": secret,
        "redirectUris": [f"{dex.issuer}/callback"],
        "protocolMappers": [_GROUPS],
        "defaultClientScopes": ["basic", "profile"],  # by default, new clients of this realm get only the first
        "fullScopeAllowed": True,
    }
    realm.admin().write("POST", ("clients",), client)


async def test_keycloak_users_log_in_through_dex_and_their_roles_grant_the_scopes(dex: Dex) -> None:
    registered = str(dex.register(redirect_uris=[REDIRECT])["client_id"])
    tokens = dex.log_in("writer", registered)
    assert "access_token" in tokens, (tokens, dex.logs())
    message = claims(tokens["access_token"])
    assert "mcp-writer" in message["groups"]
    assert (message["iss"], message["preferred_username"]) == (dex.issuer, "writer")
    async with serving(dex.settings()) as server:
        assert (await server.call("note_add", tokens["access_token"], {"text": "milk"})).status_code == 200
        renewed = dex.refresh(registered, tokens["refresh_token"])
        assert "mcp-writer" in claims(renewed["access_token"])["groups"]
        assert await server.status(renewed["access_token"]) == 200


@pytest.mark.parametrize(
    ("user", "tool", "group"), [("reader", "note_add", "mcp-writer"), ("nobody", "whoami", "mcp-")]
)
async def test_what_a_role_at_keycloak_does_not_grant_is_rejected_here(
    dex: Dex, user: str, tool: str, group: str
) -> None:
    token = dex.log_in(user, "mcp-native-01")["access_token"]
    async with serving(dex.settings()) as server:
        response = await server.call(tool, token, {"text": "milk"})
    assert (response.status_code, "www-authenticate" in response.headers) == (403, False)
    assert group in response.json()["error"]["message"]


def test_there_is_no_local_login_and_the_callback_accepts_only_authorization_responses(dex: Dex) -> None:
    assert httpx.get(f"{dex.issuer}/auth/local").status_code == 404
    for query in (
        "",
        "?code=x",
        "?code=x&state=y",
        "?error=access_denied&state=y",
        "?state=y&code=x&back=https://a.example",
    ):
        response = httpx.get(f"{dex.issuer}/callback{query}")
        assert response.status_code in {400, 401, 500}, query
        assert "location" not in response.headers
