"""Known weaknesses of the usual setup, tested on a bootstrapped Keycloak: each attack in the form that once worked.

S1 to S9 were all reproduced on Keycloak 26.7.5 with open registration as in tutorials.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx
import pytest

from mcp_idp.cli.bootstrap.keycloak.probe import payloads
from mcp_idp.cli.bootstrap.keycloak.realm_verification import NATIVE_REGISTRATION_ENDPOINTS
from tests.support.keycloak.realm import claims, is_valid_for, pkce_pair

if TYPE_CHECKING:
    from tests.support.keycloak.realm import Realm

pytestmark = pytest.mark.containers

NATIVE = payloads.native()


@pytest.mark.requirement("weaknesses.s1")
def test_a_client_that_registered_itself_gets_no_token_by_itself(standing_realm: Realm) -> None:
    client = standing_realm.post_client("openid-connect", {**payloads.SERVICE_CLIENT, "scope": "mcp:tools"})
    assert client["status"] == 201  # rejected at its use, below
    response = standing_realm.token(
        grant_type="client_credentials",
        client_id=client["client_id"],
        client_secret=client["client_secret"],
        scope="mcp:tools",
    )
    assert response["status"] == 400
    assert "access_token" not in response


@pytest.mark.requirement("weaknesses.s1")
def test_without_the_grant_rule_such_a_token_has_neither_scope_nor_audience(realm: Realm) -> None:
    admin = realm.admin()
    policies = admin.get("client-policies", "policies")["policies"]
    stored = [policy for policy in policies if policy["name"] != "mcp-code-only"]
    admin.write("PUT", ("client-policies", "policies"), {"policies": stored})
    client = realm.post_client("openid-connect", {**payloads.SERVICE_CLIENT, "scope": "mcp:tools"})
    response = realm.token(
        grant_type="client_credentials",
        client_id=client["client_id"],
        client_secret=client["client_secret"],
        scope="mcp:tools",
    )
    token = claims(response["access_token"])
    assert "aud" not in token
    assert "mcp:tools" not in token["scope"]
    assert realm.introspect(response["access_token"]) == {"active": False}


@pytest.mark.requirement("weaknesses.s2")
@pytest.mark.parametrize("endpoint", NATIVE_REGISTRATION_ENDPOINTS)
def test_no_endpoint_accepts_a_client_in_keycloaks_own_format(standing_realm: Realm, endpoint: str) -> None:
    response = standing_realm.post_client(endpoint, payloads.client_representation("chosen"))
    assert (response["status"], response["error"]) == (404, "Client registration provider not found")
    assert standing_realm.admin().get("clients", clientId="chosen") == []


@pytest.mark.requirement("weaknesses.s3")
def test_no_client_forges_another_user_s_subject(standing_realm: Realm) -> None:
    native = payloads.client_representation("forger", protocolMappers=[payloads.SUB_FORGING_MAPPER])
    assert standing_realm.post_client("default", native)["status"] == 404
    assert standing_realm.register(**NATIVE, protocolMappers=[payloads.SUB_FORGING_MAPPER])["status"] == 400
    # Even if the endpoint were open, the policy would reject mappers from any client.
    admin = standing_realm.admin()
    policies = [p for p in admin.get("components") if p["providerId"] == "allowed-protocol-mappers"]
    assert {policy["subType"] for policy in policies} == {"anonymous", "authenticated"}
    assert [policy["config"].get("allowed-protocol-mapper-types", []) for policy in policies] == [[], []]


@pytest.mark.requirement("weaknesses.s4")
def test_no_client_gets_a_token_of_ten_years(standing_realm: Realm) -> None:
    native = payloads.client_representation("eternal", attributes=payloads.TEN_YEAR_LIFETIME)
    assert standing_realm.post_client("default", native)["status"] == 404
    assert standing_realm.register(**NATIVE, attributes=payloads.TEN_YEAR_LIFETIME)["status"] == 400
    client = standing_realm.register(**NATIVE, scope="mcp:tools offline_access")
    response = standing_realm.log_in("reader", client["client_id"], scope="mcp:tools offline_access")
    token = claims(response["access_token"])
    assert is_valid_for(token, 300)


@pytest.mark.requirement("weaknesses.s5")
def test_no_client_gets_access_tokens_signed_with_a_shared_secret(standing_realm: Realm) -> None:
    native = payloads.client_representation("signer", attributes=payloads.SHARED_SECRET)
    assert standing_realm.post_client("default", native)["status"] == 404
    assert standing_realm.register(**NATIVE, access_token_signed_response_alg="HS256")["status"] == 400


@pytest.mark.requirement("weaknesses.s6")
@pytest.mark.parametrize("uri", payloads.RELATIVE_REDIRECTS)
def test_a_relative_redirect_is_rejected(standing_realm: Realm, uri: str) -> None:
    rejected = standing_realm.register(redirect_uris=[uri])
    assert rejected["status"] in {400, 403}, rejected


@pytest.mark.requirement("weaknesses.s7")
@pytest.mark.parametrize("member", payloads.URL_MEMBERS)
def test_no_external_address_is_shown_or_fetched(standing_realm: Realm, member: str) -> None:
    rejected = standing_realm.register(**payloads.with_third_party_url(member))
    # 403: rejected by a rule. 400 would mean that Keycloak tried to fetch it first.
    assert rejected["status"] == 403, rejected


@pytest.mark.requirement("weaknesses.s8")
def test_a_name_full_of_markup_is_shown_as_text(standing_realm: Realm) -> None:
    native = payloads.client_representation("spoofer", name=payloads.SPOOFED_NAME)
    assert standing_realm.post_client("default", native)["status"] == 404
    client = standing_realm.register(**NATIVE, client_name="<b id='spoof'>Account</b>")
    page = standing_realm.consent_page("reader", client["client_id"], scope="mcp:tools")
    assert "<b id='spoof'>" not in page
    assert "&lt;b id=" in page


@pytest.mark.requirement("weaknesses.s8")
@pytest.mark.parametrize(
    ("name", "displayed"),
    [
        (
            "${client_account}",
            "Account",
        ),  # replaced by a Keycloak client's name, at any endpoint
        ("Account\u202enosrep yb", "Account\u202enosrep yb"),
        ("Visual Studio Code", "Visual Studio Code"),
    ],
)
def test_the_consent_page_says_that_a_name_is_unverified(standing_realm: Realm, name: str, displayed: str) -> None:
    client = standing_realm.register(**NATIVE, client_name=name, scope="mcp:tools")
    page = standing_realm.consent_page("reader", client["client_id"], scope="mcp:tools")
    # Isolated (Unicode Annex 9): characters that change the text direction have no effect after the name.
    assert f"A program that calls itself “\u2068{displayed}\u2069” asks for access. This name is unverified" in page


@pytest.mark.requirement("weaknesses.s9")
def test_a_password_returns_no_token(standing_realm: Realm) -> None:
    client = standing_realm.register(**NATIVE, grant_types=["password", "authorization_code"])
    for client_id in (client["client_id"], "admin-cli", "mcp-native"):
        response = standing_realm.token(
            grant_type="password", client_id=client_id, username="reader", password="reader", scope="mcp:tools"
        )
        assert response["status"] == 400
        assert "access_token" not in response


@pytest.mark.requirement("weaknesses.s9")
@pytest.mark.parametrize("response_type", payloads.IMPLICIT_TYPES)
def test_the_implicit_flow_returns_no_token(standing_realm: Realm, response_type: str) -> None:
    client = standing_realm.register(**NATIVE, grant_types=["implicit"], response_types=[response_type])
    client_id = client.get("client_id", "mcp-native")
    back = standing_realm.authorize(
        "reader",
        client_id=client_id,
        response_type=response_type,
        scope="openid mcp:tools",
        nonce="n",
        code_challenge="x" * 43,
        code_challenge_method="S256",
    )
    assert "access_token" not in back
    assert "code" not in back
    assert "error" in back


@pytest.mark.requirement("weaknesses.s9")
def test_a_device_code_returns_no_token(standing_realm: Realm) -> None:
    grant = "urn:ietf:params:oauth:grant-type:device_code"
    client = standing_realm.register(**NATIVE, grant_types=[grant, "authorization_code"])
    verifier, pkce = pkce_pair()
    form = {"client_id": client["client_id"], "scope": "mcp:tools", **pkce}
    begun = httpx.post(f"{standing_realm.issuer}/protocol/openid-connect/auth/device", data=form).json()
    page = standing_realm.visit("reader", begun["verification_uri_complete"])  # the user is tricked into consenting
    response = standing_realm.token(
        grant_type=grant, client_id=client["client_id"], device_code=begun["device_code"], code_verifier=verifier
    )
    assert "Device Login Successful" in page["page"]
    # Rejected by the rule, not for another error in the request.
    assert (response["status"], response["error_description"]) == (400, "Request not allowed")
