"""A Keycloak started as in tutorials, with every registration endpoint open: weaknesses that only start options fix."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from mcp_idp.cli.bootstrap.keycloak.probe import payloads
from tests.support.cimd_server import Documents, serving_documents, write_certificates
from tests.support.keycloak.bootstrap_commands import check, clients_of, tried
from tests.support.keycloak.realm import REDIRECT, bootstrapped, claims, running_keycloak
from tests.support.keycloak.tutorial_realm import tutorial_realm

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.keycloak.realm import Json, Keycloak, Realm

pytestmark = [pytest.mark.containers, pytest.mark.full]

LISTED, UNLISTED = "clients.example", "elsewhere.example"
SWITCH = "KC_SPI_CLIENT_REGISTRATION__{}__ENABLED"
OPEN: dict[str, str | None] = dict.fromkeys(map(SWITCH.format, ("DEFAULT", "INSTALL", "SAML2_ENTITY_DESCRIPTOR")))


@dataclass(frozen=True, slots=True)
class Outside:
    """A server without our start options, and documents that it can fetch."""

    keycloak: Keycloak
    documents: Documents


@pytest.fixture(scope="module")
def outside(engine: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Outside]:
    folder = tmp_path_factory.mktemp("tls")
    hosts = (LISTED, UNLISTED)
    write_certificates(folder, hosts)
    with warnings.catch_warnings(), serving_documents(folder) as documents:
        warnings.simplefilter("ignore")  # warnings of testcontainers at import
        with running_keycloak({**OPEN, "KC_FEATURES": "cimd"}, ca=folder, hosts=hosts) as keycloak:
            yield Outside(keycloak, documents)


@pytest.mark.requirement("existing_realm.weaknesses", "existing_realm.clients")
def test_all_nine_weaknesses_are_reported_with_what_apply_cannot_fix(outside: Outside, tmp_path: Path) -> None:
    realm = tutorial_realm(outside.keycloak, tmp_path, "test-nine-holes")
    assert [weakness.id for weakness in check(realm).weaknesses] == [f"S{n}" for n in range(1, 10)]
    before = clients_of(realm)
    outcomes = tried(realm)
    assert [outcome.id for outcome in outcomes if outcome.open] == [f"S{n}" for n in range(1, 10)], outcomes
    assert clients_of(realm) == before
    # Verified by exploits: another user's subject, a token valid for years, one signed with a shared secret.
    assert _forged(realm, "before")["sub"] == _user(realm)["id"]
    lasting = _forged(realm, "before-lasting", attributes=payloads.TEN_YEAR_LIFETIME)
    assert lasting["exp"] - lasting["iat"] > 30_000

    realm.apply()
    left = check(realm)
    assert left.names == []
    assert [weakness.id for weakness in left.weaknesses] == ["S2", "S3", "S4", "S4", "S5"]
    # Clients registered before still exist and are reported; only the administrator may remove them.
    earlier = [weakness for weakness in left.weaknesses if "that already existed" in weakness.what]
    assert [(weakness.id, "before-lasting" in weakness.what) for weakness in earlier] == [("S3", True), ("S4", True)]
    for name in ("before", "before-lasting"):
        (client,) = realm.admin().get("clients", clientId=name)
        realm.admin().write("DELETE", ("clients", client["id"]))
    left = check(realm)
    assert [weakness.id for weakness in left.weaknesses] == ["S2", "S4", "S5"]
    assert all(SWITCH.format("DEFAULT") in weakness.fix for weakness in left.weaknesses)
    assert any("KC_SPI_CLIENT_REGISTRATION__DEFAULT__ENABLED=false" in line for line in realm.message)
    assert [outcome.id for outcome in tried(realm) if outcome.open] == ["S2", "S4", "S5", "S8"]
    # With the endpoint open, only the policy rejects mappers.
    body = payloads.client_representation("after", protocolMappers=[payloads.SUB_FORGING_MAPPER])
    assert realm.post_client("default", body)["status"] == 403


def _user(realm: Realm) -> Json:
    found: Json = realm.admin().get("users", username="victim", exact="true")[0]
    return found


def _forged(realm: Realm, client_id: str, **members: object) -> Json:
    """Registers a client at Keycloak's own endpoint as an attacker and returns its token."""
    admin = realm.admin()
    attacker = {
        "username": client_id,
        "enabled": True,
        "email": f"{client_id}@theirs.example",
        "firstName": _user(realm)["id"],  # any user can set this name on the account page
        "lastName": "A",
        "credentials": [{"type": "password", "value": client_id, "temporary": False}],
    }
    admin.write("POST", ("users",), attacker)
    body = payloads.client_representation(client_id, protocolMappers=[payloads.SUB_FORGING_MAPPER])
    assert realm.post_client("default", {**body, **members})["status"] == 201
    scope = "mcp:tools offline_access" if members else "mcp:tools"
    return claims(realm.log_in(client_id, client_id, scope=scope)["access_token"])


@pytest.fixture(scope="module")
def by_document(outside: Outside, tmp_path_factory: pytest.TempPathFactory) -> Realm:
    profile = {"profile": "cimd", "document_domains": [LISTED]}
    return bootstrapped(outside.keycloak, tmp_path_factory.mktemp("documents"), registration=profile)


@pytest.mark.requirement("client_metadata_document.login")
def test_a_client_with_a_metadata_document_on_a_listed_host_logs_in_without_registering(
    by_document: Realm, outside: Outside
) -> None:
    assert [weakness.id for weakness in check(by_document).weaknesses] == ["S2", "S4", "S5"]
    assert check(by_document).warnings == ()
    client_id = outside.documents.publish(LISTED, "/client.json", redirect_uris=["http://127.0.0.1/callback"])
    response = by_document.log_in(
        "reader", client_id, scope="mcp:tools", redirect_uri="http://127.0.0.1:33333/callback"
    )
    token = claims(response["access_token"])
    assert (token["azp"], token["aud"]) == (client_id, by_document.public_url)
    assert by_document.apply() == 0


@pytest.mark.requirement("client_metadata_document.rejected")
def test_a_metadata_document_on_another_host_is_not_fetched(by_document: Realm, outside: Outside) -> None:
    client_id = outside.documents.publish(UNLISTED, "/elsewhere.json", redirect_uris=[REDIRECT])
    assert "code" not in by_document.authorize("reader", client_id=client_id, scope="mcp:tools")
    assert [requests for requests in outside.documents.requests if "elsewhere" in requests] == []


@pytest.mark.requirement("client_metadata_document.rejected")
@pytest.mark.parametrize(
    "members",
    [
        {"redirect_uris": ["https://evil.example/callback"]},
        {"redirect_uris": [REDIRECT], "client_id": "https://clients.example/other.json"},
        {"redirect_uris": [REDIRECT], "jwks_uri": "https://evil.example/keys"},
        {"redirect_uris": [REDIRECT], "logo_uri": "https://evil.example/logo"},
        {"redirect_uris": [REDIRECT], "token_endpoint_auth_method": "client_secret_basic"},
        {"redirect_uris": [REDIRECT], "client_name": None},
    ],
)
def test_a_metadata_document_that_asks_for_too_much_is_rejected(
    by_document: Realm, outside: Outside, members: dict[str, object], request: pytest.FixtureRequest
) -> None:
    path = f"/{abs(hash(request.node.name))}.json"
    url = outside.documents.publish(LISTED, path, **members)
    redirects = members["redirect_uris"]
    assert isinstance(redirects, list)
    back = by_document.authorize("reader", client_id=url, scope="mcp:tools", redirect_uri=redirects[0])
    assert "code" not in back, back


@pytest.mark.requirement("client_metadata_document.rejected")
def test_no_client_registers_where_clients_have_metadata_documents(by_document: Realm) -> None:
    assert by_document.register(redirect_uris=[REDIRECT])["status"] == 403


def test_a_feature_without_a_policy_is_reported_and_the_policy_is_removed_with_the_profile(
    by_document: Realm, outside: Outside, tmp_path: Path
) -> None:
    plain = bootstrapped(outside.keycloak, tmp_path)
    (warning,) = check(plain).warnings
    assert "Client not found" in warning
    plain.write_access(registration={"profile": "cimd", "document_domains": [LISTED]})
    plain.apply()
    plain.write_access(registration={"profile": "closed"})
    plain.apply()
    policies = plain.admin().get("client-policies", "policies")["policies"]
    assert "mcp-documents" not in {policy["name"] for policy in policies}
    profiles = plain.admin().get("client-policies", "profiles")["profiles"]
    assert "mcp-documents" not in {profile["name"] for profile in profiles}
