"""A manually configured realm: the weaknesses that check finds, and what an apply leaves unchanged."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

import httpx
import pytest
import yaml

from mcp_idp.cli.bootstrap.errors import ConfigError
from mcp_idp.cli.bootstrap.keycloak.state.managed import MANAGED_MARKER
from tests.support.keycloak.bootstrap_commands import check
from tests.support.keycloak.realm import REDIRECT, claims
from tests.support.keycloak.tutorial_realm import tutorial_realm, what_is_theirs

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.keycloak.realm import Keycloak, Realm

pytestmark = pytest.mark.containers


@pytest.mark.requirement("existing_realm.weaknesses")
def test_a_realm_made_by_the_guide_is_adopted_and_its_other_clients_stay(keycloak: Keycloak, tmp_path: Path) -> None:
    realm = tutorial_realm(keycloak, tmp_path, "test-by-the-guide")
    service_client = realm.post_client(
        "openid-connect", {"redirect_uris": [REDIRECT], "grant_types": ["client_credentials"], "scope": "mcp:tools"}
    )
    known = {
        "client_id": service_client["client_id"],
        "client_secret": service_client["client_secret"],
        "scope": "mcp:tools",
    }
    # The weakness exists: an unauthenticated client gets a token for our resource without a user.
    assert claims(realm.token(grant_type="client_credentials", **known)["access_token"])["aud"] == realm.public_url

    # S2, S4 and S5 are closed by the start options of this Keycloak.
    assert [weakness.id for weakness in check(realm).weaknesses] == ["S1", "S3", "S6", "S7", "S8", "S9"]
    before = what_is_theirs(realm.admin())
    realm.apply()
    assert what_is_theirs(realm.admin()) == before
    assert check(realm).clean
    assert realm.token(grant_type="client_credentials", **known)["status"] == 400
    assert realm.apply() == 0


@pytest.mark.requirement("existing_realm.registration_token")
def test_an_adopted_client_s_registration_token_reads_no_secret(keycloak: Keycloak, tmp_path: Path) -> None:
    realm = tutorial_realm(keycloak, tmp_path, "test-taken-over")
    admin = realm.admin()
    # At Keycloak's own registration endpoints a client chooses its id and attributes, and gets this token.
    admin.write("POST", ("clients",), {"clientId": realm.public_url, "attributes": dict(MANAGED_MARKER)})
    (client,) = admin.get("clients", clientId=realm.public_url)
    path = f"admin/realms/{realm.name}/clients/{client['id']}/registration-access-token"
    token = admin.connection.raw_post(path, data="").json()["registrationAccessToken"]
    url = f"{realm.issuer}/clients-registrations/openid-connect/{quote(realm.public_url, safe='')}"

    def read(token: str) -> httpx.Response:
        return httpx.get(url, headers={"Authorization": f"Bearer {token}"}, timeout=60)

    first = read(token).json()
    assert first["client_id"] == realm.public_url
    realm.apply()
    rejected = read(first["registration_access_token"])  # each use returns a new one
    assert rejected.status_code == 401
    assert realm.client_secret not in rejected.text
    assert check(realm).clean


def test_what_the_files_no_longer_name_is_removed_if_it_is_managed(realm: Realm) -> None:
    admin = realm.admin()
    client = {"name": "Known beforehand", "redirect_uris": [REDIRECT]}
    realm.write_access(clients={"first": client, "taken": client})
    realm.apply()
    assert any(line.startswith("- client mcp-native") for line in realm.message)
    # An administrator makes one of them unmanaged by removing the marker.
    (adopted,) = admin.get("clients", clientId="taken")
    admin.write("PUT", ("clients", adopted["id"]), {**adopted, "attributes": {**adopted["attributes"], "kept.by": ""}})
    # Other objects have similar names but are not managed.
    admin.write("POST", ("roles",), {"name": "mcp-auditor"})
    admin.write("POST", ("client-scopes",), {"name": "mcp:audit", "protocol": "openid-connect"})
    admin.write("POST", ("users",), {"username": "somebody", "email": "somebody@demo.example", "firstName": "Real"})

    source = yaml.safe_load((realm.folder / "access.yaml").read_text(encoding="utf-8"))
    scopes = {name: scope for name, scope in source["scopes"].items() if name != "mcp:admin"}
    for scope in scopes.values():
        scope["roles"] = [role for role in scope["roles"] if role != "mcp-admin"]
    users = {"reader": source["demo_users"]["reader"]}
    moved = "http://localhost:10/mcp"
    old, realm.public_url = realm.public_url, moved
    realm.write_access(clients={}, demo_users=users, scopes=scopes)
    realm.apply(moved_from=old)
    removed = {line.partition(": ")[0] for line in realm.message if line.startswith("- ")}
    assert removed == {
        "- client first",
        f"- client {old}",
        "- role mcp-admin",
        "- scope mcp:admin",
        "- user admin",
        "- user nobody",
        "- user writer",
    }
    assert realm.admin().find("roles", "mcp-auditor") is not None
    assert {"taken", moved} <= {client["clientId"] for client in admin.get("clients")}
    assert "mcp:audit" in {scope["name"] for scope in admin.get("client-scopes")}
    assert {user["username"] for user in admin.get("users")} == {"reader", "somebody"}
    assert realm.apply() == 0


@pytest.mark.requirement("existing_realm.weaknesses")
def test_a_role_that_all_users_have_by_a_composite_is_reported_and_left(realm: Realm) -> None:
    admin = realm.admin()
    admin.write("POST", ("roles",), {"name": "employee"})
    admin.write("POST", ("roles", "employee", "composites"), [admin.get("roles", "mcp-reader")])
    default_role = admin.get()["defaultRole"]["name"]
    admin.write("POST", ("roles", default_role, "composites"), [admin.get("roles", "employee")])
    with pytest.raises(ConfigError, match="every user has the role mcp-reader, through the role employee"):
        realm.apply()
    found = check(realm)
    assert (found.names, [weakness.id for weakness in found.weaknesses]) == ([], ["R1"])
    assert (
        f"every user has the role mcp-reader, through employee, which is in {default_role}" in found.weaknesses[0].text
    )
    admin.write("DELETE", ("roles", default_role, "composites"), [admin.get("roles", "employee")])
    assert check(realm).clean
