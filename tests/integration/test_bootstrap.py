"""The bootstrap against a real Keycloak: what it makes, and that it makes it once."""

from __future__ import annotations

import stat
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from scripts.bootstrap.failures import AdminRefused, NotProven, ProviderUnreachable
from tests.integration.keycloak import PUBLIC_URL, REDIRECT, Realm, bootstrapped, claims
from tests.integration.recording_proxy import recording
from tests.integration.verbs import command_line

if TYPE_CHECKING:
    from pathlib import Path

    from tests.integration.keycloak import Json, Keycloak

pytestmark = pytest.mark.containers

ALL = "mcp:tools mcp:notes.read mcp:notes.write mcp:admin"
NATIVE: dict[str, Any] = {
    "redirect_uris": [REDIRECT],
    "grant_types": ["authorization_code", "refresh_token"],
    "response_types": ["code"],
    "token_endpoint_auth_method": "none",
}
LET_IN = (
    "· registration: let in 127.0.0.1, [::1], anysphere.cursor-mcp, chatgpt.com, claude.ai, claude.com, "
    "code.visualstudio.com, github.com, insiders.vscode.dev, localhost, vscode.dev, www.cursor.com"
)
# What known clients send when they register.
PERSONAS: dict[str, dict[str, Any]] = {
    "VS Code": {
        "client_name": "Visual Studio Code",
        "client_uri": "https://code.visualstudio.com",
        "grant_types": ["authorization_code", "refresh_token", "urn:ietf:params:oauth:grant-type:device_code"],
        "response_types": ["code"],
        "redirect_uris": [
            "https://insiders.vscode.dev/redirect",
            "https://vscode.dev/redirect",
            "http://127.0.0.1/",
            "http://127.0.0.1:33418/",
        ],
        "scope": "mcp:tools mcp:notes.read mcp:notes.write",
        "application_type": "native",
    },
    "Claude Code": {**NATIVE, "client_name": "Claude Code", "redirect_uris": ["http://localhost:54212/callback"]},
    "claude.ai": {
        **NATIVE,
        "client_name": "Claude",
        "redirect_uris": ["https://claude.ai/api/mcp/auth_callback"],
        "token_endpoint_auth_method": "client_secret_post",
    },
    "MCP Inspector": {
        **NATIVE,
        "client_name": "MCP Inspector",
        "client_uri": "https://github.com/modelcontextprotocol/inspector",
        "redirect_uris": ["http://localhost:6274/oauth/callback", "http://localhost:6274/oauth/callback/debug"],
        "scope": "mcp:tools mcp:notes.read mcp:notes.write",
    },
    "Cursor": {**NATIVE, "client_name": "Cursor", "redirect_uris": ["cursor://anysphere.cursor-mcp/oauth/callback"]},
    "Codex": {**NATIVE, "client_name": "Codex", "redirect_uris": ["http://127.0.0.1:41235/callback/x1Y2"]},
    "OpenCode": {**NATIVE, "redirect_uris": ["http://127.0.0.1:19876/mcp/oauth/callback"]},
    "IPv6 loopback": {**NATIVE, "redirect_uris": ["http://[::1]:33333/callback"]},
    "asks for openid and offline_access": {**NATIVE, "scope": "openid mcp:tools offline_access"},
}
EVIL = [
    "https://evil.example/callback",
    "http://localhost.evil.example/callback",
    "http://localhost@evil.example/callback",
    "http://evil.example#@localhost/",
    "http://evil.example\\@localhost/",
    "http://localhost/*",
    "http://localhost*",
    "http://localhost:*/callback",
    "*",
    "https://*",
    "https://localhost/callback",
    "https://vscode.dev/redirect/../evil",
    "https://vscode.dev/redirectx",
    "https://vscodeXdev/redirect",
    "https://claude.ai.evil.example/api/mcp/auth_callback",
    "cursor://evil/oauth/callback",
    "com.example.app:/callback",
    "javascript:alert(1)",
    "data:text/html,x",
]


def _native(realm: Realm, scope: str = ALL) -> str:
    registered = realm.register(**NATIVE, scope=scope)
    assert registered["status"] == 201, registered
    client_id: str = registered["client_id"]
    return client_id


@pytest.mark.requirement("bootstrap.idempotent")
def test_a_second_apply_writes_nothing_and_says_so(realm: Realm) -> None:
    assert "~ realm: enable" in realm.said  # the first apply, by the fixture
    with recording(realm.server.url) as proxy:
        assert realm.apply(internal_url=f"{proxy.url}/realms/{realm.name}") == 0
    assert proxy.writes == []
    assert len(proxy.requests) > 10
    assert "no changes" in realm.said


@pytest.mark.requirement("bootstrap.heals")
def test_an_apply_puts_right_what_somebody_changed(realm: Realm) -> None:
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
    assert [line for line in realm.said if line[:2] in {"+ ", "~ ", "- ", "· "} or line == "8 changes"] == [
        "· registration: shut while changing",
        "~ realm: set accessTokenLifespan, revokeRefreshToken",
        "~ client policies: set mcp-clients, mcp-registration, mcp-code-only, mcp-no-ciba",
        "~ mapper 'resource audience' of scope mcp:tools: correct",
        "~ scope mcp:tools: bind to mcp-admin, mcp-reader, mcp-writer",
        "~ realm: new clients no longer get profile (default)",
        "~ client mcp-native: set directAccessGrantsEnabled, redirectUris",
        LET_IN,
        "8 changes",
    ]
    assert realm.apply() == 0, realm.said


@pytest.mark.requirement("bootstrap.ownership")
def test_what_others_made_stays_as_it_is(realm: Realm, keycloak: Keycloak, tmp_path: Path) -> None:
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
    registered = _native(realm)

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


@pytest.mark.requirement("bootstrap.order")
def test_nobody_can_register_while_a_realm_is_being_made(keycloak: Keycloak, tmp_path: Path) -> None:
    realm = Realm(keycloak, tmp_path, "test-in-the-making")
    realm.write_access()
    answers: list[int] = []
    with recording(keycloak.url) as proxy:
        proxy.before_write = lambda _method, _path: answers.append(_try_to_register(realm))
        changes = realm.apply(internal_url=f"{proxy.url}/realms/{realm.name}")
    # Before each change, and before the trial registration's three requests.
    assert len(answers) == changes + 3
    assert 201 not in answers[:changes]
    assert answers[changes:] == [201, 201, 201]


@pytest.mark.requirement("bootstrap.order")
def test_nobody_can_register_while_the_rules_of_a_realm_change(realm: Realm) -> None:
    realm.write_access(resource={"name": "Renamed"}, registration={"max_clients": 500, "profile": "loopback-only"})
    answers: list[int] = []
    with recording(realm.server.url) as proxy:
        proxy.before_write = lambda _method, _path: answers.append(_try_to_register(realm))
        changes = realm.apply(internal_url=f"{proxy.url}/realms/{realm.name}")
    assert changes >= 5
    assert answers[0] == 201  # before the first write: as open as it was
    assert set(answers[1:changes]) == {403}
    assert answers[changes] == 201


def _try_to_register(realm: Realm) -> int:
    url = f"{realm.issuer}/clients-registrations/openid-connect"
    return httpx.post(url, json=NATIVE).status_code


@pytest.mark.requirement("bootstrap.scopes_by_role", "bootstrap.roles_claim")
@pytest.mark.parametrize(
    ("user", "scopes"),
    [
        ("reader", "mcp:tools mcp:notes.read"),
        ("writer", "mcp:tools mcp:notes.read mcp:notes.write"),
        ("admin", ALL),
    ],
)
def test_a_login_brings_the_scopes_of_the_roles_and_the_audience(standing_realm: Realm, user: str, scopes: str) -> None:
    answer = standing_realm.log_in(user, _native(standing_realm), scope=ALL)
    token = claims(answer["access_token"])
    assert token["iss"] == standing_realm.issuer
    assert token["aud"] == PUBLIC_URL
    assert set(token["scope"].split()) == set(scopes.split())
    assert token["mcp_roles"] == [f"mcp-{user}"]
    assert token["typ"] == "Bearer"
    assert token["exp"] - token["iat"] == 300


@pytest.mark.requirement("bootstrap.scopes_by_role")
def test_a_client_that_names_no_scope_when_it_registers_may_ask_for_all_later(standing_realm: Realm) -> None:
    client = standing_realm.register(**NATIVE)
    token = claims(standing_realm.log_in("admin", client["client_id"], scope="mcp:tools mcp:admin")["access_token"])
    assert set(token["scope"].split()) == {"mcp:tools", "mcp:admin"}


@pytest.mark.requirement("bootstrap.roles_claim")
def test_asking_for_offline_access_adds_its_own_role_to_the_claim(standing_realm: Realm) -> None:
    # Keycloak binds the scope to a realm role of that name. It is in no rule of ours: docs/decisions has the why.
    client_id = _native(standing_realm, "mcp:tools offline_access")
    token = claims(standing_realm.log_in("reader", client_id, scope="mcp:tools offline_access")["access_token"])
    assert set(token["mcp_roles"]) == {"mcp-reader", "offline_access"}


@pytest.mark.requirement("bootstrap.heals", "bootstrap.idempotent")
def test_a_resource_that_moved_gets_its_new_audience_everywhere(realm: Realm) -> None:
    moved = "http://localhost:3100/mcp"
    realm.public_url = moved
    assert realm.apply() > 0
    assert sum(line.startswith("~ mapper 'resource audience' of scope") for line in realm.said) == 4
    assert f"+ client {moved}: create" in realm.said
    token = claims(realm.log_in("admin", _native(realm), scope=ALL)["access_token"])
    assert token["aud"] == moved
    assert realm.apply() == 0


@pytest.mark.requirement("bootstrap.order")
def test_nobody_logs_in_at_a_realm_that_is_not_finished(realm: Realm) -> None:
    realm.admin().write("PUT", (), {"enabled": False})
    back = realm.authorize("reader", client_id="mcp-native", redirect_uri="http://127.0.0.1:5555/callback")
    assert "code" not in back
    assert realm.apply() > 0
    answer = realm.log_in("reader", "mcp-native", scope="mcp:tools", redirect_uri="http://127.0.0.1:5555/callback")
    assert answer["status"] == 200


@pytest.mark.requirement("bootstrap.nobody")
def test_a_person_without_a_role_gets_neither_scope_nor_audience(standing_realm: Realm) -> None:
    answer = standing_realm.log_in("nobody", _native(standing_realm), scope=ALL)
    token = claims(answer["access_token"])
    assert "aud" not in token
    assert token["scope"] == ""
    assert "mcp_roles" not in token


@pytest.mark.requirement("bootstrap.advertised")
def test_the_provider_advertises_our_scopes_and_no_others(standing_realm: Realm) -> None:
    url = f"{standing_realm.server.url}/.well-known/oauth-authorization-server/realms/{standing_realm.name}"
    metadata = httpx.get(url).json()
    assert metadata["issuer"] == standing_realm.issuer
    assert set(metadata["scopes_supported"]) == {"openid", *ALL.split()}
    assert "S256" in metadata["code_challenge_methods_supported"]


@pytest.mark.requirement("bootstrap.introspection")
def test_the_server_is_told_that_a_token_is_active_and_when_it_no_longer_is(standing_realm: Realm) -> None:
    client_id = _native(standing_realm)
    answer = standing_realm.log_in("reader", client_id, scope="mcp:tools")
    told = standing_realm.introspect(answer["access_token"])
    assert (told["active"], told["aud"], told["username"]) == (True, PUBLIC_URL, "reader")
    url = f"{standing_realm.issuer}/protocol/openid-connect/revoke"
    httpx.post(url, data={"token": answer["refresh_token"], "client_id": client_id}).raise_for_status()
    assert standing_realm.introspect(answer["access_token"]) == {"active": False}


@pytest.mark.requirement("bootstrap.introspection")
@pytest.mark.parametrize("grant", ["client_credentials", "password"])
def test_the_servers_own_client_gets_no_token(standing_realm: Realm, grant: str) -> None:
    secret = standing_realm.client_secret
    answer = standing_realm.token(
        grant_type=grant, client_id=PUBLIC_URL, client_secret=secret, username="reader", password="reader"
    )
    assert answer["status"] in {400, 401}
    assert "access_token" not in answer


@pytest.mark.requirement("bootstrap.rotation")
def test_a_refresh_token_works_once_more_and_then_ends_the_session(standing_realm: Realm) -> None:
    client_id = _native(standing_realm)
    first = standing_realm.log_in("reader", client_id, scope="mcp:tools")

    def refresh(token: str) -> Json:
        return standing_realm.token(grant_type="refresh_token", refresh_token=token, client_id=client_id)

    refreshed = [refresh(first["refresh_token"]) for _ in range(2)]
    assert [answer["status"] for answer in refreshed] == [200, 200]
    assert refresh(first["refresh_token"])["error"] == "invalid_grant"
    assert [refresh(answer["refresh_token"])["error"] for answer in refreshed] == ["invalid_grant"] * 2


@pytest.mark.requirement("bootstrap.pkce")
@pytest.mark.parametrize("pkce", [{}, {"code_challenge": "x" * 43, "code_challenge_method": "plain"}])
def test_no_code_without_pkce_or_with_plain(standing_realm: Realm, pkce: dict[str, str]) -> None:
    for client_id in (_native(standing_realm), "mcp-native"):
        redirect = REDIRECT if client_id != "mcp-native" else "http://127.0.0.1:5555/callback"
        back = standing_realm.authorize("reader", client_id=client_id, scope="mcp:tools", redirect_uri=redirect, **pkce)
        assert "code" not in back
        assert back["error"] == "invalid_request"


@pytest.mark.requirement("bootstrap.personas")
@pytest.mark.parametrize("persona", PERSONAS)
def test_known_clients_can_register_as_they_really_do(standing_realm: Realm, persona: str) -> None:
    registered = standing_realm.register(**PERSONAS[persona])
    assert registered["status"] == 201, registered


@pytest.mark.requirement("bootstrap.redirects")
@pytest.mark.parametrize("uri", EVIL)
def test_a_redirect_to_anywhere_else_is_refused(standing_realm: Realm, uri: str) -> None:
    for uris in ([uri], [REDIRECT, uri]):
        refused = standing_realm.register(**{**NATIVE, "redirect_uris": uris})
        assert refused["status"] in {400, 403}, refused


@pytest.mark.requirement("bootstrap.redirects")
def test_a_registered_client_cannot_move_its_redirect_elsewhere(standing_realm: Realm) -> None:
    registered = standing_realm.register(**NATIVE)
    changed = httpx.put(
        f"{standing_realm.issuer}/clients-registrations/openid-connect/{registered['client_id']}",
        json={**NATIVE, "client_id": registered["client_id"], "redirect_uris": ["https://evil.example/callback"]},
        headers={"Authorization": f"Bearer {registered['registration_access_token']}"},
    )
    assert changed.status_code == 403


@pytest.mark.requirement("bootstrap.native")
def test_the_client_known_beforehand_works_on_any_loopback_port(standing_realm: Realm) -> None:
    for uri in ("http://127.0.0.1:5555/callback", "http://localhost:6666/callback", "http://[::1]:7777/callback"):
        answer = standing_realm.log_in("writer", "mcp-native", scope=ALL, redirect_uri=uri)
        assert claims(answer["access_token"])["aud"] == PUBLIC_URL
    assert "code" not in standing_realm.authorize(
        "writer", client_id="mcp-native", redirect_uri="http://127.0.0.1/other"
    )


@pytest.mark.requirement("bootstrap.profiles")
def test_loopback_only_lets_in_this_machine_and_no_vendor(keycloak: Keycloak, tmp_path: Path) -> None:
    realm = bootstrapped(keycloak, tmp_path, registration={"profile": "loopback-only"})
    statuses = {name: realm.register(**metadata)["status"] for name, metadata in PERSONAS.items()}
    refused = {"VS Code", "claude.ai", "Cursor"}  # they redirect to a vendor
    assert statuses == {name: 403 if name in refused else 201 for name in PERSONAS}


@pytest.mark.requirement("bootstrap.profiles")
def test_closed_lets_in_nobody_even_with_an_initial_access_token(keycloak: Keycloak, tmp_path: Path) -> None:
    realm = bootstrapped(keycloak, tmp_path, registration={"profile": "closed"})
    assert {realm.register(**metadata)["status"] for metadata in PERSONAS.values()} == {403}
    admin = realm.admin()
    path = f"admin/realms/{realm.name}/clients-initial-access"
    invitation = admin.connection.raw_post(path, data='{"count": 1, "expiration": 60}').json()["token"]
    assert realm.post_client("openid-connect", NATIVE, invitation)["status"] == 403
    answer = realm.log_in("reader", "mcp-native", scope="mcp:tools", redirect_uri="http://127.0.0.1:5555/callback")
    assert claims(answer["access_token"])["aud"] == PUBLIC_URL


@pytest.mark.requirement("bootstrap.profiles", "bootstrap.redirects")
def test_an_initial_access_token_loosens_no_rule(standing_realm: Realm) -> None:
    admin = standing_realm.admin()
    path = f"admin/realms/{standing_realm.name}/clients-initial-access"
    invitation = admin.connection.raw_post(path, data='{"count": 9, "expiration": 60}').json()["token"]
    invited = standing_realm.post_client("openid-connect", NATIVE, invitation)
    assert invited["status"] == 201
    client = admin.get("clients", clientId=invited["client_id"])[0]
    assert (client["consentRequired"], client["fullScopeAllowed"]) == (True, False)
    for uri in ("https://evil.example/callback", "http://localhost/*"):
        refused = standing_realm.post_client("openid-connect", {**NATIVE, "redirect_uris": [uri]}, invitation)
        assert refused["status"] == 403


@pytest.mark.requirement("bootstrap.profiles")
def test_a_full_realm_takes_no_further_client(keycloak: Keycloak, tmp_path: Path) -> None:
    realm = bootstrapped(keycloak, tmp_path, registration={"max_clients": 10})
    statuses = [realm.register(**NATIVE)["status"] for _ in range(5)]
    assert statuses[0] == 201
    assert statuses[-1] == 403


@pytest.mark.requirement("bootstrap.secret")
def test_the_servers_secret_is_made_once_and_readable_by_its_user_only(realm: Realm) -> None:
    path = realm.folder / "client-secret"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    secret = realm.client_secret
    assert len(secret) >= 43  # 256 bit in base64
    realm.apply()
    assert realm.client_secret == secret
    path.unlink()
    assert realm.apply() > 0  # a new one, and Keycloak is told
    assert realm.client_secret != secret
    answer = realm.log_in("reader", _native(realm), scope="mcp:tools")
    assert realm.introspect(answer["access_token"])["active"] is True


@pytest.mark.requirement("bootstrap.trial")
def test_the_trial_registration_leaves_no_client_behind(realm: Realm) -> None:
    admin = realm.admin()
    before = {client["clientId"] for client in admin.get("clients")}
    assert realm.apply(try_registration=True) == 0
    assert any("could register and was removed" in line for line in realm.said)
    assert {client["clientId"] for client in admin.get("clients")} == before


@pytest.mark.requirement("bootstrap.proof")
def test_an_apply_fails_if_somebody_would_get_more_than_promised(realm: Realm) -> None:
    admin = realm.admin()
    role = admin.get("roles", "mcp-admin")
    reader = admin.get("users", username="reader", exact="true")[0]
    # By a group, which the bootstrap does not own and does not look at.
    admin.write("POST", ("groups",), {"name": "elevated"})
    group = admin.get("groups")[0]
    admin.write("POST", ("groups", group["id"], "role-mappings", "realm"), [role])
    admin.write("PUT", ("users", reader["id"], "groups", group["id"]), {})
    with pytest.raises(NotProven):
        realm.apply()
    failed = [line for line in realm.said if line.startswith("PROOF FAILED")]
    assert len(failed) == 1
    assert "reader would get the scopes" in failed[0]


@pytest.mark.requirement("bootstrap.failures")
def test_a_wrong_admin_secret_ends_with_one_line_that_says_what_to_do(keycloak: Keycloak, tmp_path: Path) -> None:
    realm = Realm(keycloak, tmp_path, "test-refused")
    realm.write_access()
    code, out, error = command_line(realm, "apply", KEYCLOAK_ADMIN_CLIENT_SECRET="wrong-wrong-wrong")
    assert (code, out) == (AdminRefused.exit_code, "")
    assert error.count("\n") == 1
    assert "docker compose down -v" in error
    assert "wrong-wrong" not in error


@pytest.mark.requirement("bootstrap.failures", "bootstrap.last_lines")
def test_the_command_line_ends_with_who_can_log_in_and_what_to_type_next(standing_realm: Realm) -> None:
    code, out, error = command_line(standing_realm, "apply")
    assert (code, error) == (0, "")
    assert out.endswith(
        "Demo users (name / password):\n"
        "  reader / reader  mcp:tools mcp:notes.read\n"
        "  writer / writer  mcp:tools mcp:notes.read mcp:notes.write\n"
        "  admin  / admin   mcp:tools mcp:notes.read mcp:notes.write mcp:admin\n"
        "  nobody / nobody  no role, so no scope\n"
        f"Account page:  {standing_realm.issuer}/account\n"
        f"MCP server:    {PUBLIC_URL}\n"
        f"Next:          ./scripts/login --url {PUBLIC_URL}\n"
    )
    assert standing_realm.client_secret not in out


@pytest.mark.requirement("bootstrap.failures")
def test_a_provider_that_does_not_answer_ends_with_exit_code_three(standing_realm: Realm) -> None:
    variables = {"OAUTH_INTERNAL_URL": f"http://127.0.0.1:1/realms/{standing_realm.name}"}
    code, out, error = command_line(standing_realm, "apply", "--wait", "1", **variables)
    assert code == ProviderUnreachable.exit_code
    assert "waiting for Keycloak" in out
    assert error.count("\n") == 1
    assert "OAUTH_INTERNAL_URL" in error


def _folder(parent: Path, name: str) -> Path:
    (parent / name).mkdir()
    return parent / name
