"""What a self-registered client can gain from another client's consent, tokens and requests."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.keycloak.anonymous_clients import ALL, CONFIDENTIAL, EVIL, bearer, native, registered
from tests.support.keycloak.realm import PUBLIC_URL, REDIRECT, claims, pkce_pair

if TYPE_CHECKING:
    from tests.support.keycloak.realm import Json, Realm

pytestmark = pytest.mark.containers

PROMPT_NONE = {"prompt": "none"}


def test_consent_counts_for_one_client_and_its_scopes_only(standing_realm: Realm) -> None:
    user, (_, pkce) = standing_realm.browser("admin"), pkce_pair()
    known, other = native(standing_realm), native(standing_realm, f"{ALL} offline_access")

    def authorization_request(client_id: str, scope: str) -> Json:
        return standing_realm.authorize(user, client_id=client_id, scope=scope, **pkce, **PROMPT_NONE)

    assert "code" in standing_realm.authorize(user, client_id=known, scope="mcp:tools", **pkce)
    assert "code" in authorization_request(known, "mcp:tools")
    for back in (
        authorization_request(known, ALL),
        authorization_request(other, "mcp:tools"),
        authorization_request(other, "offline_access"),
    ):
        assert (back["error"], "code" in back) == ("interaction_required", False)


@pytest.mark.parametrize("parameters", [{}, {"scope": "openid"}])
def test_without_consent_a_client_learns_the_user_and_gets_no_token_for_this_server(
    standing_realm: Realm, parameters: dict[str, str]
) -> None:
    browser, client_id = standing_realm.browser("admin"), native(standing_realm)
    assert "code" in standing_realm.authorize(browser, client_id=native(standing_realm), **pkce_pair()[1])
    verifier, pkce = pkce_pair()
    back = standing_realm.authorize(browser, client_id=client_id, **parameters, **pkce, **PROMPT_NONE)
    code = {"code": back["code"], "code_verifier": verifier, "redirect_uri": REDIRECT}
    response = standing_realm.token(grant_type="authorization_code", client_id=client_id, **code)
    refresh = {"grant_type": "refresh_token", "client_id": client_id, "scope": f"openid {ALL}"}
    for got in (response, standing_realm.token(**refresh, refresh_token=response["refresh_token"])):
        token = claims(got["access_token"])
        assert ("aud" in token, "mcp:" in token["scope"], "mcp_roles" in token) == (False, False, False)
        assert {"email", "preferred_username", "name"} & set(token) == set()
        assert standing_realm.introspect(got["access_token"]) == {"active": False}


def test_a_refresh_grants_no_more_than_the_consent(standing_realm: Realm) -> None:
    """Not even if the client has extended its registration in the meantime with its registration access token."""
    client = registered(standing_realm)
    url, token = client.pop("registration_client_uri"), client.pop("registration_access_token")
    client.pop("status")
    response = standing_realm.log_in("admin", client["client_id"], scope="mcp:tools")
    changed = standing_realm.server.request("PUT", url, json={**client, "scope": ALL}, headers=bearer(token))
    assert set(changed.json()["scope"].split()) == set(ALL.split())
    form = {"grant_type": "refresh_token", "client_id": client["client_id"], "scope": ALL}
    refreshed = standing_realm.token(**form, refresh_token=response["refresh_token"])
    assert claims(refreshed["access_token"])["scope"] == "mcp:tools"


def test_a_client_cannot_use_what_another_client_got(standing_realm: Realm) -> None:
    thief = standing_realm.post_client("openid-connect", {**CONFIDENTIAL, "scope": "mcp:tools"})
    known = {"client_id": thief["client_id"], "client_secret": thief["client_secret"]}
    client_id = native(standing_realm)
    stolen = standing_realm.log_in("writer", client_id, scope="mcp:tools")

    def sends(endpoint: str, **form: str) -> tuple[int, Json]:
        url = f"{standing_realm.issuer}/protocol/openid-connect/{endpoint}"
        response = standing_realm.server.request("POST", url, data={**known, **form})
        return response.status_code, response.json()

    for token in (stolen["access_token"], stolen["refresh_token"]):
        assert sends("token/introspect", token=token) == (200, {"active": False})
        assert sends("revoke", token=token)[0] == 400
    assert sends("logout", refresh_token=stolen["refresh_token"])[0] == 400
    assert sends("token", grant_type="refresh_token", refresh_token=stolen["refresh_token"])[0] == 400
    assert standing_realm.introspect(stolen["access_token"])["active"] is True

    verifier, pkce = pkce_pair()
    code = standing_realm.authorize("writer", client_id=client_id, scope="mcp:tools", **pkce)["code"]
    status, response = sends(
        "token", grant_type="authorization_code", code=code, code_verifier=verifier, redirect_uri=REDIRECT
    )
    assert (status, response["error"]) == (400, "invalid_grant")


@pytest.mark.requirement("bootstrap.request_objects")
def test_a_request_that_one_client_pushed_is_no_other_s(standing_realm: Realm) -> None:
    mine, other = native(standing_realm), native(standing_realm)
    _, pkce = pkce_pair()
    form = {"client_id": mine, "response_type": "code", "redirect_uri": REDIRECT, "scope": "mcp:tools", **pkce}
    url = f"{standing_realm.issuer}/protocol/openid-connect/ext/par/request"
    reference = standing_realm.server.request("POST", url, data=form).json()["request_uri"]
    assert standing_realm.authorize("reader", client_id=other, request_uri=reference)["status"] == 400


@pytest.mark.parametrize("client_id", ["account-console", "account", "security-admin-console"])
def test_keycloaks_own_clients_without_consent_grant_no_managed_scope(standing_realm: Realm, client_id: str) -> None:
    server, realm = standing_realm.server.url, standing_realm.name
    page = (
        f"{server}/admin/{realm}/console/" if client_id.startswith("security") else f"{standing_realm.issuer}/account/"
    )
    _, pkce = pkce_pair()
    for scope in ALL.split():
        back = standing_realm.authorize("admin", client_id=client_id, redirect_uri=page, scope=scope, **pkce)
        assert back["error"] == "invalid_scope"
    (client,) = standing_realm.admin().get("clients", clientId=client_id)
    assert PUBLIC_URL not in str(client)


@pytest.mark.requirement("bootstrap.redirect_at_login")
def test_a_logout_goes_back_nowhere_else(standing_realm: Realm) -> None:
    url = f"{standing_realm.issuer}/protocol/openid-connect/logout"
    for client_id in (native(standing_realm), "mcp-native", "account"):
        query = {"client_id": client_id, "post_logout_redirect_uri": EVIL}
        response = standing_realm.server.request("GET", url, params=query)
        assert (response.status_code, "location" in response.headers) == (400, False)
