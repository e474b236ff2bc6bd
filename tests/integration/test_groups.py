"""Groups of the access file in a real Keycloak: members get the groups' roles and nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from mcp_idp.cli.bootstrap.errors import ConfigError, PermissionDenied, ProviderUnreachable
from tests.support.in_process import serving, settings_for
from tests.support.keycloak.bootstrap_commands import account, check, command_line, plan
from tests.support.keycloak.realm import PUBLIC_URL, REDIRECT, Realm, bootstrapped, claims
from tests.support.recording_proxy import recording

if TYPE_CHECKING:
    from pathlib import Path

    from mcp_idp.cli.bootstrap.keycloak.admin_client import AdminClient
    from tests.support.keycloak.realm import Json, Keycloak

pytestmark = [pytest.mark.containers, pytest.mark.anyio]

GROUPS = {"engineering": ["mcp-writer"], "acme:platform": ["mcp-writer", "mcp-admin"]}
DEMO = {"reader": {"password": "reader", "roles": ["mcp-reader"], "groups": ["engineering"]}}
WRITING = {"mcp:tools", "mcp:notes.read", "mcp:notes.write"}
FIRST_TIME = 12  # writes of the first apply with these groups and this demo user


@pytest.fixture
def own(keycloak: Keycloak, tmp_path: Path) -> Realm:
    return bootstrapped(keycloak, tmp_path, groups=GROUPS, demo_users={})


def find(admin: AdminClient, path: str) -> Json:
    found: Json = admin.get("group-by-path", path)
    return found


def make(admin: AdminClient, name: str, *roles: str, **members: Any) -> Json:
    """Creates an unmanaged group."""
    admin.write("POST", ("groups",), {"name": name, **members})
    found = find(admin, name)
    give(admin, found, *roles)
    return found


def give(admin: AdminClient, group: Json, *roles: str) -> None:
    path = ("groups", group["id"], "role-mappings", "realm")
    admin.write("POST", path, [admin.get("roles", role) for role in roles])


def user(admin: AdminClient, name: str, group: Json | None) -> Json:
    """Creates a user without roles, in `group`."""
    profile = {"firstName": "Ada", "lastName": "L", "email": f"{name}@people.example", "emailVerified": True}
    credentials = [{"type": "password", "value": name, "temporary": False}]
    admin.write("POST", ("users",), {"username": name, "enabled": True, "credentials": credentials, **profile})
    (found,) = admin.get("users", username=name, exact="true")
    if group is not None:
        admin.write("PUT", ("users", found["id"], "groups", group["id"]), {})
    made: Json = found
    return made


def rights(admin: AdminClient, role: str = "realm-admin") -> tuple[str, Json]:
    """Returns the id of the client that has the realm's admin roles, and one of these roles."""
    client = admin.get("clients", clientId="realm-management")[0]["id"]
    return client, admin.get("clients", client, "roles", role)


def warned(realm: Realm) -> str:
    return "\n".join(check(realm).warnings)


async def test_a_new_member_of_a_group_logs_in_and_calls_a_tool(own: Realm) -> None:
    admin = own.admin()
    users = {"ada": find(admin, "engineering"), "eve": None}
    for name, group in users.items():
        user(admin, name, group)
    scope = " ".join(sorted(WRITING))
    responses = {name: own.log_in(name, "mcp-native", scope=scope) for name in users}
    token = claims(responses["ada"]["access_token"])
    assert (token["aud"], set(token["scope"].split()), token["mcp_roles"]) == (own.public_url, WRITING, ["mcp-writer"])
    async with serving(settings_for(own)) as served:
        called = await served.call("note_add", responses["ada"]["access_token"], {"text": "by a group"})
        assert called.status_code == 200
        assert called.json()["result"]["isError"] is False
        assert await served.status(responses["eve"]["access_token"]) == 403


def test_a_demo_user_is_put_into_its_groups_and_out_of_others(keycloak: Keycloak, tmp_path: Path) -> None:
    realm = bootstrapped(keycloak, tmp_path, groups=GROUPS, demo_users=DEMO)
    response = realm.log_in("reader", "mcp-native", scope=" ".join(sorted(WRITING)))
    assert set(claims(response["access_token"])["mcp_roles"]) == {"mcp-reader", "mcp-writer"}
    assert any("reader / reader  mcp:tools mcp:notes.read mcp:notes.write" in line for line in realm.message)
    with recording(realm.server.url) as proxy:
        assert realm.apply(internal_url=f"{proxy.url}/realms/{realm.name}") == 0
        assert check(realm, OAUTH_INTERNAL_URL=f"{proxy.url}/realms/{realm.name}").clean
    assert proxy.writes == []
    admin = realm.admin()
    (reader,) = admin.get("users", username="reader", exact="true")
    admin.write("DELETE", ("users", reader["id"], "groups", find(admin, "engineering")["id"]))
    admin.write("PUT", ("users", reader["id"], "groups", find(admin, "acme:platform")["id"]), {})
    theirs = make(admin, "theirs")
    admin.write("PUT", ("users", reader["id"], "groups", theirs["id"]), {})
    assert check(realm).names == ["user reader.groups"]
    realm.apply()
    assert {group["name"] for group in admin.get("users", reader["id"], "groups")} == {"engineering", "theirs"}


def test_manual_changes_of_a_group_are_reported_and_the_managed_part_is_fixed(own: Realm) -> None:
    admin = own.admin()
    engineering, platform = find(admin, "engineering"), find(admin, "acme:platform")
    ada = user(admin, "ada", engineering)
    give(admin, engineering, "mcp-admin", "offline_access")
    path = ("groups", platform["id"], "role-mappings", "realm")
    admin.write("DELETE", path, [admin.get("roles", "mcp-writer")])
    unmarked = {"name": "engineering", "description": "Who builds", "attributes": {"cost": ["7"]}}
    admin.write("PUT", ("groups", engineering["id"]), unmarked)
    found = check(own)
    assert found.names == [
        "group engineering.roles",
        "group engineering.attributes.kept.by",
        "group acme:platform.roles",
    ]
    own.apply()
    fixed = find(admin, "engineering")
    assert fixed["attributes"] == {"cost": ["7"], "kept.by": [PUBLIC_URL]}
    assert (fixed["id"], fixed["description"]) == (engineering["id"], "Who builds")
    assert set(fixed["realmRoles"]) == {"mcp-writer", "offline_access"}  # unmanaged roles are not revoked
    assert set(find(admin, "acme:platform")["realmRoles"]) == {"mcp-writer", "mcp-admin"}
    assert [member["id"] for member in admin.get("groups", engineering["id"], "members")] == [ada["id"]]
    assert check(own).clean
    assert "group engineering also grants offline_access" in warned(own)


def test_a_group_is_found_among_many_and_is_not_one_of_the_same_name_elsewhere(own: Realm) -> None:
    admin = own.admin()
    for number in range(120):
        admin.write("POST", ("groups",), {"name": f"team {number}"})
    managed = find(admin, "engineering")
    other = make(admin, "other")
    marked = {"attributes": managed["attributes"]}
    admin.write("POST", ("groups", other["id"], "children"), {"name": "engineering", **marked})
    below = admin.get("groups", other["id"], "children")[0]
    give(admin, below, "mcp-admin")
    assert check(own).clean
    assert own.apply() == 0
    assert "groups that are not in the access file grant its roles: /other/engineering" in warned(own)
    admin.write("DELETE", ("groups", managed["id"]))
    assert check(own).names == ["group engineering", "group engineering.roles"]
    own.apply()
    assert find(admin, "engineering")["realmRoles"] == ["mcp-writer"]
    assert find(admin, "other")["subGroupCount"] == 1
    assert admin.get("groups", below["id"])["realmRoles"] == ["mcp-admin"]  # unmanaged, and reported
    # Members of a subgroup have the roles of our group too.
    admin.write("POST", ("groups", find(admin, "engineering")["id"], "children"), {"name": "night shift"})
    assert "group engineering has 1 subgroup: their members have its roles too" in warned(own)


def test_an_unmanaged_group_is_rejected_and_not_touched_until_it_carries_the_marker(
    keycloak: Keycloak, tmp_path: Path
) -> None:
    realm = bootstrapped(keycloak, tmp_path)
    admin = realm.admin()
    theirs = make(admin, "engineering", "offline_access", attributes={"cost": ["7"]})
    user(admin, "ada", theirs)
    before = find(admin, "engineering")
    realm.write_access(groups=GROUPS)
    with recording(realm.server.url) as proxy:
        for command in ("apply", "plan"):
            through = {"OAUTH_INTERNAL_URL": f"{proxy.url}/realms/{realm.name}"}
            code, out, error = command_line(realm, command, **through)
            assert (code, out) == (ConfigError.exit_code, "")
            assert "groups.engineering: the realm has a group of this name that the bootstrap did not create" in error
            assert f"the attribute kept.by with the value {realm.public_url}" in error
            assert error.count("\n") == 1
    assert proxy.writes == []
    assert "group engineering.attributes.kept.by" in check(realm).names
    assert find(admin, "engineering") == before
    realm.write_access(groups={"builders": ["mcp-writer"]})
    realm.apply()
    assert find(admin, "engineering") == before
    # Its owner adopts it by setting the managed marker.
    marked = {"name": "engineering", "attributes": {"cost": ["7"], "kept.by": [PUBLIC_URL]}}
    admin.write("PUT", ("groups", theirs["id"]), marked)
    realm.write_access(groups=GROUPS)
    realm.apply()
    assert check(realm).clean
    assert find(admin, "engineering")["id"] == theirs["id"]
    response = realm.log_in("ada", "mcp-native", scope="mcp:tools")
    assert claims(response["access_token"])["mcp_roles"] == ["mcp-writer"]


def test_a_dropped_group_is_removed_and_its_members_lose_its_roles(own: Realm) -> None:
    admin = own.admin()
    engineering, platform = find(admin, "engineering"), find(admin, "acme:platform")
    user(admin, "ada", engineering)
    admin.write("PUT", ("groups", platform["id"]), {"name": "acme:platform", "attributes": {}})
    assert check(own).names == ["group acme:platform.attributes.kept.by"]
    own.write_access(demo_users={})
    assert [change.text for change in plan(own) if change.object_label.startswith("group")] == [
        "group engineering: remove with 1 member, the access file no longer names it"
    ]
    own.apply()
    assert admin.find("group-by-path", "engineering") is None
    assert find(admin, "acme:platform")["id"] == platform["id"]  # unmanaged without our marker
    assert own.apply() == 0
    assert check(own).clean
    response = own.log_in("ada", "mcp-native", scope="mcp:tools")
    assert "aud" not in claims(response["access_token"])


def test_a_dropped_role_is_removed_from_its_groups(own: Realm) -> None:
    import yaml  # noqa: PLC0415 - needed here only

    source = yaml.safe_load((own.folder / "access.yaml").read_text(encoding="utf-8"))
    scopes = {name: scope for name, scope in source["scopes"].items() if name != "mcp:admin"}
    for scope in scopes.values():
        scope["roles"] = [role for role in scope["roles"] if role != "mcp-admin"]
    own.write_access(demo_users={}, scopes=scopes, groups={**GROUPS, "acme:platform": ["mcp-writer"]})
    own.apply()
    assert find(own.admin(), "acme:platform")["realmRoles"] == ["mcp-writer"]
    assert check(own).clean
    assert own.apply() == 0


SERVICE_CLIENT = {"importer": {"name": "An importer", "roles": ["mcp-reader"], "jwks_url": "https://keys.example/jwks"}}


def token_without_a_user(realm: Realm) -> dict[str, Any]:
    """Registers a client and requests a token for itself; returns the response."""
    grants = {"redirect_uris": [REDIRECT], "grant_types": ["client_credentials"]}
    client = realm.post_client("openid-connect", {**grants, "scope": "mcp:tools"})
    known = {"client_id": client["client_id"], "client_secret": client["client_secret"]}
    response = realm.token(grant_type="client_credentials", scope="mcp:tools", **known)
    return claims(response["access_token"])


@pytest.mark.requirement("weaknesses.default_group")
@pytest.mark.parametrize("kind", ["ours", "theirs", "below", "by a composed role"])
def test_a_default_group_grants_no_managed_role(keycloak: Keycloak, tmp_path: Path, kind: str) -> None:
    realm = bootstrapped(keycloak, tmp_path, groups=GROUPS, machine_clients=SERVICE_CLIENT)
    admin = realm.admin()
    joined = find(admin, "engineering") if kind == "ours" else make(admin, "staff")
    harmless = make(admin, "harmless", "offline_access")
    if kind == "by a composed role":
        admin.write("POST", ("roles",), {"name": "theirs"})
        admin.write("POST", ("roles", "theirs", "composites"), [admin.get("roles", "mcp-reader")])
        give(admin, joined, "theirs")
    elif kind != "ours":
        give(admin, joined, "mcp-reader")
    if kind == "below":
        admin.write("POST", ("groups", joined["id"], "children"), {"name": "floor"})
        (joined,) = admin.get("groups", joined["id"], "children")
    for group in (joined, harmless):
        admin.write("PUT", ("default-groups", group["id"]), {})

    assert token_without_a_user(realm)["aud"] == realm.public_url  # the weakness exists
    found = check(realm)
    assert "realm.default groups" in found.names
    assert [weakness.id for weakness in found.weaknesses] == ["S1"]
    realm.apply()
    assert check(realm).clean
    assert "aud" not in token_without_a_user(realm)
    assert [group["name"] for group in admin.get("default-groups")] == ["harmless"]
    assert realm.apply() == 0


@pytest.mark.parametrize("way", ["itself", "a composed role", "our own role"])
def test_a_group_that_grants_realm_administration_is_reported_and_left(own: Realm, way: str) -> None:
    admin = own.admin()
    client, right = rights(admin)
    engineering = find(admin, "engineering")
    if way == "itself":
        admin.write("POST", ("groups", engineering["id"], "role-mappings", "clients", client), [right])
    elif way == "a composed role":
        admin.write("POST", ("roles",), {"name": "boss"})
        admin.write("POST", ("roles", "boss", "composites"), [right])
        give(admin, engineering, "boss")
    else:
        admin.write("POST", ("roles", "mcp-writer", "composites"), [right])
    found = check(own)
    assert found.names == []
    groups = ["engineering", "acme:platform"] if way == "our own role" else ["engineering"]
    named = [weakness.what.split("group ")[1].split(" ")[0] for weakness in found.weaknesses if weakness.id == "G1"]
    assert named == groups
    assert [weakness.id for weakness in found.weaknesses if weakness.id != "G1"] == ["R2"] * (way == "our own role")
    # Otherwise the account that may only manage memberships could make itself an administrator.
    limited = {**own.environment, **account(own, "view-realm", "manage-users")}
    mallory = user(admin, "mallory", None)
    as_limited(limited).write("PUT", ("users", mallory["id"], "groups", engineering["id"]), {})
    assert own.apply() == 0


@pytest.mark.parametrize("by", ["a role of theirs", "our own role"])
def test_a_group_that_grants_more_managed_roles_by_a_composite_is_reported(own: Realm, by: str) -> None:
    admin = own.admin()
    role = "mcp-writer" if by == "our own role" else "theirs"
    if role == "theirs":
        admin.write("POST", ("roles",), {"name": role})
    admin.write("POST", ("roles", role, "composites"), [admin.get("roles", "mcp-admin")])
    if role == "theirs":
        give(admin, find(admin, "engineering"), role)
    user(admin, "ada", find(admin, "engineering"))
    token = claims(own.log_in("ada", "mcp-native", scope="mcp:tools mcp:admin")["access_token"])
    assert "mcp:admin" in token["scope"].split()  # more than the file grants
    found = check(own)
    assert (found.clean, [(weakness.id, weakness.what) for weakness in found.weaknesses]) == (
        False,
        [("G2", "members of the group engineering also get mcp:admin, through a composite role")],
    )


def as_limited(variables: dict[str, str]) -> AdminClient:
    from mcp_idp.cli.bootstrap.keycloak.admin_client import AdminClient  # noqa: PLC0415 - needed here only
    from mcp_idp.cli.bootstrap.keycloak.settings import KeycloakSettings  # noqa: PLC0415 - as above

    session = AdminClient(KeycloakSettings.load(variables))
    session.log_in(30)
    return session


def test_groups_require_rights_over_users_and_a_realm_without_them_does_not(keycloak: Keycloak, tmp_path: Path) -> None:
    realm = bootstrapped(keycloak, tmp_path, demo_users={})
    blind = account(realm, "view-realm", "view-clients")
    writer = account(realm, "manage-realm", "manage-clients")
    admin = realm.admin()
    # Keycloak shows the default groups only with this right; `check` reports that it is missing.
    default_group_id = make(admin, "all", "mcp-reader")["id"]
    for _ in ("there is none", "there is one"):
        found = check(realm, **blind)
        assert found.clean
        assert [warning for warning in found.warnings if "nor default groups" in warning]
        code, out, _ = command_line(realm, "apply", **writer)
        assert (code, "default groups were not checked" in out, "no changes" in out) == (0, True, True)
        admin.write("PUT", ("default-groups", default_group_id), {})
    assert check(realm).names == ["realm.default groups"]
    assert "groups" not in "".join(check(realm).warnings)

    realm.write_access(groups=GROUPS, demo_users={})
    before = admin.get()
    code, out, error = command_line(realm, "apply", **writer)
    assert (code, out) == (PermissionDenied.exit_code, "")
    assert error == "bootstrap: the admin client may not read groups: give it manage-users (check: view-users)\n"
    assert admin.get() == before
    able = account(realm, "manage-realm", "manage-clients", "manage-users")
    assert command_line(realm, "apply", **able)[0] == 0
    reader = account(realm, "view-realm", "view-clients", "view-users")
    assert check(realm, **reader).clean
    give(admin, find(admin, "engineering"), "mcp-admin")
    assert check(realm, **reader).names == ["group engineering.roles"]
    assert "may not read groups" in "\n".join(check(realm, **blind).warnings)
    assert check(realm, **blind).names == []


def _some(few: tuple[int, ...], maximum: int) -> list[object]:
    return [n if n in few else pytest.param(n, marks=pytest.mark.full) for n in range(1, maximum + 1)]


@pytest.mark.parametrize("writes", _some((4,), FIRST_TIME))
def test_an_interrupted_apply_with_groups_grants_nothing_more_and_is_completed(
    keycloak: Keycloak, tmp_path: Path, writes: int
) -> None:
    realm = bootstrapped(keycloak, tmp_path, groups={"old": ["mcp-admin"], "engineering": ["mcp-admin"]}, demo_users={})
    admin = realm.admin()
    for name in ("old", "engineering"):
        user(admin, f"in-{name}", find(admin, name))
    realm.write_access(groups=GROUPS, demo_users=DEMO)
    assert len(plan(realm)) == FIRST_TIME
    with recording(realm.server.url) as proxy:
        proxy.fails_after = writes
        with pytest.raises(ProviderUnreachable):
            realm.apply(internal_url=f"{proxy.url}/realms/{realm.name}")
        assert len(proxy.writes) == writes
    group_roles = {
        name: set(group["realmRoles"]) for name in (*GROUPS, "old") if (group := admin.find("group-by-path", name))
    }
    assert group_roles.get("old", set()) <= {"mcp-admin"}
    assert group_roles["engineering"] in ({"mcp-admin"}, set(), {"mcp-writer"})  # never both roles
    assert group_roles.get("acme:platform", set()) <= set(GROUPS["acme:platform"])
    realm.apply()
    assert check(realm).clean
    assert realm.apply() == 0
    assert admin.find("group-by-path", "old") is None
    assert find(admin, "engineering")["realmRoles"] == ["mcp-writer"]
