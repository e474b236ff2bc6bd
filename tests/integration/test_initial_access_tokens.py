"""The registration profile initial-access-token: registration requires a token, which relaxes no other rule."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from tests.support.keycloak.bootstrap_commands import check, command_line
from tests.support.keycloak.realm import REDIRECT, bootstrapped, claims

if TYPE_CHECKING:
    from tests.support.keycloak.realm import Keycloak, Realm

pytestmark = pytest.mark.containers

NATIVE = {"redirect_uris": [REDIRECT], "token_endpoint_auth_method": "none"}


@pytest.fixture(scope="module")
def by_initial_access_token(keycloak: Keycloak, tmp_path_factory: pytest.TempPathFactory) -> Realm:
    return bootstrapped(keycloak, tmp_path_factory.mktemp("invited"), registration={"profile": "initial-access-token"})


def _create_initial_access_token(realm: Realm, *words: str) -> str:
    code, out, error = command_line(realm, "token", *words)
    assert code == 0, error
    assert re.fullmatch(r"[\w-]+\.[\w-]+\.[\w-]+\n", out)  # nothing else is on standard output
    assert out.strip() not in error
    return out.strip()


@pytest.mark.requirement("initial_access_token.required")
def test_no_client_registers_without_an_initial_access_token(by_initial_access_token: Realm) -> None:
    assert check(by_initial_access_token).clean
    for uri in (REDIRECT, "https://vscode.dev/redirect"):
        assert by_initial_access_token.register(redirect_uris=[uri])["status"] == 403
    assert by_initial_access_token.post_client("openid-connect", NATIVE, "garbage")["status"] == 401


@pytest.mark.requirement("initial_access_token.uses")
def test_an_initial_access_token_registers_as_many_clients_as_it_says(by_initial_access_token: Realm) -> None:
    initial_access_token = _create_initial_access_token(by_initial_access_token, "--uses", "2", "--expires", "10m")
    vendor = {**NATIVE, "redirect_uris": ["https://vscode.dev/redirect"]}
    registered = by_initial_access_token.post_client("openid-connect", NATIVE, initial_access_token)
    assert by_initial_access_token.post_client("openid-connect", vendor, initial_access_token)["status"] == 201
    response = by_initial_access_token.log_in("reader", registered["client_id"], scope="mcp:tools")
    assert claims(response["access_token"])["aud"] == by_initial_access_token.public_url
    spent = by_initial_access_token.post_client("openid-connect", NATIVE, initial_access_token)
    assert (spent["status"], spent["error"]) == (401, "invalid_token")


@pytest.mark.parametrize(
    "metadata",
    [
        {"redirect_uris": ["https://evil.example/callback"]},
        {"redirect_uris": ["http://localhost/*"]},
        {"redirect_uris": [REDIRECT], "jwks_uri": "https://evil.example/keys"},
        {"redirect_uris": [REDIRECT], "logo_uri": "https://evil.example/logo"},
        {"redirect_uris": [REDIRECT], "client_uri": "https://evil.example/"},
        {"redirect_uris": [REDIRECT], "scope": "profile"},
    ],
)
def test_a_client_with_an_initial_access_token_follows_every_rule(
    by_initial_access_token: Realm, metadata: dict[str, object]
) -> None:
    initial_access_token = _create_initial_access_token(by_initial_access_token)
    rejected = by_initial_access_token.post_client("openid-connect", metadata, initial_access_token)
    assert rejected["status"] in {400, 403}, rejected


@pytest.mark.requirement("initial_access_token.required")
def test_no_initial_access_token_is_created_where_it_would_have_no_effect(by_initial_access_token: Realm) -> None:
    by_initial_access_token.write_access(registration={"profile": "closed"})
    code, out, error = command_line(by_initial_access_token, "token")
    assert (code, out) == (2, "")
    assert "closed does not allow registration, even with a token" in error
    by_initial_access_token.write_access(registration={"profile": "initial-access-token"})


def test_client_metadata_documents_are_rejected_with_a_message_where_keycloak_has_the_feature_off(
    by_initial_access_token: Realm,
) -> None:
    documents = {"profile": "cimd", "document_domains": ["claude.ai", "vscode.dev"]}
    by_initial_access_token.write_access(registration=documents)
    code, out, error = command_line(by_initial_access_token, "apply")
    assert (code, out) == (2, "")
    assert "KC_FEATURES=cimd" in error
    assert error.count("\n") == 1
    by_initial_access_token.write_access(registration={"profile": "initial-access-token"})
    assert check(by_initial_access_token).clean  # nothing was written
