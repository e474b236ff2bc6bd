"""Key rotations and outages of Keycloak while users call tools."""

from __future__ import annotations

import asyncio
import json
import subprocess
import time
from collections import Counter
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import jwt
import pytest
from anyio.lowlevel import checkpoint
from structlog.testing import capture_logs

from mcp_idp.testing.issuer import b64
from mcp_idp.util.clock import Clock
from tests.support.in_process import Served, serving, settings_for
from tests.support.keycloak.realm import REDIRECT, bootstrapped

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from tests.support.keycloak.realm import Json, Keycloak, Realm

pytestmark = [pytest.mark.anyio, pytest.mark.containers]

AGE = 60  # maximum age of keys in seconds, less than a token's lifetime
PATIENT = {"CLOCK_LEEWAY": "300s"}  # the clock that issues tokens runs, while ours stands still
USERS = 4
TYPE = "org.keycloak.keys.KeyProvider"
FETCH_FAILED = "jwks_fetch_failed"


def tokens(realm: Realm, count: int = 1) -> list[str]:
    """Returns access tokens of one login, each newly signed."""
    client = realm.register(redirect_uris=[REDIRECT], scope="mcp:tools")
    response = realm.log_in("reader", client["client_id"], scope="mcp:tools")
    found = [str(response["access_token"])]
    while len(found) < count:
        response = realm.token(
            grant_type="refresh_token", client_id=client["client_id"], refresh_token=response["refresh_token"]
        )
        found.append(str(response["access_token"]))
    return found


def header(token: str) -> Json:
    found: Json = jwt.get_unverified_header(token)
    return found


def by_an_unknown_key(token: str) -> str:
    """Returns the token with an unknown `kid`."""
    _, claims, signature = token.split(".")
    return f"{b64(json.dumps({**header(token), 'kid': 'not-yet-published'}).encode())}.{claims}.{signature}"


def add_key(realm: Realm, kind: str = "rsa-generated", **config: str) -> None:
    """Adds a key to the realm, which signs from now on."""
    admin = realm.admin()
    settings = {"priority": "200", "enabled": "true", "active": "true", **config}
    component = {
        "name": f"another {kind}",
        "providerId": kind,
        "providerType": TYPE,
        "parentId": admin.get()["id"],
        "config": {name: [value] for name, value in settings.items()},
    }
    admin.write("POST", ("components",), component)


def sign_with(realm: Realm, algorithm: str) -> None:
    realm.admin().write("PUT", (), {"defaultSignatureAlgorithm": algorithm})


def first_key(realm: Realm) -> Json:
    """Returns the key provider that every realm has initially."""
    (found,) = [c for c in realm.admin().get("components", type=TYPE) if c["name"] == "rsa-generated"]
    key: Json = found
    return key


def retire_first_key(realm: Realm) -> None:
    """Makes the first key passive: it signs no more, but its signatures still verify."""
    key = first_key(realm)
    realm.admin().write("PUT", ("components", key["id"]), {**key, "config": {**key["config"], "active": ["false"]}})


def remove_first_key(realm: Realm) -> None:
    realm.admin().write("DELETE", ("components", first_key(realm)["id"]))


@contextmanager
def paused(realm: Realm) -> Iterator[None]:
    """Pauses Keycloak: it accepts connections but does not respond."""
    port = urlsplit(realm.server.url).port
    (container,) = subprocess.check_output(
        ["docker", "ps", "--quiet", "--filter", f"publish={port}"], text=True
    ).split()
    subprocess.run(["docker", "pause", container], check=True, capture_output=True)
    try:
        yield
    finally:
        subprocess.run(["docker", "unpause", container], check=True, capture_output=True)


@dataclass
class Load:
    """Clients that call a tool repeatedly, with each token in turn.

    Attributes:
        tokens: the tokens; tests may add some.
        statuses: the number of responses by status.
        pause: seconds between two calls of a client.
    """

    server: Served
    tokens: list[str]
    pause: float = 0.0
    statuses: Counter[int] = field(default_factory=Counter)
    _over: bool = False
    _responses: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def call_again_and_again(self) -> None:
        while not self._over:
            status = await self.server.status(self.tokens[self.statuses.total() % len(self.tokens)])
            async with self._responses:
                self.statuses[status] += 1
                self._responses.notify_all()
            await asyncio.sleep(self.pause)

    async def send_calls(self, count: int = 40) -> None:
        """Waits until `count` more calls have been answered."""
        enough = self.statuses.total() + count
        async with self._responses:
            await self._responses.wait_for(lambda: self.statuses.total() >= enough)

    def end(self) -> None:
        self._over = True


@asynccontextmanager
async def load(server: Served, of: list[str], pause: float = 0.0) -> AsyncIterator[Load]:
    calls = Load(server, of, pause)
    async with asyncio.TaskGroup() as users:
        for _ in range(USERS):
            users.create_task(calls.call_again_and_again())
        yield calls
        calls.end()


@pytest.fixture(scope="module")
def signing(keycloak: Keycloak, tmp_path_factory: pytest.TempPathFactory) -> Realm:
    """Creates a realm to which each test adds keys."""
    return bootstrapped(keycloak, tmp_path_factory.mktemp("signing"))


async def test_while_keys_are_rotated_no_request_fails(realm: Realm) -> None:
    old = tokens(realm, 5)
    settings = settings_for(realm, KEY_MAX_AGE=f"{AGE}s", **PATIENT)
    async with serving(settings) as server, load(server, list(old)) as calls:
        await calls.send_calls()
        await asyncio.to_thread(add_key, realm)
        await calls.send_calls()
        new = await asyncio.to_thread(tokens, realm, 5)
        assert {header(token)["kid"] for token in new}.isdisjoint(header(token)["kid"] for token in old)
        calls.tokens += new
        await calls.send_calls()
        await asyncio.to_thread(retire_first_key, realm)
        calls.tokens += await asyncio.to_thread(tokens, realm, 5)
        await calls.send_calls()
        server.clock.forward(AGE + 1)  # the keys are fetched again
        await calls.send_calls()
    assert set(calls.statuses) == {200}


async def test_the_tokens_of_a_removed_key_are_rejected_after_key_max_age(realm: Realm) -> None:
    (old,) = tokens(realm)
    add_key(realm)
    (new,) = tokens(realm)
    with capture_logs() as lines:
        async with serving(settings_for(realm, KEY_MAX_AGE=f"{AGE}s")) as server:
            assert [await server.status(old), await server.status(new)] == [200, 200]
            remove_first_key(realm)
            server.clock.forward(AGE / 2)
            assert [await server.status(old), await server.status(new)] == [200, 200]
            server.clock.forward(AGE / 2 + 1)
            assert [await server.status(old), await server.status(new)] == [401, 200]
    assert [line["reason"] for line in lines if line["event"] == "request_rejected"] == ["key_unknown"]


@pytest.mark.requirement("keycloak.algorithms")
@pytest.mark.parametrize(
    ("algorithm", "kind", "config"),
    [
        ("ES256", "ecdsa-generated", {"ecdsaEllipticCurveKey": "P-256"}),
        ("ES384", "ecdsa-generated", {"ecdsaEllipticCurveKey": "P-384"}),
        ("PS256", "rsa-generated", {"algorithm": "PS256", "keySize": "2048"}),
        ("RS512", "rsa-generated", {"algorithm": "RS512", "keySize": "2048"}),
        ("EdDSA", "eddsa-generated", {"eddsaEllipticCurveKey": "Ed25519"}),
    ],
)
async def test_a_token_verifies_in_the_algorithm_the_realm_signs_with(
    signing: Realm, algorithm: str, kind: str, config: dict[str, str]
) -> None:
    sign_with(signing, "RS256")
    (before,) = tokens(signing)
    add_key(signing, kind, **config)
    sign_with(signing, algorithm)
    (token,) = tokens(signing)
    assert (header(before)["alg"], header(token)["alg"]) == ("RS256", algorithm)
    async with serving(settings_for(signing)) as server:
        assert await server.status(token) == 200
        assert await server.status(before) == 200
        assert await server.status(token[:-8] + "AAAAAAAA") == 401


@pytest.mark.requirement("keycloak.algorithms")
async def test_a_realm_that_signs_with_a_shared_secret_is_not_trusted(signing: Realm) -> None:
    sign_with(signing, "HS256")
    (token,) = tokens(signing)
    assert header(token)["alg"] == "HS256"
    with capture_logs() as lines:
        async with serving(settings_for(signing)) as server:
            assert await server.status(token) == 401
    assert [line["reason"] for line in lines if line["event"] == "request_rejected"] == ["algorithm"]


async def test_while_keycloak_hangs_known_keys_verify_and_unknown_ones_are_503(realm: Realm) -> None:
    known, known_by_key = tokens(realm, 2)
    settings = settings_for(realm, KEY_MAX_AGE=f"{AGE}s", **PATIENT)
    with capture_logs() as lines:
        async with serving(settings, patience=1.0) as server:
            assert await server.status(known) == 200
            with paused(realm):
                async with load(server, [known, known_by_key]) as calls:
                    await calls.send_calls()
                    unknown = await server.post(by_an_unknown_key(known))
                    await calls.send_calls()
                    server.clock.forward(AGE + 1)  # the keys are due for a refresh, which fails
                    await calls.send_calls()
            assert (await server.client.get("/readyz")).status_code == 200
    assert set(calls.statuses) == {200}
    assert (unknown.status_code, int(unknown.headers["retry-after"]) > 0) == (503, True)
    assert "www-authenticate" not in unknown.headers
    # Once for the unknown key and once because the keys were due, however many calls there were.
    assert 1 <= len([line for line in lines if line["event"] == FETCH_FAILED]) <= 2


async def test_after_an_outage_the_keys_are_current_again_by_themselves(realm: Realm) -> None:
    (known,) = tokens(realm)
    settings = settings_for(realm, KEY_MAX_AGE=f"{AGE}s", **PATIENT)
    async with serving(settings, patience=1.0) as server:
        assert await server.status(known) == 200
        with paused(realm):
            assert await server.status(by_an_unknown_key(known)) == 503
        add_key(realm)
        remove_first_key(realm)
        server.clock.forward(AGE + 1)
        async with asyncio.timeout(30):
            while await server.status(known) == 200:  # cached keys are used until the new ones arrive
                await checkpoint()  # an in-process call never yields, so nothing else would run
        assert [await server.status(token) for token in (known, *tokens(realm))] == [401, 200]


@pytest.mark.full
async def test_a_minute_without_keycloak_fails_no_request_with_a_known_token(realm: Realm) -> None:
    known = tokens(realm, 3)
    settings = settings_for(realm, KEY_MAX_AGE="5s", KEY_MAX_STALE="1h")
    with capture_logs() as lines:
        async with serving(settings, clock=Clock(), patience=1.0) as server, load(server, known, 0.05) as calls:
            await calls.send_calls()
            with paused(realm):
                end = time.monotonic() + 60
                while time.monotonic() < end:
                    await calls.send_calls()
            await calls.send_calls()
            add_key(realm)
            calls.tokens += await asyncio.to_thread(tokens, realm)
            await calls.send_calls()
    assert set(calls.statuses) == {200}
    assert FETCH_FAILED in [line["event"] for line in lines]
