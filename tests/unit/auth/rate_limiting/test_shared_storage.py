"""Replicas that share limits, with a storage in memory, and without it."""

from __future__ import annotations

import os
import subprocess
import sys
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from limits.aio.storage import MemoryStorage
from structlog.testing import capture_logs

from mcp_idp.auth.rate_limiting.limits import RequestLimit
from mcp_idp.auth.rate_limiting.shared_storage import SharedLimits, open_storage
from mcp_idp.config import load_settings
from mcp_idp.config.env import SettingsError
from mcp_idp.errors import RateLimited
from tests.support.app import FakeClock

if TYPE_CHECKING:
    from collections.abc import Hashable

ROOT = Path(__file__).parents[4]
pytestmark = pytest.mark.anyio
USER = ("https://login.example.com", "ada", None)


class Storage(MemoryStorage):
    """One that can go away, and that tells what it was asked."""

    def __init__(self) -> None:
        super().__init__()
        self.away = False
        self.keys: list[str] = []

    async def incr(self, key: str, expiry: float, amount: int = 1) -> int:
        self.keys.append(key)
        if self.away:
            raise ConnectionError("redis://:secret@valkey")
        return await super().incr(key, expiry, amount)

    async def get(self, key: str) -> int:
        if self.away:
            raise ConnectionError("redis://:secret@valkey")
        return await super().get(key)


class Replica:
    def __init__(self, storage: Storage, clock: FakeClock, quota: int = 40, seconds: int = 10) -> None:
        self.limit = RequestLimit("user", quota, "slower", clock.clock.now, seconds=seconds)
        self.shared = SharedLimits(storage, [self.limit])

    def count_accepted(self, times: int, key: Hashable = USER) -> int:
        count = 0
        for _ in range(times):
            try:
                self.limit.take(key)
            except RateLimited:
                continue
            count += 1
        return count


def replicas(number: int = 2, **options: Any) -> tuple[Storage, FakeClock, list[Replica]]:
    storage, clock = Storage(), FakeClock(at=1_000.0)
    return storage, clock, [Replica(storage, clock, **options) for _ in range(number)]


async def exchange(*all_of: Replica, rounds: int = 1) -> None:
    for _ in range(rounds):
        for replica in all_of:
            await replica.shared.exchange()


async def test_requests_of_one_replica_count_at_the_other_after_one_exchange() -> None:
    _, _, (one, other) = replicas()
    assert one.count_accepted(30) == 30
    await exchange(one)
    assert other.count_accepted(2) == 2
    await exchange(other)
    assert other.count_accepted(50) == 8
    await exchange(other)
    assert one.count_accepted(1) == 1  # it learns what others counted when it has something to tell
    await exchange(one)
    assert one.count_accepted(50) == 0


@pytest.mark.parametrize("number", [2, 3, 5])
async def test_several_replicas_admit_a_user_as_often_as_one(number: int) -> None:
    _, clock, all_of = replicas(number)
    total = 0
    for turn in range(100):
        total += all_of[turn % number].count_accepted(1)
        await exchange(*all_of)
    assert 40 <= total < 40 + number
    clock.forward(10)  # the window before counts in part, on each of them
    clock.forward(5)
    for turn in range(100):
        total += all_of[turn % number].count_accepted(1)
        await exchange(*all_of)
    assert 55 <= total <= 40 + 20 + 2 * number


async def test_the_previous_window_counts_on_a_replica_that_did_not_see_it() -> None:
    _, clock, (one, other) = replicas()
    assert one.count_accepted(40) == 40
    await exchange(one)
    clock.forward(10)
    assert other.count_accepted(2) == 2
    await exchange(other)
    assert other.count_accepted(50) == 0


async def test_other_users_are_counted_separately() -> None:
    _, _, (one, other) = replicas()
    assert one.count_accepted(40) == 40
    await exchange(one, other, rounds=3)
    assert other.count_accepted(3, ("https://login.example.com", "bob", None)) == 3
    assert other.count_accepted(3, "198.51.100.7") == 3
    await exchange(one, other, rounds=3)
    assert other.count_accepted(50, "198.51.100.7") == 37


async def test_the_storage_has_neither_light_users_nor_names() -> None:
    storage, _, (one, _other) = replicas(quota=1000)
    one.count_accepted(49)
    await exchange(one)
    assert storage.keys == []
    one.count_accepted(1)
    await exchange(one)
    (key,) = storage.keys
    assert "ada" not in key
    assert "example" not in key


async def test_a_flood_of_addresses_causes_a_bounded_number_of_storage_calls() -> None:
    storage, _, (one, _other) = replicas(quota=10)
    for n in range(5000):
        one.count_accepted(1, f"address-{n}")
    await exchange(one)
    assert len(storage.keys) == 200


async def test_while_the_storage_is_unavailable_each_replica_counts_by_itself() -> None:
    storage, clock, (one, other) = replicas()
    with capture_logs() as lines:
        storage.away = True
        assert one.count_accepted(50) == 40
        await exchange(one, other, rounds=5)
        assert other.count_accepted(50) == 40
        await exchange(one, other, rounds=5)
        storage.away = False
        clock.forward(30)
        await exchange(one, other)
        assert one.count_accepted(40) == 40
        await exchange(one)
        assert other.count_accepted(2) == 2
        await exchange(other)
        assert other.count_accepted(50) == 0
    events = [line["event"] for line in lines]
    assert sorted(events) == ["rate_limit_storage_available"] * 2 + ["rate_limit_storage_unavailable"] * 2
    assert "secret" not in repr(lines)


@pytest.mark.parametrize(
    "url",
    [
        "redis://valkey:6379/0",
        "rediss://:secret@valkey:6379/0",
        "valkey://valkey:6379",
        "valkeys://valkey:6379",
        "redis+unix:///run/valkey.sock?db=1",
        "valkey+unix:///run/valkey.sock",
    ],
)
async def test_every_form_of_the_url_is_accepted(url: str) -> None:
    storage = open_storage(url, "http://localhost:3000/mcp")
    shared = SharedLimits(storage, [])
    await shared.close()


async def test_the_password_is_neither_in_errors_nor_in_logs() -> None:
    clock = FakeClock()
    limit = RequestLimit("user", 10, "slower", clock.clock.now)
    for url in ("redis://:secret@valkey:port/0", "redis://:secret@valkey", "redis://:secret@:1"):
        with pytest.raises(SettingsError, match="host and port") as error:
            open_storage(url, "http://localhost:3000/mcp")
        assert "secret" not in "".join(traceback.format_exception(error.value))
    with capture_logs() as lines:
        shared = SharedLimits(open_storage("redis://:secret@127.0.0.1:1/0", "http://localhost:3000/mcp"), [limit])
        limit.take("a")
        await shared.exchange()
        await shared.close()
    assert [line["event"] for line in lines] == ["rate_limit_storage_unavailable"]
    assert "secret" not in repr(lines)


@pytest.mark.parametrize("package", ["limits", "redis"])
def test_without_the_packages_the_start_fails_and_names_the_extra(package: str) -> None:
    program = (
        f"import sys; sys.modules[{package!r}] = None\n"
        "from mcp_idp import run\nfrom mcp_server.app import create_app\nsys.exit(run(create_app))"
    )
    environment = {**os.environ, "RATE_LIMIT_STORAGE": "redis://:secret@127.0.0.1:1/0"}
    ran = subprocess.run(
        [sys.executable, "-c", program], check=False, cwd=ROOT, env=environment, capture_output=True, text=True
    )
    assert ran.returncode == 2
    assert ran.stderr.splitlines() == [
        "mcp-server: RATE_LIMIT_STORAGE: needs the packages limits and redis: install the extra `redis`"
    ]


@pytest.mark.parametrize(
    "url", ["http://valkey:1", "valkey:6379", "redis://", "memcached://:secret@x:1", "redis://a b"]
)
def test_an_invalid_storage_url_is_rejected_and_not_repeated(url: str) -> None:
    with pytest.raises(SettingsError, match="RATE_LIMIT_STORAGE: write a URL such as") as error:
        load_settings({"RATE_LIMIT_STORAGE": url})
    assert "secret" not in str(error.value)


def test_the_url_may_be_in_a_file_and_is_in_no_repr(tmp_path: Path) -> None:
    (tmp_path / "url").write_text("redis://:secret@valkey:6379/0\n")
    settings = load_settings({"RATE_LIMIT_STORAGE_FILE": str(tmp_path / "url"), "RATE_LIMIT_USER": "0"})
    assert settings.limits.storage == "redis://:secret@valkey:6379/0"
    assert settings.limits.user_rate == 0
    assert "secret" not in repr(settings)
