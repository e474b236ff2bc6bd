"""The bootstrap against a real Keycloak: what it creates, and that it is idempotent."""

from __future__ import annotations

import re
import stat
from typing import TYPE_CHECKING

import pytest

from mcp_idp.cli.bootstrap.errors import ConfigError, VerificationError
from tests.support.keycloak.anonymous_clients import ALL, native
from tests.support.keycloak.realm import Realm, bootstrapped, claims
from tests.support.recording_proxy import recording

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.keycloak.realm import Keycloak

pytestmark = pytest.mark.containers

ALLOWED_REDIRECTS = (
    "· registration: allowed redirect hosts: 127.0.0.1, [::1], anysphere.cursor-mcp, chatgpt.com, claude.ai, "
    "claude.com, code.visualstudio.com, github.com, insiders.vscode.dev, localhost, vscode.dev, www.cursor.com"
)


def test_a_second_apply_writes_nothing_and_says_so(realm: Realm) -> None:
    assert re.search(
        r"^\d+ changes: 3 roles, 4 scopes, 2 clients, ", "\n".join(realm.message), re.MULTILINE
    )  # the first
    with recording(realm.server.url) as proxy:
        assert realm.apply(internal_url=f"{proxy.url}/realms/{realm.name}") == 0
    assert proxy.writes == []
    assert len(proxy.requests) > 10
    assert "no changes" in realm.message


def test_an_apply_fixes_manual_changes(realm: Realm) -> None:
    admin = realm.admin()
    scopes = {scope["name"]: scope for scope in admin.get("client-scopes")}
    base = scopes["mcp:tools"]
    roles = admin.get("client-scopes", base["id"], "scope-mappings", "realm")
    admin.write("DELETE", ("client-scopes", base["id"], "scope-mappings", "realm"), roles)
    audience = next(m for m in base["protocolMappers"] if m["protocolMapper"] == "oidc-audience-mapper")
    path = ("client-scopes", base["id"], "protocol-mappers", "models", audience["id"])
    admin.write(
        "PUT", path, {**audience, "config": {**audience["config"], "included.custom.audience": "https://other"}}
    )
    admin.write("PUT", (), {"accessTokenLifespan": 86400, "revokeRefreshToken": False})
    admin.write("PUT", ("client-policies", "policies"), {"policies": []})
    admin.write("PUT", ("default-default-client-scopes", scopes["profile"]["id"]), {})
    native = admin.get("clients", clientId="mcp-native")[0]
    admin.write("PUT", ("clients", native["id"]), {**native, "directAccessGrantsEnabled": True, "redirectUris": ["*"]})

    realm.apply()
    assert [line for line in realm.message if line[:2] in {"+ ", "~ ", "- ", "· "} or line == "8 changes"] == [
        "· registration: disabled during apply",
        "~ realm: set accessTokenLifespan, revokeRefreshToken",
        "~ client policies: set mcp-clients, mcp-registration, mcp-code-only, mcp-no-ciba",
        "~ mapper 'resource audience' of scope mcp:tools: correct",
        "~ scope mcp:tools: bind to mcp-admin, mcp-reader, mcp-writer",
        "~ realm: new clients no longer get profile (default)",
        "~ client mcp-native: set directAccessGrantsEnabled, redirectUris",
        ALLOWED_REDIRECTS,
        "8 changes",
    ]
    assert realm.apply() == 0, realm.message


def test_unmanaged_objects_stay_unchanged(realm: Realm, keycloak: Keycloak, tmp_path: Path) -> None:
    other = bootstrapped(keycloak, _folder(tmp_path, "other"))
    admin = realm.admin()
    admin.write("POST", ("clients",), {"clientId": "theirs", "redirectUris": ["https://theirs.example/*"]})
    admin.write("POST", ("roles",), {"name": "their-role"})
    admin.write("POST", ("users",), {"username": "somebody", "enabled": True})
    profiles = admin.get("client-policies", "profiles")["profiles"]
    theirs = {
        "name": "theirs",
        "description": "",
        "executors": [{"executor": "full-scope-disabled", "configuration": {}}],
    }
    admin.write("PUT", ("client-policies", "profiles"), {"profiles": [theirs, *profiles]})
    registered = native(realm)

    def everything() -> dict[str, object]:
        return {
            "clients": [admin.get("clients", clientId=name) for name in ("theirs", registered, "account", "admin-cli")],
            "role": admin.get("roles", "their-role"),
            "user": admin.get("users", username="somebody"),
            "profile": admin.get("client-policies", "profiles")["profiles"][0],
            "other realm": other.admin().get(),
        }

    before = everything()
    admin.write("PUT", (), {"accessTokenLifespan": 86400})
    realm.write_access(resource={"name": "Renamed"}, registration={"profile": "loopback-only"})
    assert realm.apply() > 0
    assert everything() == before


def test_a_resource_that_moved_gets_its_new_audience_everywhere(realm: Realm) -> None:
    moved = "http://localhost:3100/mcp"
    former, realm.public_url = realm.public_url, moved
    with pytest.raises(ConfigError, match=f"belongs to {former} in this realm: .* apply --moved-from {former}"):
        realm.apply()
    assert realm.apply(moved_from=former) > 0
    assert sum(line.startswith("~ mapper 'resource audience' of scope") for line in realm.message) == 4
    assert f"+ client {moved}: create" in realm.message
    token = claims(realm.log_in("admin", native(realm), scope=ALL)["access_token"])
    assert token["aud"] == moved
    assert realm.apply() == 0


def test_the_servers_secret_is_made_once_and_readable_by_its_user_only(realm: Realm) -> None:
    path = realm.folder / "client-secret"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    secret = realm.client_secret
    assert len(secret) >= 43  # 256 bit in base64
    realm.apply()
    assert realm.client_secret == secret
    path.unlink()
    assert realm.apply() > 0  # a new secret is generated and set in Keycloak
    assert realm.client_secret != secret
    response = realm.log_in("reader", native(realm), scope="mcp:tools")
    assert realm.introspect(response["access_token"])["active"] is True


def test_an_apply_fails_if_a_user_would_get_more_than_the_files_say(realm: Realm) -> None:
    admin = realm.admin()
    role = admin.get("roles", "mcp-admin")
    reader = admin.get("users", username="reader", exact="true")[0]
    # Through a group that the bootstrap does not manage or read.
    admin.write("POST", ("groups",), {"name": "elevated"})
    group = admin.get("groups")[0]
    admin.write("POST", ("groups", group["id"], "role-mappings", "realm"), [role])
    admin.write("PUT", ("users", reader["id"], "groups", group["id"]), {})
    with pytest.raises(VerificationError):
        realm.apply()
    failed = [line for line in realm.message if line.startswith("VERIFICATION FAILED")]
    assert len(failed) == 1
    assert "reader would get the scopes" in failed[0]


def _folder(parent: Path, name: str) -> Path:
    (parent / name).mkdir()
    return parent / name
