"""The registration profile initial-access-token: nobody registers uninvited, and an invitation loosens no rule."""

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
def by_invitation(keycloak: Keycloak, tmp_path_factory: pytest.TempPathFactory) -> Realm:
    return bootstrapped(keycloak, tmp_path_factory.mktemp("invited"), registration={"profile": "initial-access-token"})


def _invitation(realm: Realm, *words: str) -> str:
    code, out, error = command_line(realm, "token", *words)
    assert code == 0, error
    assert re.fullmatch(r"[\w-]+\.[\w-]+\.[\w-]+\n", out)  # nothing else is on standard output
    assert out.strip() not in error
    return out.strip()


@pytest.mark.requirement("invitations.needed")
def test_nobody_registers_without_an_invitation(by_invitation: Realm) -> None:
    assert check(by_invitation).clean
    for uri in (REDIRECT, "https://vscode.dev/redirect"):
        assert by_invitation.register(redirect_uris=[uri])["status"] == 403
    assert by_invitation.post_client("openid-connect", NATIVE, "garbage")["status"] == 401


@pytest.mark.requirement("invitations.good_for")
def test_an_invitation_is_good_for_as_many_clients_as_it_says(by_invitation: Realm) -> None:
    invitation = _invitation(by_invitation, "--uses", "2", "--expires", "10m")
    vendor = {**NATIVE, "redirect_uris": ["https://vscode.dev/redirect"]}
    invited = by_invitation.post_client("openid-connect", NATIVE, invitation)
    assert by_invitation.post_client("openid-connect", vendor, invitation)["status"] == 201
    answer = by_invitation.log_in("reader", invited["client_id"], scope="mcp:tools")
    assert claims(answer["access_token"])["aud"] == by_invitation.public_url
    spent = by_invitation.post_client("openid-connect", NATIVE, invitation)
    assert (spent["status"], spent["error"]) == (401, "invalid_token")


@pytest.mark.requirement("invitations.no_looser")
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
def test_an_invited_client_is_held_to_every_rule(by_invitation: Realm, metadata: dict[str, object]) -> None:
    invitation = _invitation(by_invitation)
    refused = by_invitation.post_client("openid-connect", metadata, invitation)
    assert refused["status"] in {400, 403}, refused


@pytest.mark.requirement("invitations.needed")
def test_no_invitation_is_made_where_it_would_be_good_for_nothing(by_invitation: Realm) -> None:
    by_invitation.write_access(registration={"profile": "closed"})
    code, out, error = command_line(by_invitation, "token")
    assert (code, out) == (2, "")
    assert "closed does not allow registration, even with a token" in error
    by_invitation.write_access(registration={"profile": "initial-access-token"})


@pytest.mark.requirement("invitations.documents")
def test_documents_are_refused_in_words_where_keycloak_has_the_feature_off(by_invitation: Realm) -> None:
    documents = {"profile": "cimd", "document_domains": ["claude.ai", "vscode.dev"]}
    by_invitation.write_access(registration=documents)
    code, out, error = command_line(by_invitation, "apply")
    assert (code, out) == (2, "")
    assert "KC_FEATURES=cimd" in error
    assert error.count("\n") == 1
    by_invitation.write_access(registration={"profile": "initial-access-token"})
    assert check(by_invitation).clean  # nothing was written
