"""Every client profile and every malicious registration at a real Keycloak, under each registration profile."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx
import pytest

from mcp_idp.access.policy import load_access
from mcp_idp.util.clock import Clock
from tests.client_compat.expected import EXPECTED
from tests.client_compat.index import PROFILES
from tests.client_compat.malicious_registrations import GOOD, REJECTED
from tests.client_compat.narrowed_registrations import NARROWED
from tests.client_compat.replay import Replay
from tests.support.in_process import serving, settings_for
from tests.support.keycloak.realm import bootstrapped, claims, is_valid_for
from tests.support.keycloak.tutorial_realm import tutorial_realm

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.client_compat.malicious_registrations import Hostile
    from tests.support.keycloak.realm import Json, Keycloak, Realm

    Realms = Callable[[str], Realm]

pytestmark = [pytest.mark.anyio, pytest.mark.containers]

KEYCLOAK = EXPECTED["Keycloak"]
COLUMNS = KEYCLOAK.tested()
CELLS = [(profile, name) for profile in COLUMNS for name in PROFILES]
ALLOWED_CELLS = [(profile, name) for profile, name in CELLS if name in COLUMNS[profile].allowed]
REJECTIONS = {400, 403}
TUTORIAL_SCOPES = "mcp:tools mcp:notes.read"  # requested by a server of such a realm
KNOWN_TO_TUTORIALS = 6  # at least this many client profiles: such a realm allows loopback only


@pytest.fixture(scope="module")
def realms(keycloak: Keycloak, tmp_path_factory: pytest.TempPathFactory) -> Realms:
    """Returns the realms by registration profile, each created at its first use."""
    made: dict[str, Realm] = {}

    def of(profile: str) -> Realm:
        if profile not in made:
            folder = tmp_path_factory.mktemp(profile)
            made[profile] = bootstrapped(keycloak, folder, registration={"profile": profile})
        return made[profile]

    return of


def replay(realm: Realm, profile: str, name: str) -> Replay:
    scopes = " ".join(load_access(settings_for(realm).access_file).login_scopes)
    initial_access_token = create_initial_access_token(realm) if COLUMNS[profile].initial_access_token else None
    return Replay(realm, PROFILES[name], scopes, initial_access_token)


def create_initial_access_token(realm: Realm) -> str:
    """Creates an initial access token, as an administrator does for a user."""
    path = f"admin/realms/{realm.name}/clients-initial-access"
    token: str = realm.admin().connection.raw_post(path, data='{"count": 1, "expiration": 60}').json()["token"]
    return token


def send(realm: Realm, hostile: Hostile, initial_access_token: str | None = None) -> httpx.Response:
    headers = {"Content-Type": "application/json"}
    if initial_access_token:
        headers["Authorization"] = f"Bearer {initial_access_token}"
    return httpx.post(f"{realm.issuer}/clients-registrations/openid-connect", content=hostile.body, headers=headers)


@pytest.mark.requirement("registration.profiles")
@pytest.mark.parametrize("profile", COLUMNS)
def test_each_client_is_registered_or_rejected_as_the_table_says(realms: Realms, profile: str) -> None:
    realm, column = realms(profile), COLUMNS[profile]
    responses = {name: replay(realm, profile, name).register() for name in PROFILES}
    expected = {name: 201 if name in column.allowed else column.status for name in PROFILES}
    assert {name: response["status"] for name, response in responses.items()} == expected
    assert all(("client_id" in response) == (response["status"] == 201) for response in responses.values())


@pytest.mark.requirement("registration.profiles")
@pytest.mark.parametrize("profile", [name for name, column in COLUMNS.items() if column.initial_access_token])
def test_without_an_initial_access_token_no_client_registers_where_one_is_required(
    realms: Realms, profile: str
) -> None:
    realm = realms(profile)
    statuses = {Replay(realm, profile, "mcp:tools").register()["status"] for profile in PROFILES.values()}
    assert statuses <= {401, 403}


@pytest.mark.requirement("registration.login", "registration.token", "registration.refresh", "registration.deletion")
@pytest.mark.parametrize(("profile", "name"), ALLOWED_CELLS)
async def test_a_client_logs_in_calls_refreshes_and_is_forgotten(realms: Realms, profile: str, name: str) -> None:
    realm = realms(profile)
    client_of = replay(realm, profile, name)
    client = client_of.register()
    assert client["status"] == 201, client
    async with serving(settings_for(realm), clock=Clock()) as server:
        for uri in PROFILES[name].redirects:
            response = client_of.log_in(client, uri)
            assert response.get("status") == 200, (uri, response)
            assert_outcome(realm, client, response)
            assert await server.status(response["access_token"]) == 200
        fresh = client_of.refresh(client, response["refresh_token"])
        assert fresh["status"] == 200, fresh
        assert_outcome(realm, client, fresh)
        assert fresh["access_token"] != response["access_token"]
        assert await server.status(fresh["access_token"]) == 200
    assert client_of.forget(client) == 204
    assert realm.admin().get("clients", clientId=client["client_id"]) == []
    assert client_of.refresh(client, fresh["refresh_token"])["status"] in {400, 401}


def assert_outcome(realm: Realm, client: Json, response: Json) -> None:
    """Asserts that the token is for this user, client and server, with the scopes of the user's role."""
    token = claims(response["access_token"])
    assert token["aud"] == realm.public_url
    # The reader's scopes of the three requested ones; offline_access concerns only client and provider.
    assert set(token["scope"].split()) - {"offline_access"} == {"mcp:tools", "mcp:notes.read"}, token["scope"]
    assert (token["iss"], token["azp"], token["typ"]) == (realm.issuer, client["client_id"], "Bearer")
    assert is_valid_for(token, 300)


async def test_every_client_works_at_an_adopted_realm_those_registered_before_too(
    keycloak: Keycloak, tmp_path_factory: pytest.TempPathFactory
) -> None:
    realm = tutorial_realm(keycloak, tmp_path_factory.mktemp("adopted"), "test-adopted-with-clients")
    replays = [Replay(realm, PROFILES[name], TUTORIAL_SCOPES) for name in COLUMNS["open-dev"].allowed]
    tried = [(client_of, client_of.register()) for client_of in replays]
    before = [(client_of, client) for client_of, client in tried if client["status"] == 201]
    assert len(before) >= KNOWN_TO_TUTORIALS
    realm.apply()
    after = [(client_of, client_of.register()) for client_of in replays]
    assert {client["status"] for _, client in after} == {201}
    async with serving(settings_for(realm), clock=Clock()) as server:
        for client_of, client in [*before, *after]:
            response = client_of.log_in(client, client["redirect_uris"][0])
            fresh = client_of.refresh(client, response["refresh_token"])
            for token in (response["access_token"], fresh["access_token"]):
                assert await server.status(token) == 200
                # A client keeps its default scopes in such a realm, such as email.
                assert set(claims(token)["scope"].split()) >= set(TUTORIAL_SCOPES.split())


@pytest.mark.requirement("registration.concurrent_refresh")
@pytest.mark.parametrize("name", ["Claude Code", "TypeScript SDK 2.x", "mcp-remote"])  # one per authentication method
def test_two_refreshes_at_once_both_go_through_and_the_session_goes_on(realms: Realms, name: str) -> None:
    client_of = replay(realms("open-dev"), "open-dev", name)
    client = client_of.register()

    def after(chosen: int) -> int:
        """Returns the status of another refresh with one of the two new tokens."""
        response = client_of.log_in(client, PROFILES[name].redirects[0])
        responses = client_of.refresh_twice_at_once(client, response["refresh_token"])
        assert tuple(each["status"] for each in responses) == KEYCLOAK.parallel_refresh
        status: int = client_of.refresh(client, responses[chosen]["refresh_token"])["status"]
        return status

    # Only one of the two is valid, depending on Keycloak; the use of the other ends the session.
    assert KEYCLOAK.after_parallel_refresh in (after(turn % 2) for turn in range(8))
    assert client_of.log_in(client, PROFILES[name].redirects[0])["status"] == 200  # the registration is unchanged


@pytest.mark.requirement("registration.hostile")
@pytest.mark.parametrize("profile", COLUMNS)
def test_no_hostile_registration_is_accepted(realms: Realms, profile: str) -> None:
    realm, column = realms(profile), COLUMNS[profile]
    before = clients(realm)
    odd: dict[str, str] = {}
    for hostile in REJECTED:
        response = send(realm, hostile, create_initial_access_token(realm) if column.initial_access_token else None)
        fails = {KEYCLOAK.failures[hostile.name]} if hostile.name in KEYCLOAK.failures else set()
        if response.status_code not in REJECTIONS | fails:
            odd[hostile.name] = f"{response.status_code} {response.text[:200]}"
    assert odd == {}
    assert clients(realm) == before


def clients(realm: Realm) -> set[str]:
    return {client["clientId"] for client in realm.admin().get("clients")}


@pytest.mark.requirement("registration.narrowed")
@pytest.mark.parametrize("profile", [name for name, column in COLUMNS.items() if column.allowed])
def test_a_client_that_asks_for_more_than_the_code_flow_does_not_get_it(realms: Realms, profile: str) -> None:
    realm, column = realms(profile), COLUMNS[profile]
    for hostile in NARROWED:
        response = send(realm, hostile, create_initial_access_token(realm) if column.initial_access_token else None)
        assert response.status_code in {201, *REJECTIONS}, (hostile.name, response.text)
        if response.status_code == 201:
            check_narrowed(realm, response.json(), hostile.name)


def check_narrowed(realm: Realm, registered: Json, name: str) -> None:
    (client,) = realm.admin().get("clients", clientId=registered["client_id"])
    assert (client["consentRequired"], client["fullScopeAllowed"]) == (True, False), name
    assert (client["implicitFlowEnabled"], client["directAccessGrantsEnabled"]) == (False, False), name
    assert set(client["redirectUris"]) <= {GOOD}, name
    assert client.get("protocolMappers", []) in ([], pairwise(client)), name
    assert client["attributes"].get("pkce.code.challenge.method") == "S256", name
    secret = {"client_secret": registered["client_secret"]} if "client_secret" in registered else {}
    user = {"username": "reader", "password": "reader"}
    for grant, more in (("client_credentials", {}), ("password", user)):
        token = realm.token(grant_type=grant, client_id=client["clientId"], scope="mcp:tools", **secret, **more)
        assert token["status"] in {400, 401}, (name, grant, token)
        assert "access_token" not in token, (name, grant)


def pairwise(client: Json) -> list[Json]:
    """Returns the mapper that Keycloak creates by itself for a client with pairwise subjects."""
    found: list[Json] = client.get("protocolMappers", [])
    return [mapper for mapper in found if mapper["protocolMapper"] == "oidc-sha256-pairwise-sub-mapper"]


@pytest.mark.full
def test_a_thousand_registrations_fill_the_realm_and_no_more(
    keycloak: Keycloak, tmp_path_factory: pytest.TempPathFactory
) -> None:
    realm = bootstrapped(keycloak, tmp_path_factory.mktemp("flood"), registration={"max_clients": 60})
    free = 60 - len(clients(realm))
    statuses = [realm.register(redirect_uris=[GOOD], client_name=f"{n}")["status"] for n in range(1000)]
    assert statuses == [201] * free + [403] * (1000 - free)
    assert len(clients(realm)) == 60
    # This does not affect existing users.
    response = realm.log_in("reader", "mcp-native", scope="mcp:tools", redirect_uri="http://127.0.0.1:5555/callback")
    assert response["status"] == 200
