"""The changes that the bootstrap plans, from data; without a provider."""

from __future__ import annotations

import json
import os
import re
import stat
from typing import TYPE_CHECKING, Any

import pytest

from mcp_idp.access.models import DemoUser, ServiceClient
from mcp_idp.access.policy import AccessPolicy, load_access
from mcp_idp.access.redirect_uris import LOOPBACK_PATTERN, exact_pattern, redirect_patterns
from mcp_idp.cli.bootstrap.changes import IdRef, diff, is_satisfied
from mcp_idp.cli.bootstrap.errors import ConfigError
from mcp_idp.cli.bootstrap.keycloak.planner import plan, require_writable
from mcp_idp.cli.bootstrap.keycloak.resources.registration_policies import TRUSTED_HOSTS_POLICY, desired_policies
from mcp_idp.cli.bootstrap.keycloak.resources.roles import unmanaged_composites
from mcp_idp.cli.bootstrap.keycloak.settings import KeycloakSettings
from mcp_idp.cli.bootstrap.keycloak.state.current import DEMO_DOMAIN, CurrentState
from mcp_idp.cli.bootstrap.keycloak.state.groups import Groups
from mcp_idp.cli.bootstrap.keycloak.state.managed import MANAGED_MARKER, MARKER, STATE_ATTRIBUTE
from mcp_idp.cli.bootstrap.keycloak.state.roles import CompositeRoles, DefaultRoles, ScopeRoleBinding
from mcp_idp.cli.bootstrap.keycloak.templates import load_realm_file
from mcp_idp.cli.bootstrap.output import change_json, change_lines
from mcp_idp.cli.bootstrap.secret_file import get_or_create_secret
from tests.support.desired_state import CONFIG, RESOURCE, desired, environment, recorded

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def access() -> AccessPolicy:
    return load_access(CONFIG / "access.yaml")


@pytest.mark.parametrize(
    ("expected", "there", "equal"),
    [
        (["a", "b"], ["b", "a"], True),
        (["a"], ["a", "b"], False),
        ([], None, True),
        ([], ["a"], False),
        ("", None, True),
        ("false", None, False),
        (False, None, False),
        (1, 1, True),
        ({"a": 1}, {"a": 1, "added": 2}, True),
        ({"a": {"b": []}}, {"a": {}}, True),
        ({"a": {"b": "x"}}, {"a": {"b": "y"}}, False),
        ({"a": 1}, None, False),
    ],
)
def test_what_keycloak_adds_reorders_or_drops_is_no_difference(expected: object, there: object, *, equal: bool) -> None:
    assert is_satisfied(expected, there) is equal
    assert diff({"member": expected}, {"member": there}) == ({} if equal else {"member": expected})


def test_a_new_realm_gets_its_rules_before_what_they_bind(access: AccessPolicy) -> None:
    texts = [change.text for change in plan(desired(access), CurrentState())]

    def place(start: str) -> int:
        return next(i for i, text in enumerate(texts) if text.startswith(start))

    order = [
        "realm: record which objects",
        "client profiles",
        "client policies",
        "role mcp-reader: create",
        "scope mcp:admin: create",
        "scope mcp:admin: bind",
        "registration policy allowed-client-templates/anonymous: create",
        "realm: new clients get mcp:admin",
        "client mcp-native: create",
        "user reader: create",
        "realm: enable",
        "registration: allowed redirect hosts",
    ]
    assert [place(start) for start in order] == sorted(place(start) for start in order)
    assert texts[-1].startswith("registration: allowed redirect hosts")


def test_accounts_lose_surplus_roles_before_a_scope_is_bound_and_get_missing_ones_after(
    access: AccessPolicy,
) -> None:
    """Otherwise accounts would get a scope that is bound to `mcp-writer`, permanently if the apply is interrupted."""
    service_client = ServiceClient(name="An importer", roles=("mcp-reader",), jwks_url="https://keys.example/jwks")
    groups = {"staff": ("mcp-reader",), "others": ("mcp-writer",)}
    users = {"reader": DemoUser(password="p", roles=("mcp-reader",), groups=("staff",))}
    members = {"machine_clients": {"importer": service_client}, "groups": groups, "demo_users": users}

    def user(name: str) -> dict[str, Any]:
        profile = {"firstName": "Demo", "lastName": name.capitalize(), "email": f"{name}{DEMO_DOMAIN}"}
        return {"id": f"id-{name}", "username": name, "enabled": True, "emailVerified": True, **profile}

    there = {name: {"id": f"id-{name}", "name": name, "realmRoles": []} for name in groups}
    record = recorded(clients={"exporter"}, users={"reader", "former"})
    actual = CurrentState(
        realm={"enabled": True, "attributes": record},
        clients={"exporter": {"id": "id-exporter", "clientId": "exporter", "attributes": {MARKER: RESOURCE}}},
        users={name: user(name) for name in ("reader", "former")},
        user_roles={"reader": frozenset({"mcp-writer"}), "former": frozenset({"mcp-writer"})},
        service_client_roles={"importer": frozenset({"mcp-writer", "theirs"})},
        groups=Groups(by_name=there, of_users={"reader": frozenset({"others"})}),
    )
    texts = [change.text for change in plan(desired(access.model_copy(update=members)), actual)]
    bound = [i for i, text in enumerate(texts) if re.match(r"scope .*: bind", text)]
    revocations = [
        "user reader: remove mcp-writer",
        "user reader: remove from the group others",
        "user former: remove, the access file no longer has this demo user",
        "client importer: remove mcp-writer",
        "client exporter: remove, neither the access file nor MCP_PUBLIC_URL names it any more",
    ]
    grants = [
        "user reader: add mcp-reader",
        "user reader: add to the group staff",
        "client importer: add mcp-reader",
    ]
    assert max(map(texts.index, revocations)) < min(bound)
    assert max(bound) < min(map(texts.index, grants))
    assert all(texts.count(text) == 1 for text in (*revocations, *grants))


def test_a_role_is_bound_before_another_is_unbound(access: AccessPolicy) -> None:
    mcp_admin = {"id": "1", "name": "mcp:admin", "protocol": "openid-connect", "attributes": {}}
    profile = {"id": "3", "name": "view-profile"}
    binding = ScopeRoleBinding(realm=frozenset({"old"}), clients={"account": {"id": "2", "mappings": [profile]}})
    actual = CurrentState(realm={"enabled": True}, scopes={"mcp:admin": mcp_admin}, bindings={"mcp:admin": binding})
    changes = [c for c in plan(desired(access), actual) if "bind" in c.text and "mcp:admin" in c.text]
    assert [change.method for change in changes] == ["POST", "DELETE", "DELETE"]
    assert changes[1].body == [{"id": IdRef("role", "old"), "name": "old"}]
    assert changes[2].path[-3:] == ("scope-mappings", "clients", "2")
    assert changes[2].body == [profile]


@pytest.mark.parametrize(
    ("attributes", "managed"), [({"kept.by": ["bootstrap_idp"]}, True), ({"kept.by": [RESOURCE]}, True), ({}, False)]
)
def test_a_managed_role_that_includes_others_is_reduced(
    access: AccessPolicy, attributes: dict[str, list[str]], *, managed: bool
) -> None:
    reader = {"id": "1", "name": "mcp-reader", "composite": True, "attributes": attributes}
    # Admin roles stay: the account of an apply cannot revoke what it cannot grant.
    parts = CompositeRoles(roles=({"id": "2", "name": "mcp-admin"},), admin_roles=frozenset({"realm-admin"}))
    actual = CurrentState(realm={"enabled": True}, roles={"mcp-reader": reader}, parts={"mcp-reader": parts})
    changes = [change for change in plan(desired(access), actual) if "no longer grants mcp-admin" in change.text]
    assert [change.path for change in changes] == [("roles", "mcp-reader", "composites")] * managed
    assert [change.body for change in changes] == [[{"id": "2", "name": "mcp-admin"}]] * managed
    assert len(list(unmanaged_composites(access, actual))) == (not managed)


def test_a_role_that_all_users_have_by_a_composite_is_bound_to_nothing(access: AccessPolicy) -> None:
    reader = {"id": "1", "name": "mcp-reader"}
    nested = DefaultRoles(direct_roles=frozenset({"employee"}), by_id={"1": {"employee"}})
    realm = {"enabled": True, "defaultRole": {"name": "everybody"}}
    with pytest.raises(ConfigError, match="remove employee from everybody, or mcp-reader from employee"):
        require_writable(desired(access), CurrentState(realm=realm, roles={"mcp-reader": reader}, default=nested))


@pytest.mark.requirement("existing_realm.registration_token")
@pytest.mark.parametrize(("names", "adopted"), [((), ["mcp-native", RESOURCE]), ((RESOURCE,), ["mcp-native"])])
def test_an_adopted_client_s_registration_token_is_revoked_first(
    access: AccessPolicy, names: tuple[str, ...], adopted: list[str]
) -> None:
    # With the managed marker, which an unauthenticated client can set at Keycloak's own registration endpoint.
    clients = {
        name: {"id": name, "clientId": name, "attributes": dict(MANAGED_MARKER)} for name in (RESOURCE, "mcp-native")
    }
    realm = {"enabled": True, "attributes": recorded(clients=names)}
    changes = plan(desired(access), CurrentState(realm=realm, clients=clients))
    first = [change for change in changes if change.path[-1:] == ("registration-access-token",)]
    assert sorted(str(change.path[1]) for change in first) == sorted(adopted)
    assert {change.method for change in first} == {"POST"}
    written = next(n for n, change in enumerate(changes) if "record which" in change.what)
    assert max(changes.index(change) for change in first) < written


def test_registration_is_disabled_first_and_only_if_something_changes(access: AccessPolicy) -> None:
    config = {"trusted-hosts": ["localhost"], "host-sending-registration-request-must-match": ["false"]}
    guard = {"id": "1", "config": {**config, "client-uris-must-match": ["true"]}}
    changes = plan(desired(access), CurrentState(realm={"enabled": True}, policies={"trusted-hosts/anonymous": guard}))
    assert changes[0].text == "registration: disabled during apply"
    assert isinstance(changes[0].body, dict)
    assert changes[0].body["config"]["trusted-hosts"] == []
    assert [c.text for c in changes if c.text.startswith("registration: disabled")] == [
        "registration: disabled during apply"
    ]


@pytest.mark.parametrize("other_changes", [True, False])
@pytest.mark.parametrize("profile", ["closed", "initial-access-token", "cimd"])
def test_an_endpoint_that_should_be_closed_and_is_not_is_reported(
    access: AccessPolicy, profile: str, *, other_changes: bool
) -> None:
    members = {"profile": profile, "document_domains": ("clients.example",)}
    registration = access.registration.model_copy(update=members)
    expected = desired(access.model_copy(update={"registration": registration, "demo_users": {}}))
    config = {"trusted-hosts": ["localhost"], "host-sending-registration-request-must-match": ["false"]}
    policies = desired_policies(expected.access, expected.realm_file.client_uri_hosts)
    there = {name: {"id": name, "config": dict(config)} for name, config in policies.items()}
    there[TRUSTED_HOSTS_POLICY] = {"id": "1", "config": {**config, "client-uris-must-match": ["true"]}}
    realm = {"enabled": True, **({} if other_changes else expected.realm_members)}
    changes = plan(expected, CurrentState(realm=realm, policies=there))
    (named,) = [change for change in changes if change.object_label == "registration"]
    assert named.action == "change"
    assert "trusted-hosts" in {field.name for field in named.fields}


def test_no_printed_form_of_a_change_shows_a_secret_or_a_password(access: AccessPolicy) -> None:
    user = DemoUser(password="only-she-knows", roles=("mcp-reader",))
    changes = plan(desired(access.model_copy(update={"demo_users": {"somebody": user}})), CurrentState())
    lines = [line for change in changes for line in change_lines(change, members=True)]
    assert "    secret: (secret)" in lines
    assert "    credentials: (secret)" in lines
    for printed in (repr(changes), "\n".join(lines), json.dumps(change_json(changes))):
        assert "s" * 43 not in printed
        assert "only-she-knows" not in printed
    assert "k" * 43 not in repr(KeycloakSettings.load(environment()))


@pytest.mark.requirement("bootstrap.redirect_uris")
@pytest.mark.parametrize(
    "uri",
    [
        "http://localhost",
        "http://localhost/",
        "http://127.0.0.1:33418/",
        "http://[::1]:1/callback",
        "http://localhost:54212/oauth/callback/debug",
        "http://127.0.0.1:41235/callback/x1Y2-_~.",
    ],
)
def test_loopback_redirects_fit_the_pattern(uri: str) -> None:
    assert re.search(LOOPBACK_PATTERN, uri)


@pytest.mark.requirement("bootstrap.redirect_uris")
@pytest.mark.parametrize(
    "uri",
    [
        "https://localhost/",
        "http://localhost.evil.example/",
        "http://localhost@evil.example/",
        "http://evil@localhost/",
        "http://localhost:@evil/",
        "http://localhost:80x/",
        "http://localhost:123456/",
        "http://localhost#/",
        "http://localhost/#x",
        "http://localhost/*",
        "http://localhost*",
        "http://localhost:*/",
        "http://localhost\\@evil/",
        "http://localhost/%2e",
        "http://127.0.0.1.evil.example/",
        "http://127x0.0.1/",
        "http://0.0.0.0/",
        "http://[::]/",
        "HTTP://localhost/",
        " http://localhost/",
        "http://localhost/ ",
        "http://localhost/?x=*",
        "",
    ],
)
def test_anything_else_does_not_fit_the_pattern(uri: str) -> None:
    assert not re.search(LOOPBACK_PATTERN, uri)


@pytest.mark.requirement("bootstrap.redirect_uris")
def test_a_vendors_uri_matches_exactly(access: AccessPolicy) -> None:
    for uri in (uri for uris in access.registration.vendors.values() for uri in uris):
        pattern = exact_pattern(uri)
        assert re.search(pattern, uri)
        for other in (uri + "x", "x" + uri, uri.replace(".", "x", 1), uri + "/*", uri + "?x", uri.upper()):
            assert not re.search(pattern, other), other


def test_each_registration_profile_has_its_own_patterns(access: AccessPolicy) -> None:
    def patterns(profile: str) -> list[str]:
        return redirect_patterns(access.registration.model_copy(update={"profile": profile}))

    assert patterns("closed") == ["^$"]
    assert patterns("loopback-only") == [LOOPBACK_PATTERN]
    assert len(patterns("open-dev")) == 8


@pytest.mark.parametrize(
    "variables",
    [
        {"MCP_PUBLIC_URL": "https://mcp.example.com/mcp"},
        {"OAUTH_SERVER_URL": "https://login.example.com/realms/mcp"},
        {"OAUTH_SERVER_URL": "http://192.168.1.5:8080/realms/mcp"},
        {"MCP_PUBLIC_URL": "http://localhost.example.com/mcp"},
    ],
)
def test_demo_users_are_rejected_unless_all_is_on_loopback(variables: dict[str, str]) -> None:
    with pytest.raises(ConfigError, match=r"^demo_users: ") as rejected:
        KeycloakSettings.load(environment(**variables))
    assert "\n" not in str(rejected.value)


def test_open_registration_and_default_passwords_are_rejected_off_loopback(tmp_path: Path) -> None:
    text = (CONFIG / "access.yaml").read_text(encoding="utf-8")
    without_users = text[: text.index("demo_users:")]
    file = tmp_path / "access.yaml"
    public = {
        "ACCESS_FILE": str(file),
        "OAUTH_SERVER_URL": "https://login.example.com/realms/mcp",
        "MCP_PUBLIC_URL": "https://mcp.example.com/mcp",
    }
    file.write_text(without_users)
    with pytest.raises(ConfigError, match="open-dev"):
        KeycloakSettings.load(environment(**public))
    file.write_text(without_users.replace("profile: open-dev", "profile: loopback-only"))
    assert KeycloakSettings.load(environment(**public)).on_loopback is False
    with pytest.raises(ConfigError, match="default password"):
        KeycloakSettings.load(environment(**public, KEYCLOAK_ADMIN_CLIENT_SECRET="admin"))
    with pytest.raises(ConfigError, match="https"):
        KeycloakSettings.load(environment(**{**public, "MCP_PUBLIC_URL": "http://mcp.example.com/mcp"}))


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({"KEYCLOAK_ADMIN_CLIENT_SECRET": ""}, "KEYCLOAK_ADMIN_CLIENT_SECRET_FILE"),
        ({"KEYCLOAK_ADMIN_CLIENT_SECRET": "", "KEYCLOAK_ADMIN_CLIENT_SECRET_FILE": "/none"}, "cannot be read"),
        ({"OAUTH_SERVER_URL": "http://localhost:8080"}, "/realms/"),
        ({"OAUTH_SERVER_URL": "http://localhost:8080/realms/a/b"}, "/realms/"),
        ({"OAUTH_SERVER_URL": "http://localhost:8080/realms/master"}, "master"),
        ({"OAUTH_INTERNAL_URL": "http://keycloak:8080/realms/other"}, "OAUTH_INTERNAL_URL"),
        ({"OAUTH_SERVER_URL": "localhost:8080/realms/mcp"}, "absolute URL"),
        ({"ACCESS_FILE": "/none.yaml"}, "/none.yaml"),
        ({"RUNNING_IN_CONTAINER": "1"}, "OAUTH_INTERNAL_URL"),
    ],
)
def test_settings_that_cannot_work_are_rejected_with_one_line(variables: dict[str, str], message: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(message)) as rejected:
        KeycloakSettings.load(environment(**variables))
    assert "\n" not in str(rejected.value)
    assert rejected.value.exit_code == 2


@pytest.mark.parametrize("content", ["realm: [", "realm: {a: 1}\nother: 1", "[]", "client_uri_hosts: [x]"])
def test_a_file_that_does_not_fit_is_named(content: str, tmp_path: Path) -> None:
    (tmp_path / "realm.yaml").write_text(content)
    with pytest.raises(ConfigError, match=re.escape(str(tmp_path / "realm.yaml"))):
        load_realm_file(tmp_path)


@pytest.mark.requirement("bootstrap.signing_keys")
@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            "realm: {defaultSignatureAlgorithm: HS256}\nsigning_keys: [RS256]",
            "realm.defaultSignatureAlgorithm: HS256 is none of signing_keys",
        ),
        ("realm: {}\nsigning_keys: [HS256]", "line 2: signing_keys.0: write 'RS256' or 'ES256'"),
        ("realm: {}\nmesages: {}", "line 2: mesages: is not a known key: did you mean 'messages'?"),
        ("realm: {}\nmessages: {en: {title: 3}}", "line 2: messages.en.title: must be a string: put it in quotes"),
    ],
)
def test_a_realm_file_names_keys_that_others_can_check(content: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "realm.yaml").write_text(content)
    with pytest.raises(ConfigError, match=re.escape(f"{tmp_path / 'realm.yaml'}: {message}")):
        load_realm_file(tmp_path)


@pytest.mark.requirement("bootstrap.signing_keys")
def test_only_keys_and_texts_that_lack_are_written(access: AccessPolicy) -> None:
    expected = desired(access)
    texts = expected.realm_file.messages["en"]
    there = CurrentState(
        realm={"id": "r", "attributes": {STATE_ATTRIBUTE: '{"messages":["en/managed","de/gone"]}'}},
        active_keys=frozenset({"RS256", "RSA-OAEP", "HS512"}),
        messages={"en": {**texts, "oauthGrantTitle": "{0} is fine", "managed": "x", "unmanaged": "y"}, "de": {}},
    )
    changes = [change for change in plan(expected, there) if change.object_label.startswith(("key ", "messages "))]
    assert [change.text for change in changes] == [
        "key ES256: create",
        "messages en: set oauthGrantTitle",
        "messages en: remove managed, the file no longer has it",
    ]
    assert changes[1].body == {"oauthGrantTitle": texts["oauthGrantTitle"]}
    assert changes[2].path == ("localization", "en", "managed")


def test_a_secret_is_made_once_whole_and_private(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    os.umask(os.umask(0o022))
    secret = get_or_create_secret(path)
    assert len(secret) >= 43
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert get_or_create_secret(path) == secret
    assert [file.name for file in tmp_path.iterdir()] == ["secret"]


def test_a_secret_that_cannot_be_stored_is_reported_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="neither read nor written"):
        get_or_create_secret(tmp_path / "missing" / "secret")


def test_a_user_with_a_demo_user_s_name_is_not_adopted(access: AccessPolicy) -> None:
    for email in ("reader@company.example", None):
        user = {"id": "1", "username": "reader", "email": email}
        with pytest.raises(ConfigError, match="demo_users: reader already exists"):
            plan(desired(access), CurrentState(realm={"enabled": True}, users={"reader": user}))


def _values(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return [inner for member in value.values() for inner in _values(member)]
    if isinstance(value, list):
        return [inner for member in value for inner in _values(member)]
    return [value]


def test_no_placeholder_is_left_in_what_is_written(access: AccessPolicy) -> None:
    bodies = [change.body for change in plan(desired(access), CurrentState())]
    assert "REDIRECT_PATTERNS" not in _values(bodies)
    assert LOOPBACK_PATTERN in _values(bodies)
