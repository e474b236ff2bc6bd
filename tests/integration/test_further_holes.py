"""Further ways in that strangers have at an open registration, tried on a Keycloak that the bootstrap configured.

Each test does what an attacker would: with a client of its own, and people who agree to everything they are asked.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import httpx
import jwt
import pytest

from tests.integration.keycloak import PUBLIC_URL, REDIRECT, claims, pkce_pair
from tests.integration.verbs import check

if TYPE_CHECKING:
    from tests.integration.keycloak import Json, Realm

pytestmark = pytest.mark.containers

EVIL = "https://evil.example/callback"
CONFIDENTIAL: dict[str, Any] = {"redirect_uris": [REDIRECT], "token_endpoint_auth_method": "client_secret_post"}
GRANTS = "urn:ietf:params:oauth:grant-type"


def native(realm: Realm, **metadata: Any) -> Json:
    client = realm.register(**{"redirect_uris": [REDIRECT], "scope": "mcp:tools", **metadata})
    assert client["status"] == 201, client
    return client


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


@pytest.mark.requirement("bootstrap.hybrid")
@pytest.mark.parametrize("response_type", ["code id_token", "code id_token token", "id_token", "none"])
def test_no_other_response_type_brings_anything(standing_realm: Realm, response_type: str) -> None:
    client = native(standing_realm, response_types=[response_type])
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
    refused = standing_realm.post_client("openid-connect", metadata)
    assert (refused["status"], refused["error_description"]) == (400, "Request not allowed")
    client = standing_realm.post_client("openid-connect", CONFIDENTIAL)
    known = {"client_id": client["client_id"], "client_secret": client["client_secret"]}
    asked = {**known, "scope": "openid mcp:tools", "login_hint": "reader"}
    begun = httpx.post(f"{standing_realm.issuer}/protocol/openid-connect/ext/ciba/auth", data=asked)
    assert begun.status_code in {400, 401}, begun.text
    assert "auth_req_id" not in begun.text


@pytest.mark.requirement("bootstrap.exchange")
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
    answer = standing_realm.token(grant_type=grant, **known, **subject, **extra)
    assert (answer["status"], answer["error_description"]) == (400, "Request not allowed")


@pytest.mark.requirement("bootstrap.exchange")
@pytest.mark.parametrize("grant", [f"{GRANTS}:uma-ticket", f"{GRANTS}:jwt-bearer", f"{GRANTS}:saml2-bearer"])
def test_no_other_grant_brings_a_token(standing_realm: Realm, grant: str) -> None:
    client = standing_realm.post_client("openid-connect", {**CONFIDENTIAL, "grant_types": [grant]})
    known = {"client_id": client["client_id"], "client_secret": client["client_secret"]}
    answer = standing_realm.token(grant_type=grant, **known, audience=PUBLIC_URL, assertion="x.y.z")
    assert answer["status"] in {400, 401}
    assert "access_token" not in answer


@pytest.mark.requirement("bootstrap.registration_token")
@pytest.mark.parametrize(
    "change",
    [
        {"redirect_uris": [EVIL]},
        {"redirect_uris": ["http://localhost/*"]},
        {"jwks_uri": EVIL},
        {"frontchannel_logout_uri": EVIL},
        {"post_logout_redirect_uris": [EVIL]},
        {"grant_types": ["urn:openid:params:grant-type:ciba"]},
        {"client_id": "mcp-native"},
    ],
)
def test_a_registration_token_does_not_get_round_the_rules(standing_realm: Realm, change: Json) -> None:
    client = native(standing_realm)
    url, token = client.pop("registration_client_uri"), client.pop("registration_access_token")
    status = client.pop("status")
    refused = httpx.put(url, json={**client, **change}, headers=bearer(token))
    assert status == 201
    assert refused.status_code >= 400, refused.text
    kept = httpx.get(url, headers=bearer(token)).json()
    assert (kept["redirect_uris"], kept["client_id"]) == ([REDIRECT], client["client_id"])


@pytest.mark.requirement("bootstrap.registration_token")
def test_what_keycloak_answered_a_registration_may_be_sent_back(standing_realm: Realm) -> None:
    client = native(standing_realm, client_name="before")
    url, token = client.pop("registration_client_uri"), client.pop("registration_access_token")
    client.pop("status")
    changed = httpx.put(url, json={**client, "client_name": "after"}, headers=bearer(token))
    assert (changed.status_code, changed.json()["client_name"]) == (200, "after")
    assert httpx.get(url, headers=bearer(token)).status_code == 401  # rotated
    assert httpx.delete(url, headers=bearer(changed.json()["registration_access_token"])).status_code == 204


@pytest.mark.requirement("bootstrap.registration_token")
@pytest.mark.parametrize("client_id", ["mcp-native", "account", "account-console", "admin-cli", PUBLIC_URL])
def test_nobody_reads_or_changes_a_client_that_is_not_theirs(standing_realm: Realm, client_id: str) -> None:
    mine = native(standing_realm)
    person = standing_realm.log_in("admin", mine["client_id"], scope="mcp:tools")["access_token"]
    url = f"{standing_realm.issuer}/clients-registrations/openid-connect/{quote(client_id, safe='')}"
    for token in (mine["registration_access_token"], person, ""):
        headers = bearer(token) if token else {}
        statuses = {httpx.request(method, url, headers=headers).status_code for method in ("GET", "DELETE")}
        assert statuses <= {401, 403}, (token[:0], statuses)
    assert standing_realm.admin().get("clients", clientId=client_id)


@pytest.mark.requirement("bootstrap.offline")
def test_an_offline_token_ends_by_itself_and_when_consent_is_withdrawn(standing_realm: Realm) -> None:
    client = native(standing_realm, scope="mcp:tools offline_access")
    plain = standing_realm.log_in("writer", client["client_id"], scope="mcp:tools")
    assert plain["refresh_expires_in"] <= 1800  # none without asking for it
    offline = standing_realm.log_in("writer", client["client_id"], scope="mcp:tools offline_access")
    assert 1800 < offline["refresh_expires_in"] <= 30 * 86400
    admin = standing_realm.admin()
    (user,) = admin.get("users", username="writer", exact="true")
    refresh = {"grant_type": "refresh_token", "client_id": client["client_id"]}
    again = standing_realm.token(**refresh, refresh_token=offline["refresh_token"])
    admin.write("DELETE", ("users", user["id"], "consents", client["client_id"]))
    assert standing_realm.token(**refresh, refresh_token=str(again["refresh_token"]))["status"] == 400


@pytest.mark.requirement("bootstrap.account")
def test_a_token_of_a_registered_client_opens_no_account(standing_realm: Realm) -> None:
    client = native(standing_realm)
    token = standing_realm.log_in("reader", client["client_id"], scope="mcp:tools")["access_token"]
    server, realm = standing_realm.server.url, standing_realm.name
    urls = [f"{standing_realm.issuer}/account/{part}" for part in ("", "sessions", "applications", "credentials")]
    urls += [f"{server}/admin/realms/{realm}", f"{server}/admin/realms/{realm}/users"]
    urls.append(f"{standing_realm.issuer}/protocol/openid-connect/userinfo")  # the scope openid was not granted
    headers = {**bearer(token), "Accept": "application/json"}
    assert {httpx.get(url, headers=headers).status_code for url in urls} <= {401, 403}
    for scope in ("roles", "profile", "email", "account"):
        refused = standing_realm.log_in("reader", client["client_id"], scope=f"mcp:tools {scope}")
        assert refused["error"] == "invalid_scope", scope


def unsigned(realm: Realm, client_id: str, **members: str) -> str:
    """A request object that nobody signed (RFC 9101 section 4)."""
    content = {"iss": client_id, "aud": realm.issuer, "client_id": client_id, "response_type": "code", "state": "st"}
    plain = {"redirect_uri": REDIRECT, "scope": "mcp:tools", **members}
    return jwt.encode({**content, **plain}, "", algorithm="none")


@pytest.mark.requirement("bootstrap.requests")
@pytest.mark.parametrize(
    "members",
    [
        {},  # without PKCE
        {"code_challenge": "x" * 43, "code_challenge_method": "plain"},
        {"redirect_uri": EVIL, "code_challenge": "x" * 43, "code_challenge_method": "S256"},
        {"response_type": "code token", "nonce": "n", "code_challenge": "x" * 43, "code_challenge_method": "S256"},
    ],
)
def test_a_request_object_gets_round_no_rule(standing_realm: Realm, members: dict[str, str]) -> None:
    client_id = native(standing_realm)["client_id"]
    request = unsigned(standing_realm, client_id, **members)
    back = standing_realm.authorize("reader", client_id=client_id, scope="mcp:tools", request=request)
    assert {"code", "access_token"} & set(back) == set()
    assert "error" in back or back["status"] == 400


@pytest.mark.requirement("bootstrap.requests")
def test_a_request_by_reference_is_refused_and_a_pushed_one_is_judged(standing_realm: Realm) -> None:
    client_id = native(standing_realm)["client_id"]
    _, pkce = pkce_pair()
    by_reference = {"client_id": client_id, "scope": "mcp:tools", "request_uri": "http://127.0.0.1:8080/x", **pkce}
    assert standing_realm.authorize("reader", **by_reference)["status"] == 400

    def push(**members: str) -> httpx.Response:
        form = {"client_id": client_id, "response_type": "code", "redirect_uri": REDIRECT, "scope": "mcp:tools"}
        url = f"{standing_realm.issuer}/protocol/openid-connect/ext/par/request"
        return httpx.post(url, data={**form, **members})

    assert push().json()["error_description"] == "Missing parameter: code_challenge_method"
    assert push(redirect_uri=EVIL, **pkce).status_code == 400
    pushed = push(**pkce)
    assert pushed.status_code == 201
    reference = {"client_id": client_id, "request_uri": pushed.json()["request_uri"]}
    assert "code" in standing_realm.authorize("reader", **reference)


@pytest.mark.requirement("bootstrap.redirect_at_use")
@pytest.mark.parametrize(
    "uri",
    [
        "http://127.0.0.1:33333/callback/../evil",
        "http://127.0.0.1:33333/callback%2f..%2fevil",
        "http://127.0.0.1:33333/callback?x=1",
        "http://127.0.0.1:33333/callback#x",
        "http://127.0.0.1.evil.example:33333/callback",
        "http://127.0.0.1:33333@evil.example/callback",
        "http://127.0.0.1:33333\\@evil.example/callback",
        "//127.0.0.1:33333/callback",
        "http://2130706433:33333/callback",
        "https://127.0.0.1:33333/callback",
        "javascript:alert(1)",
        EVIL,
    ],
)
def test_a_login_goes_back_nowhere_else(standing_realm: Realm, uri: str) -> None:
    _, pkce = pkce_pair()
    for client_id in (native(standing_realm)["client_id"], "mcp-native"):
        back = standing_realm.authorize("reader", client_id=client_id, scope="mcp:tools", redirect_uri=uri, **pkce)
        assert back["status"] == 400
        assert "Invalid parameter: redirect_uri" in back["page"]


@pytest.mark.requirement("bootstrap.unknown_client")
def test_an_unknown_client_id_ends_at_a_page_that_says_what_to_do(standing_realm: Realm) -> None:
    _, pkce = pkce_pair()
    back = standing_realm.authorize("reader", client_id="of-another-realm", scope="mcp:tools", **pkce)
    assert back["status"] == 400
    assert "Client not found." in back["page"]
    assert "Remove Dynamic Authentication Providers" in back["page"]


@pytest.mark.requirement("bootstrap.pairwise")
def test_a_person_is_one_subject_whatever_a_client_asks_for(standing_realm: Realm) -> None:
    subjects = set()
    for kind in ("public", "pairwise"):
        client = standing_realm.register(redirect_uris=[REDIRECT], scope="mcp:tools", subject_type=kind)
        if client["status"] == 201:
            answer = standing_realm.log_in("reader", client["client_id"], scope="mcp:tools")
            subjects.add(claims(answer["access_token"])["sub"])
    assert len(subjects) == 1


@pytest.mark.requirement("bootstrap.messages")
def test_a_text_of_a_page_is_mended_and_removed_and_others_stay(realm: Realm) -> None:
    admin = realm.admin()
    admin.write("POST", ("localization", "en"), {"oauthGrantTitle": "{0} by Keycloak", "doLogIn": "Theirs"})
    admin.write("POST", ("localization", "de"), {"doLogIn": "Ihres"})
    found = check(realm)
    assert found.names == ["messages en.oauthGrantTitle"]
    realm.apply()
    assert "calls itself" in admin.get("localization", "en")["oauthGrantTitle"]
    file = realm.folder / "keycloak" / "realm.yaml"
    text = file.read_text(encoding="utf-8")
    file.write_text(text.replace("    clientNotFoundMessage:", "    ourOwnMessage:"), encoding="utf-8")
    realm.apply()
    assert "- messages en: remove clientNotFoundMessage, the file no longer has it" in realm.said
    assert set(admin.get("localization", "en")) == {"oauthGrantTitle", "ourOwnMessage", "doLogIn"}
    assert admin.get("localization", "de") == {"doLogIn": "Ihres"}
    assert realm.apply() == 0


@pytest.mark.requirement("bootstrap.keys")
def test_an_algorithm_without_an_active_key_gets_one_and_rotated_keys_stay(realm: Realm) -> None:
    admin = realm.admin()
    assert {"RS256", "ES256"} <= set(admin.get("keys")["active"])
    body = {
        "name": "rotated in",
        "providerId": "ecdsa-generated",
        "providerType": "org.keycloak.keys.KeyProvider",
        "config": {"priority": ["200"], "ecdsaEllipticCurveKey": ["P-256"]},
    }
    admin.write("POST", ("components",), body)
    rotated = admin.get("keys")["active"]["ES256"]
    assert realm.apply() == 0
    for component in admin.get("components", type="org.keycloak.keys.KeyProvider"):
        if component["providerId"] == "ecdsa-generated":
            changed = {**component, "config": {**component["config"], "active": ["false"]}}
            admin.write("PUT", ("components", component["id"]), changed)
    assert check(realm).names == ["key ES256"]
    realm.apply()
    keys = admin.get("keys")
    assert keys["active"]["ES256"] not in {rotated, None}
    assert rotated in {key["kid"] for key in keys["keys"]}  # tokens under it can still be checked
