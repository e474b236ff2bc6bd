"""Service clients in a real Keycloak, and other clients that must not get tokens for themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from mcp_idp.cli.bootstrap.errors import ConfigError
from tests.support.in_process import serving, settings_for
from tests.support.keycloak.bootstrap_commands import check
from tests.support.keycloak.manual_changes import client_members, service_client_role
from tests.support.keycloak.realm import REDIRECT, bootstrapped, claims
from tests.support.keycloak.service_clients import KEY, SCOPE, SERVICE_CLIENTS, Workshop, new_key, workshop

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.keycloak.realm import Keycloak

pytestmark = [pytest.mark.containers, pytest.mark.anyio]


@pytest.fixture(scope="module")
def standing(keycloak: Keycloak, tmp_path_factory: pytest.TempPathFactory) -> Workshop:
    """Creates a realm for tests that do not change its configuration."""
    return workshop(keycloak, tmp_path_factory.mktemp("machines"))


@pytest.fixture
def own(keycloak: Keycloak, tmp_path: Path) -> Workshop:
    return workshop(keycloak, tmp_path)


@pytest.mark.requirement("service_clients.secret")
async def test_a_service_client_with_a_secret_gets_the_scopes_of_its_roles_and_the_server_accepts_its_token(
    standing: Workshop,
) -> None:
    response = standing.service_client_token()
    token = claims(response["access_token"])
    assert token["aud"] == standing.public_url
    assert set(token["scope"].split()) & {"mcp:tools", "mcp:notes.read", "mcp:notes.write"} == {
        "mcp:tools",
        "mcp:notes.read",
    }
    assert token["mcp_roles"] == ["mcp-reader"]
    assert "refresh_token" not in response
    async with serving(settings_for(standing)) as served:
        assert await served.status(response["access_token"]) == 200


@pytest.mark.requirement("service_clients.private_key_jwt")
async def test_a_service_client_with_a_key_gets_its_token_by_an_assertion(standing: Workshop) -> None:
    response = standing.assertion_token(KEY)
    token = claims(response["access_token"])
    assert "mcp:notes.write" in token["scope"].split()
    async with serving(settings_for(standing)) as served:
        assert await served.status(response["access_token"]) == 200


def test_its_token_belongs_to_no_end_user(standing: Workshop) -> None:
    token = claims(standing.service_client_token()["access_token"])
    assert token["azp"] == "nightly-report"
    assert not {"sid", "auth_time", "name", "email", "preferred_username"} & set(token)
    admin = standing.admin()
    (account,) = admin.get("users", username="service-account-nightly-report", exact="true")
    assert account["id"] == token["sub"]
    assert admin.get("users", account["id"], "credentials") == []  # the account has no credentials for a login


def test_neither_a_wrong_secret_nor_another_key_nor_another_method_obtains_a_token(standing: Workshop) -> None:
    guesses = [
        standing.service_client_token(secret="wrong" * 8),
        standing.assertion_token(new_key()),
        standing.assertion_token(KEY, "nightly-report"),  # a client with a secret
        standing.service_client_token("importer", "x" * 43),  # a client with a key
        standing.token(grant_type="client_credentials", client_id="nightly-report", scope=SCOPE),
        standing.token(grant_type="client_credentials", client_id="mcp-native", scope=SCOPE),
        standing.service_client_token(standing.public_url, standing.client_secret),  # the server's own client
        standing.service_client_token(scope=f"{SCOPE} offline_access"),
    ]
    assert ["access_token" in response for response in guesses] == [False] * len(guesses), guesses
    assert all(response["status"] in {400, 401} for response in guesses)


@pytest.mark.parametrize("grant", ["password", "urn:ietf:params:oauth:grant-type:token-exchange"])
def test_a_service_client_uses_no_other_grant(standing: Workshop, grant: str) -> None:
    form = {"client_id": "nightly-report", "client_secret": standing.secret, "scope": SCOPE}
    subject = standing.service_client_token()["access_token"]
    response = standing.token(grant_type=grant, username="writer", password="writer", subject_token=subject, **form)
    assert "access_token" not in response
    back = standing.authorize("writer", client_id="nightly-report", scope="mcp:tools")
    assert "code" not in back


async def test_a_client_that_registered_itself_gets_no_accepted_token(standing: Workshop) -> None:
    client = standing.post_client(
        "openid-connect",
        {"redirect_uris": [REDIRECT], "grant_types": ["client_credentials"], "scope": SCOPE},
    )
    response = standing.service_client_token(client["client_id"], client["client_secret"])
    token = claims(response["access_token"])
    assert "aud" not in token
    assert not {"mcp:tools", "mcp:notes.read", "mcp:notes.write"} & set(token["scope"].split())
    assert standing.introspect(response["access_token"]) == {"active": False}
    async with serving(settings_for(standing)) as served:
        assert await served.status(response["access_token"]) == 401


def test_no_client_registers_under_a_service_client_s_id_or_changes_it(standing: Workshop) -> None:
    response = standing.post_client("openid-connect", {"client_id": "nightly-report", "redirect_uris": [REDIRECT]})
    assert response["status"] == 400
    assert standing.post_client("default", {"clientId": "nightly-report", "redirectUris": [REDIRECT]})["status"] == 404


async def test_the_server_rejects_a_service_client_that_the_access_file_does_not_name(own: Workshop) -> None:
    """It was created in the admin console, with a role."""
    admin = own.admin()
    body = {"clientId": "unlisted", "secret": "u" * 43, "serviceAccountsEnabled": True, "standardFlowEnabled": False}
    admin.write("POST", ("clients",), body)
    service_client_role("unlisted", "mcp-admin")(admin)
    response = own.service_client_token("unlisted", "u" * 43)
    token = claims(response["access_token"])
    assert token["aud"] == own.public_url  # the token is valid except that it belongs to no user
    async with serving(settings_for(own)) as served:
        assert await served.status(response["access_token"]) == 401
    found = check(own)
    assert found.clean
    assert [warning for warning in found.warnings if "unlisted" in warning]


def test_manual_changes_are_reported_and_fixed(own: Workshop) -> None:
    assert check(own).names == []
    assert own.apply() == 0
    admin = own.admin()
    service_client_role("nightly-report", "mcp-admin")(admin)
    client_members("importer", standardFlowEnabled=True, redirectUris=["https://evil.example/*"])(admin)
    client_members("nightly-report", fullScopeAllowed=True, secret="known" * 8)(admin)
    assert set(check(own).names) == {
        "client nightly-report.secret",
        "client nightly-report.fullScopeAllowed",
        "client nightly-report.roles",
        "client importer.standardFlowEnabled",
        "client importer.redirectUris",
    }
    own.apply()
    assert check(own).clean
    token = claims(own.service_client_token(scope=f"{SCOPE} mcp:admin")["access_token"])
    assert token["mcp_roles"] == ["mcp-reader"]
    assert "mcp:admin" not in token["scope"].split()


def test_without_service_clients_the_grant_is_denied_and_the_clients_are_removed(own: Workshop) -> None:
    secret = own.secret
    own.write_access()
    own.apply()
    assert own.admin().get("clients", clientId="nightly-report") == []
    policies = {policy["name"]: policy for policy in own.admin().get("client-policies", "policies")["policies"]}
    (condition,) = policies["mcp-code-only"]["conditions"]
    assert "client_credentials" in condition["configuration"]["grant_types"]
    assert own.service_client_token(secret=secret)["status"] == 401
    client = own.post_client("openid-connect", {"redirect_uris": [REDIRECT], "grant_types": ["client_credentials"]})
    assert own.service_client_token(client["client_id"], client["client_secret"], "mcp:tools")["status"] == 400


@pytest.mark.requirement("service_clients.secret")
def test_an_apply_without_the_secret_says_which_variable_is_missing(keycloak: Keycloak, tmp_path: Path) -> None:
    service_client = {"other": {"name": "Other", "roles": ["mcp-reader"], "secret": "OTHER_SECRET"}}
    with pytest.raises(ConfigError, match="OTHER_SECRET: "):
        bootstrapped(keycloak, tmp_path, machine_clients=service_client)


def test_a_client_that_others_created_is_not_adopted(keycloak: Keycloak, tmp_path: Path) -> None:
    realm = bootstrapped(keycloak, tmp_path)
    theirs = {"clientId": "importer", "secret": "a-secret-of-theirs", "redirectUris": ["https://theirs.example/back"]}
    realm.admin().write("POST", ("clients",), theirs)
    realm.write_access(machine_clients={"importer": SERVICE_CLIENTS["importer"]})
    with pytest.raises(ConfigError, match=r"machine_clients.importer: the realm has a client with this id"):
        realm.apply()
    found = realm.admin().get("clients", clientId="importer")[0]
    assert (found["redirectUris"], found["secret"]) == (theirs["redirectUris"], theirs["secret"])
