"""Every client profile and every malicious registration at a real Dex, under each registration profile it supports."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace
from typing import TYPE_CHECKING

import httpx
import pytest

from mcp_idp.access.policy import load_access
from tests.client_compat.expected import EXPECTED
from tests.client_compat.index import PROFILES
from tests.client_compat.malicious_registrations import GOOD, REJECTED
from tests.client_compat.narrowed_registrations import NARROWED
from tests.client_compat.replay import Replay
from tests.support.dex import Dex, running_dex
from tests.support.in_process import serving
from tests.support.keycloak.realm import claims

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.support.dex import Json

    Servers = Callable[[str], Dex]

pytestmark = [pytest.mark.anyio, pytest.mark.containers]

DEX = EXPECTED["Dex"]
COLUMNS = DEX.tested()
ALLOWED_CELLS = [(profile, name) for profile, column in COLUMNS.items() for name in PROFILES if name in column.allowed]
REJECTIONS = {400, 403}
GRANTED_TO_EVERY_CLIENT = {
    "token_endpoint_auth_method": "none",
    "grant_types": ["authorization_code", "refresh_token"],
    "response_types": ["code"],
}


@pytest.fixture(scope="module")
def servers(engine: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    """Returns the Dex servers by registration profile, each started at its first use."""
    running: dict[str, Dex] = {}
    with ExitStack() as stack:

        def of(profile: str) -> Dex:
            if profile not in running:
                folder = tmp_path_factory.mktemp(profile)
                running[profile] = stack.enter_context(running_dex(folder, registration={"profile": profile}))
            return running[profile]

        yield of


def replay(dex: Dex, name: str, *, offline: bool = False) -> Replay:
    """Returns the replay of a client profile; with `offline` it also requests a refresh token."""
    profile = PROFILES[name]
    if offline and "offline_access" not in profile.authorize["scope"]:
        profile = replace(
            profile, authorize={**profile.authorize, "scope": f"{profile.authorize['scope']} offline_access"}
        )
    return Replay(dex, profile, " ".join(load_access(dex.settings().access_file).login_scopes))


@pytest.mark.requirement("registration.profiles", "dex.client_profiles")
@pytest.mark.parametrize("profile", COLUMNS)
def test_each_client_is_registered_or_rejected_as_the_table_says(servers: Servers, profile: str) -> None:
    dex, column = servers(profile), COLUMNS[profile]
    responses = {name: replay(dex, name).register() for name in PROFILES}
    expected = {name: 201 if name in column.allowed else column.status for name in PROFILES}
    assert {name: response["status"] for name, response in responses.items()} == expected
    assert all(("client_id" in response) == (response["status"] == 201) for response in responses.values())


@pytest.mark.requirement("registration.login", "registration.token", "registration.refresh", "dex.client_profiles")
@pytest.mark.parametrize(("profile", "name"), ALLOWED_CELLS)
async def test_a_client_logs_in_calls_and_refreshes_if_it_asks_for_that(
    servers: Servers, profile: str, name: str
) -> None:
    dex = servers(profile)
    client_of, lost = replay(dex, name), DEX.lost_redirects.get(name, ())
    client = client_of.register()
    requests_refresh_token = "offline_access" in PROFILES[name].authorize["scope"]
    async with serving(dex.settings()) as server:
        for uri in PROFILES[name].redirects:
            response = client_of.log_in(client, uri)
            if uri in lost:
                assert (response["status"], "access_token" in response) == (400, False)
                continue
            assert response.get("status") == 200, (uri, response)
            assert_outcome(dex, client, response)
            assert ("refresh_token" in response) == requests_refresh_token
            assert await server.status(response["access_token"]) == 200
        patient = replay(dex, name, offline=True)
        response = patient.log_in(client, PROFILES[name].redirects[0])
        fresh = patient.refresh(client, response["refresh_token"])
        assert fresh["status"] == 200, fresh
        assert_outcome(dex, client, fresh)
        assert await server.status(fresh["access_token"]) == 200


def assert_outcome(dex: Dex, client: Json, response: Json) -> None:
    """Asserts that the token is for this user, client and server, and expires in ten minutes."""
    token = claims(response["access_token"])
    assert (token["iss"], token["aud"]) == (dex.issuer, [dex.public_url, client["client_id"]])
    assert (token["azp"], token["groups"]) == (client["client_id"], ["mcp-reader"])
    assert token["exp"] - token["iat"] == 600
    assert "scope" not in response


@pytest.mark.requirement("registration.concurrent_refresh", "dex.client_profiles")
@pytest.mark.parametrize("name", ["Claude Code", "TypeScript SDK 2.x", "mcp-remote"])  # as at Keycloak
def test_two_refreshes_at_once_both_go_through_and_the_session_goes_on(servers: Servers, name: str) -> None:
    client_of = replay(servers("open-dev"), name, offline=True)
    client = client_of.register()
    response = client_of.log_in(client, PROFILES[name].redirects[0])
    responses = client_of.refresh_twice_at_once(client, response["refresh_token"])
    assert tuple(each["status"] for each in responses) == DEX.parallel_refresh
    after = [client_of.refresh(client, each["refresh_token"])["status"] for each in responses]
    assert DEX.after_parallel_refresh in after


@pytest.mark.requirement("registration.hostile", "dex.client_profiles")
@pytest.mark.parametrize("profile", COLUMNS)
def test_a_hostile_registration_is_rejected_or_gets_what_every_client_gets(servers: Servers, profile: str) -> None:
    dex, column = servers(profile), COLUMNS[profile]
    odd: dict[str, str] = {}
    for hostile in REJECTED:
        response = send(dex, hostile.body)
        is_registered = hostile.name in DEX.responses and bool(column.allowed)
        if response.status_code != 201 if is_registered else response.status_code not in REJECTIONS:
            odd[hostile.name] = f"{response.status_code} {response.text[:200]}"
        if is_registered:
            check_narrowed(response.json(), hostile.name)
    assert odd == {}


def send(dex: Dex, body: bytes) -> httpx.Response:
    return httpx.post(f"{dex.issuer}/register", content=body, headers={"Content-Type": "application/json"}, timeout=60)


def check_narrowed(registered: Json, name: str) -> None:
    """Asserts that it got a client of the pool, and nothing else that it requested."""
    assert registered["client_id"].startswith("mcp-native-"), name
    assert registered["redirect_uris"][0].startswith(GOOD), name
    known = {"client_id", "client_name", "redirect_uris", *GRANTED_TO_EVERY_CLIENT}
    assert registered.keys() == known, name
    assert {member: registered[member] for member in GRANTED_TO_EVERY_CLIENT} == GRANTED_TO_EVERY_CLIENT, name


@pytest.mark.requirement("registration.narrowed", "dex.client_profiles")
@pytest.mark.parametrize("profile", [name for name, column in COLUMNS.items() if column.allowed])
def test_a_client_that_asks_for_more_than_the_code_flow_does_not_get_it(servers: Servers, profile: str) -> None:
    dex = servers(profile)
    for hostile in NARROWED:
        response = send(dex, hostile.body)
        assert response.status_code in {201, *REJECTIONS}, (hostile.name, response.text)
        if response.status_code == 201:
            check_narrowed(response.json(), hostile.name)
            client = response.json()["client_id"]
            password_grant = {"username": "reader", "password": "reader", "scope": "openid"}
            for grant, more in (("client_credentials", {}), ("password", password_grant)):
                token = dex.token(grant_type=grant, client_id=client, **more)
                assert (token["status"] in REJECTIONS | {401}, "access_token" in token) == (True, False), hostile.name
