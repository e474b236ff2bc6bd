"""Authorization requests in all forms: none bypasses a rule, and none redirects to an unregistered URI."""

from __future__ import annotations

from typing import TYPE_CHECKING

import jwt
import pytest

from tests.support.keycloak.anonymous_clients import EVIL, registered
from tests.support.keycloak.realm import REDIRECT, pkce_pair

if TYPE_CHECKING:
    import httpx

    from tests.support.keycloak.realm import Realm

pytestmark = pytest.mark.containers


def unsigned(realm: Realm, client_id: str, **members: str) -> str:
    """Returns an unsigned request object (RFC 9101 section 4)."""
    content = {"iss": client_id, "aud": realm.issuer, "client_id": client_id, "response_type": "code", "state": "st"}
    plain = {"redirect_uri": REDIRECT, "scope": "mcp:tools", **members}
    return jwt.encode({**content, **plain}, "", algorithm="none")


@pytest.mark.requirement("bootstrap.request_objects")
@pytest.mark.parametrize(
    "members",
    [
        {},  # without PKCE
        {"code_challenge": "x" * 43, "code_challenge_method": "plain"},
        {"redirect_uri": EVIL, "code_challenge": "x" * 43, "code_challenge_method": "S256"},
        {"response_type": "code token", "nonce": "n", "code_challenge": "x" * 43, "code_challenge_method": "S256"},
    ],
)
def test_a_request_object_bypasses_no_rule(standing_realm: Realm, members: dict[str, str]) -> None:
    client_id = registered(standing_realm)["client_id"]
    request = unsigned(standing_realm, client_id, **members)
    back = standing_realm.authorize("reader", client_id=client_id, scope="mcp:tools", request=request)
    assert {"code", "access_token"} & set(back) == set()
    assert "error" in back or back["status"] == 400


@pytest.mark.requirement("bootstrap.request_objects")
def test_a_request_by_reference_is_rejected_and_a_pushed_one_is_validated(standing_realm: Realm) -> None:
    client_id = registered(standing_realm)["client_id"]
    _, pkce = pkce_pair()
    by_reference = {"client_id": client_id, "scope": "mcp:tools", "request_uri": "http://127.0.0.1:8080/x", **pkce}
    assert standing_realm.authorize("reader", **by_reference)["status"] == 400

    def push(**members: str) -> httpx.Response:
        form = {"client_id": client_id, "response_type": "code", "redirect_uri": REDIRECT, "scope": "mcp:tools"}
        url = f"{standing_realm.issuer}/protocol/openid-connect/ext/par/request"
        return standing_realm.server.request("POST", url, data={**form, **members})

    assert push().json()["error_description"] == "Missing parameter: code_challenge_method"
    assert push(redirect_uri=EVIL, **pkce).status_code == 400
    pushed = push(**pkce)
    assert pushed.status_code == 201
    reference = {"client_id": client_id, "request_uri": pushed.json()["request_uri"]}
    assert "code" in standing_realm.authorize("reader", **reference)


@pytest.mark.requirement("bootstrap.redirect_at_login")
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
    for client_id in (registered(standing_realm)["client_id"], "mcp-native"):
        back = standing_realm.authorize("reader", client_id=client_id, scope="mcp:tools", redirect_uri=uri, **pkce)
        assert back["status"] == 400
        assert "Invalid parameter: redirect_uri" in back["page"]


def test_an_unknown_client_id_ends_at_a_page_that_says_what_to_do(standing_realm: Realm) -> None:
    _, pkce = pkce_pair()
    back = standing_realm.authorize("reader", client_id="of-another-realm", scope="mcp:tools", **pkce)
    assert back["status"] == 400
    assert "Client not found." in back["page"]
    assert "Remove Dynamic Authentication Providers" in back["page"]
