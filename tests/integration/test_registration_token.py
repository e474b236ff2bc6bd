"""A registration access token (RFC 7592) manages its own client only, within the same rules."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest

from tests.support.keycloak.anonymous_clients import EVIL, bearer, registered
from tests.support.keycloak.realm import PUBLIC_URL, REDIRECT

if TYPE_CHECKING:
    from tests.support.keycloak.realm import Json, Realm

pytestmark = pytest.mark.containers

UMA = "urn:ietf:params:oauth:grant-type:uma-ticket"


@pytest.mark.requirement("bootstrap.registration_token")
@pytest.mark.parametrize(
    "change",
    [
        {"redirect_uris": [EVIL]},
        {"redirect_uris": ["http://localhost/*"]},
        {"jwks_uri": EVIL},
        {"frontchannel_logout_uri": EVIL},
        {"post_logout_redirect_uris": [EVIL]},
        {"client_uri": EVIL},
        {"client_uri": "javascript:alert(1)"},
        {"logo_uri": EVIL},
        {"policy_uri": "javascript:alert(1)"},
        {"tos_uri": EVIL},
        {"backchannel_logout_uri": EVIL},
        {"backchannel_client_notification_endpoint": EVIL},
        {"request_uris": [EVIL]},
        {"sector_identifier_uri": EVIL},
        {"grant_types": ["urn:openid:params:grant-type:ciba"]},
        {"scope": "mcp:tools profile"},
        {"scope": "mcp:tools roles service_account"},
        {"software_statement": "x.y.z"},
        {"fullScopeAllowed": True},
        {"client_id": "mcp-native"},
    ],
)
def test_a_registration_token_does_not_bypass_the_rules(standing_realm: Realm, change: Json) -> None:
    client = registered(standing_realm)
    url, token = client.pop("registration_client_uri"), client.pop("registration_access_token")
    status = client.pop("status")
    rejected = standing_realm.server.request("PUT", url, json={**client, **change}, headers=bearer(token))
    assert status == 201
    assert rejected.status_code >= 400, rejected.text
    stored = standing_realm.server.request("GET", url, headers=bearer(token)).json()
    assert (stored["redirect_uris"], stored["client_id"]) == ([REDIRECT], client["client_id"])


@pytest.mark.requirement("bootstrap.registration_token")
def test_a_registration_token_opens_no_flow(standing_realm: Realm) -> None:
    client = registered(standing_realm)
    url, token = client.pop("registration_client_uri"), client.pop("registration_access_token")
    client.pop("status")
    flows = {"grant_types": ["client_credentials", "implicit", "password", UMA], "response_types": ["token"]}
    change = {**client, **flows, "token_endpoint_auth_method": "client_secret_post"}
    changed = standing_realm.server.request("PUT", url, json=change, headers=bearer(token)).json()
    known = {"client_id": client["client_id"], "client_secret": changed["client_secret"]}
    user = {"username": "reader", "password": "reader"}
    for grant in ("client_credentials", "password", UMA):
        response = standing_realm.token(grant_type=grant, scope="mcp:tools", **known, **user)
        assert (response["status"], "access_token" in response) == (400, False), response
    (stored,) = standing_realm.admin().get("clients", clientId=client["client_id"])
    wide = ("implicitFlowEnabled", "directAccessGrantsEnabled", "fullScopeAllowed", "bearerOnly")
    assert [stored[member] for member in wide] == [False] * 4
    assert stored["consentRequired"] is True


@pytest.mark.requirement("bootstrap.registration_token")
def test_a_member_that_keycloak_accepts_and_does_not_know_is_not_stored(standing_realm: Realm) -> None:
    client = registered(standing_realm, initiate_login_uri=EVIL)
    (stored,) = standing_realm.admin().get("clients", clientId=client["client_id"])
    assert EVIL not in str(stored)


@pytest.mark.requirement("bootstrap.registration_token")
def test_what_keycloak_answered_a_registration_may_be_sent_back(standing_realm: Realm) -> None:
    client = registered(standing_realm, client_name="before")
    url, token = client.pop("registration_client_uri"), client.pop("registration_access_token")
    client.pop("status")
    changed = standing_realm.server.request("PUT", url, json={**client, "client_name": "after"}, headers=bearer(token))
    assert (changed.status_code, changed.json()["client_name"]) == (200, "after")
    assert standing_realm.server.request("GET", url, headers=bearer(token)).status_code == 401  # rotated
    assert (
        standing_realm.server.request(
            "DELETE", url, headers=bearer(changed.json()["registration_access_token"])
        ).status_code
        == 204
    )


@pytest.mark.requirement("bootstrap.registration_token")
@pytest.mark.parametrize("client_id", ["mcp-native", "account", "account-console", "admin-cli", PUBLIC_URL])
def test_no_client_reads_or_changes_another_client(standing_realm: Realm, client_id: str) -> None:
    mine = registered(standing_realm)
    user_token = standing_realm.log_in("admin", mine["client_id"], scope="mcp:tools")["access_token"]
    url = f"{standing_realm.issuer}/clients-registrations/openid-connect/{quote(client_id, safe='')}"
    for token in (mine["registration_access_token"], user_token, ""):
        headers = bearer(token) if token else {}
        statuses = {
            standing_realm.server.request(method, url, headers=headers).status_code for method in ("GET", "DELETE")
        }
        assert statuses <= {401, 403}, (token[:0], statuses)
    assert standing_realm.admin().get("clients", clientId=client_id)
