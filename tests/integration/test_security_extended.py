"""Further attacks through open registration, tested on a bootstrapped Keycloak.

Each test acts like an attacker with a registered client, and with users who consent to everything.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.keycloak.anonymous_clients import CONFIDENTIAL, bearer, registered
from tests.support.keycloak.realm import PUBLIC_URL, REDIRECT, claims, pkce_pair

if TYPE_CHECKING:
    from tests.support.keycloak.realm import Realm

pytestmark = pytest.mark.containers

GRANTS = "urn:ietf:params:oauth:grant-type"


@pytest.mark.requirement("bootstrap.response_types")
@pytest.mark.parametrize("response_type", ["code id_token", "code id_token token", "id_token", "none"])
def test_no_other_response_type_returns_anything(standing_realm: Realm, response_type: str) -> None:
    client = registered(standing_realm, response_types=[response_type])
    _, pkce = pkce_pair()
    back = standing_realm.authorize(
        "reader",
        client_id=client["client_id"],
        response_type=response_type,
        scope="openid mcp:tools",
        nonce="n",
        **pkce,
    )
    assert {"code", "id_token", "access_token"} & set(back) == set()


@pytest.mark.requirement("bootstrap.ciba")
def test_no_client_starts_a_login_on_another_device(standing_realm: Realm) -> None:
    metadata = {**CONFIDENTIAL, "grant_types": ["urn:openid:params:grant-type:ciba", "authorization_code"]}
    rejected = standing_realm.post_client("openid-connect", metadata)
    assert (rejected["status"], rejected["error_description"]) == (400, "Request not allowed")
    client = standing_realm.post_client("openid-connect", CONFIDENTIAL)
    known = {"client_id": client["client_id"], "client_secret": client["client_secret"]}
    requested = {**known, "scope": "openid mcp:tools", "login_hint": "reader"}
    begun = standing_realm.server.request(
        "POST", f"{standing_realm.issuer}/protocol/openid-connect/ext/ciba/auth", data=requested
    )
    assert begun.status_code in {400, 401}, begun.text
    assert "auth_req_id" not in begun.text


@pytest.mark.requirement("bootstrap.token_exchange")
@pytest.mark.parametrize("extra", [{}, {"audience": PUBLIC_URL}, {"scope": "mcp:tools mcp:admin"}])
def test_a_client_that_registered_itself_exchanges_no_token(standing_realm: Realm, extra: dict[str, str]) -> None:
    grant = f"{GRANTS}:token-exchange"
    client = standing_realm.post_client(
        "openid-connect", {**CONFIDENTIAL, "grant_types": [grant, "authorization_code"], "scope": "mcp:tools"}
    )
    known = {"client_id": client["client_id"], "client_secret": client["client_secret"]}
    secret = {"client_secret": client["client_secret"]}
    token = standing_realm.log_in("reader", client["client_id"], scope="mcp:tools", **secret)["access_token"]
    subject = {"subject_token": token, "subject_token_type": "urn:ietf:params:oauth:token-type:access_token"}
    response = standing_realm.token(grant_type=grant, **known, **subject, **extra)
    assert (response["status"], response["error_description"]) == (400, "Request not allowed")


@pytest.mark.requirement("bootstrap.token_exchange")
def test_of_all_grants_that_keycloak_has_only_a_login_returns_a_token(standing_realm: Realm) -> None:
    """Uses a client that registered with all of them, and a user who consented to it."""
    url = f"{standing_realm.issuer}/.well-known/openid-configuration"
    offered = set(standing_realm.server.request("GET", url).json()["grant_types_supported"])
    ciba = "urn:openid:params:grant-type:ciba"  # rejected at registration
    metadata = {**CONFIDENTIAL, "grant_types": sorted(offered - {ciba}), "scope": "mcp:tools"}
    client = standing_realm.post_client("openid-connect", metadata)
    known = {"client_id": client["client_id"], "client_secret": client["client_secret"]}
    secret = {"client_secret": client["client_secret"]}
    token = standing_realm.log_in("reader", client["client_id"], scope="mcp:tools", **secret)["access_token"]
    granted = {
        "scope": "mcp:tools",
        "audience": client["client_id"],
        "assertion": token,
        "subject_token": token,
        "subject_token_type": "urn:ietf:params:oauth:token-type:access_token",
        "username": "reader",
        "password": "reader",
        "device_code": "x",
    }
    tokens = {grant: standing_realm.token(grant_type=grant, **known, **granted) for grant in offered}
    assert [grant for grant, response in tokens.items() if "access_token" in response] == []
    # Rejected by the rule, not for another error in the request.
    ruled = ("client_credentials", f"{GRANTS}:token-exchange")
    assert {tokens[grant]["error_description"] for grant in ruled} == {"Request not allowed"}


@pytest.mark.requirement("bootstrap.uma")
def test_a_client_that_made_itself_a_resource_server_cannot_use_that(standing_realm: Realm) -> None:
    """Keycloak turns a client that registers with permission tickets into a resource server (User-Managed Access 2.0).

    To use that, it needs a token for itself, but `client_credentials` is rejected, and a user's token is not accepted.
    """
    grant = f"{GRANTS}:uma-ticket"
    metadata = {**CONFIDENTIAL, "grant_types": [grant, "client_credentials", "authorization_code"]}
    client = standing_realm.post_client("openid-connect", metadata)
    assert grant in client["grant_types"]
    known = {"client_id": client["client_id"], "client_secret": client["client_secret"]}
    secret = {"client_secret": client["client_secret"]}
    token = standing_realm.log_in("admin", client["client_id"], scope="mcp:tools", **secret)["access_token"]
    for audience in (client["client_id"], PUBLIC_URL, "mcp-native", "realm-management"):
        form = {"grant_type": grant, "audience": audience}
        alone = standing_realm.token(**form, **known)
        assert alone["error_description"] in {"Request not allowed", "Client does not support permissions"}
        response = standing_realm.server.request("POST", standing_realm.token_url, data=form, headers=bearer(token))
        assert response.status_code in {400, 403}
    protection = f"{standing_realm.issuer}/authz/protection"
    ticket = {"resource": "mine", "requesterName": "reader", "granted": True, "scopeName": "x"}
    for part, body in (("resource_set", {"name": "mine"}), ("permission/ticket", ticket)):
        response = standing_realm.server.request("POST", f"{protection}/{part}", json=body, headers=bearer(token))
        assert (response.status_code, response.json()["error_description"]) == (403, "Requires uma_protection scope.")


@pytest.mark.requirement("bootstrap.token_exchange")
@pytest.mark.parametrize("grant", [f"{GRANTS}:uma-ticket", f"{GRANTS}:jwt-bearer", f"{GRANTS}:saml2-bearer"])
def test_no_other_grant_returns_a_token(standing_realm: Realm, grant: str) -> None:
    client = standing_realm.post_client("openid-connect", {**CONFIDENTIAL, "grant_types": [grant]})
    known = {"client_id": client["client_id"], "client_secret": client["client_secret"]}
    response = standing_realm.token(grant_type=grant, **known, audience=PUBLIC_URL, assertion="x.y.z")
    assert response["status"] in {400, 401}
    assert "access_token" not in response


@pytest.mark.requirement("bootstrap.offline_tokens")
def test_an_offline_token_expires_and_ends_when_consent_is_withdrawn(standing_realm: Realm) -> None:
    client = registered(standing_realm, scope="mcp:tools offline_access")
    plain = standing_realm.log_in("writer", client["client_id"], scope="mcp:tools")
    assert plain["refresh_expires_in"] <= 1800  # no offline token without requesting it
    offline = standing_realm.log_in("writer", client["client_id"], scope="mcp:tools offline_access")
    assert 1800 < offline["refresh_expires_in"] <= 30 * 86400
    admin = standing_realm.admin()
    (user,) = admin.get("users", username="writer", exact="true")
    refresh = {"grant_type": "refresh_token", "client_id": client["client_id"]}
    again = standing_realm.token(**refresh, refresh_token=offline["refresh_token"])
    admin.write("DELETE", ("users", user["id"], "consents", client["client_id"]))
    assert standing_realm.token(**refresh, refresh_token=str(again["refresh_token"]))["status"] == 400


def test_a_token_of_a_registered_client_opens_no_account(standing_realm: Realm) -> None:
    client = registered(standing_realm)
    token = standing_realm.log_in("reader", client["client_id"], scope="mcp:tools")["access_token"]
    server, realm = standing_realm.server.url, standing_realm.name
    urls = [
        f"{standing_realm.issuer}/account/{part}"
        for part in ("", "sessions", "applications", "credentials", "resources")
    ]
    urls += [f"{standing_realm.issuer}/{part}" for part in ("broker/x/token", "authz/protection/resource_set")]
    urls += [f"{server}/admin/realms/{realm}", f"{server}/admin/realms/{realm}/users"]
    urls.append(f"{standing_realm.issuer}/protocol/openid-connect/userinfo")  # the scope openid was not granted
    headers = {**bearer(token), "Accept": "application/json"}
    assert {standing_realm.server.request("GET", url, headers=headers).status_code for url in urls} <= {401, 403}
    for scope in ("roles", "profile", "email", "account"):
        rejected = standing_realm.log_in("reader", client["client_id"], scope=f"mcp:tools {scope}")
        assert rejected["error"] == "invalid_scope", scope


@pytest.mark.requirement("bootstrap.pairwise_subjects")
def test_a_user_has_one_subject_whatever_a_client_requests(standing_realm: Realm) -> None:
    subjects = set()
    for kind in ("public", "pairwise"):
        client = standing_realm.register(redirect_uris=[REDIRECT], scope="mcp:tools", subject_type=kind)
        if client["status"] == 201:
            response = standing_realm.log_in("reader", client["client_id"], scope="mcp:tools")
            subjects.add(claims(response["access_token"])["sub"])
    assert len(subjects) == 1
