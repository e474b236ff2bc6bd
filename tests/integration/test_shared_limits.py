"""Two servers that share limits through a real Valkey, also while it is stopped and started."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

import httpx
import pytest

from mcp_idp.config.settings import Settings
from mcp_idp.testing.issuer import Issuer
from mcp_idp.testing.issuer_server import serve_issuer
from tests.support.app import Calls
from tests.support.compose_stack import free_port
from tests.support.mcp_server_process import serving_process
from tests.support.valkey import Valkey, running_valkey

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.support.mcp_server_process import Process

pytestmark = [pytest.mark.anyio, pytest.mark.containers]
A_MINUTE = 40  # calls of the limited tool
PERSONS = 3
_PATIENCE = 60


@pytest.fixture(scope="module")
def valkey(engine: None) -> Iterator[Valkey]:
    with running_valkey() as server:
        yield server


class Site:
    """Two replicas of one server, and users who are logged in."""

    def __init__(self, public: str, issuer: Issuer, replicas: list[Process]) -> None:
        self._public = public
        self._issuer = issuer
        self.replicas = replicas

    def token(self, user: str) -> str:
        return self._issuer.token(sub=user, aud=self._public, iat=self._issuer.now, exp=self._issuer.now + 3000)

    async def count_accepted(self, replica: int, user: str, times: int) -> int:
        """How many of these calls one replica accepts."""
        async with httpx.AsyncClient(base_url=self.replicas[replica].origin, trust_env=False) as client:
            statuses = [(await Calls(client).post(self.token(user))).status_code for _ in range(times)]
        assert set(statuses) <= {200, 429}
        return statuses.count(200)

    async def wait_for_event(self, event: str) -> None:
        """Waits until both replicas have logged an event."""
        async with asyncio.timeout(_PATIENCE):
            while not all(event in replica.log for replica in self.replicas):  # noqa: ASYNC110 - as below
                await asyncio.sleep(0.1)  # polling processes that send no notification


@contextmanager
def site(folder: Path, **variables: str) -> Iterator[Site]:
    issuer, port = Issuer(now=time.time()), free_port()
    access = folder / "access.yaml"
    limits = (
        f"\ntool_limits:\n  whoami: {{calls_per_minute: {A_MINUTE}}}\n" if "RATE_LIMIT_USER" not in variables else ""
    )
    access.write_text(Settings().access_file.read_text() + limits)
    with ExitStack() as stack:
        settings = {
            "MCP_PUBLIC_URL": f"http://localhost:{port}/mcp",
            "OAUTH_INTERNAL_URL": stack.enter_context(serve_issuer(issuer)),
            "ACCESS_FILE": str(access),
            **variables,
        }
        replicas = [
            stack.enter_context(serving_process(settings, folder / f"{number}.log", port=where))
            for number, where in enumerate((port, free_port()))
        ]
        yield Site(settings["MCP_PUBLIC_URL"], issuer, replicas)


async def test_a_limit_that_is_used_up_at_one_replica_is_used_up_at_the_other(valkey: Valkey, tmp_path: Path) -> None:
    with site(tmp_path, RATE_LIMIT_STORAGE=valkey.url) as servers:
        first = await servers.count_accepted(0, "ada", A_MINUTE + 5)
        second = await servers.count_accepted(1, "ada", A_MINUTE)
        other = await servers.count_accepted(1, "bob", 5)
        names = valkey.names()
    print(f"limit {A_MINUTE}: {first} at the first replica, then {second} at the second; another user {other} of 5")  # noqa: T201 - what was seen
    assert A_MINUTE <= first <= A_MINUTE + 2  # a slow machine may see the minute move on a little
    assert second < A_MINUTE / 2
    assert other == 5
    assert names
    assert not [key for key in names if "ada" in key or "localhost" in key]


async def test_without_a_storage_each_replica_has_its_own_limits(engine: None, tmp_path: Path) -> None:
    with site(tmp_path) as servers:
        assert await servers.count_accepted(0, "ada", A_MINUTE + 5) >= A_MINUTE
        assert await servers.count_accepted(1, "ada", A_MINUTE) == A_MINUTE


@contextmanager
def load(servers: Site) -> Iterator[Callable[[], Counter[int]]]:
    """Calls of some users to both replicas, one after the other, from its beginning to its end."""
    statuses: Counter[int] = Counter()
    tasks = [
        asyncio.ensure_future(_call_on_and_on(servers, replica, f"user-{user}", statuses))
        for user in range(PERSONS)
        for replica in range(2)
    ]
    try:
        yield lambda: statuses
    finally:
        for task in tasks:
            task.cancel()


async def _call_on_and_on(servers: Site, replica: int, user: str, statuses: Counter[int]) -> None:
    token = servers.token(user)
    async with httpx.AsyncClient(base_url=servers.replicas[replica].origin, trust_env=False, timeout=30) as client:
        while True:
            statuses[(await Calls(client).post(token)).status_code] += 1


@pytest.mark.timeout(300)
async def test_no_call_fails_while_the_storage_is_stopped_and_started(valkey: Valkey, tmp_path: Path) -> None:
    rate = {"RATE_LIMIT_USER": "300"}  # shared from 150 calls in ten seconds on
    with site(tmp_path, RATE_LIMIT_STORAGE=valkey.url, **rate) as servers, load(servers) as statuses:
        async with asyncio.timeout(_PATIENCE):
            while not [name for name in valkey.names() if ":user:" in name]:  # noqa: ASYNC110 - in another process
                await asyncio.sleep(0.5)  # until so much was counted that it is shared
        for _ in range(2):
            before = statuses().total()
            await asyncio.to_thread(valkey.stop)
            await servers.wait_for_event("rate_limit_storage_unavailable")
            away = statuses().total()
            await asyncio.sleep(3)  # the load goes on
            await asyncio.to_thread(valkey.start)
            await servers.wait_for_event("rate_limit_storage_available")
            for replica in servers.replicas:
                replica.log_file.write_text("")
            print(f"calls before it was missed: {away - before}, then until it was back: {statuses().total() - away}")  # noqa: T201 - what was seen
        counts = dict(statuses())
    print(f"responses: {counts}")  # noqa: T201 - what was seen
    assert set(counts) == {200}
    assert counts[200] > 100
