"""Many minutes of everything at once: the server then holds no more than after two minutes.

`SOAK_MINUTES=20 ./scripts/test tests/integration/test_soak.py` runs it; 20 minutes is the default.
"""

from __future__ import annotations

import os
import random
import secrets
import subprocess
import sys
import threading
import time
from collections import Counter
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass, field
from itertools import cycle
from statistics import median
from typing import TYPE_CHECKING

import pytest

from mcp_idp.testing.corpus.all_attacks import TOKENS, WIRE
from mcp_idp.testing.corpus.model import INITIALIZE, LIST, Request, call
from tests.support.compose_stack import REPOSITORY, free_port
from tests.support.keycloak.realm import REDIRECT, Realm
from tests.support.mcp_server_process import serving_command
from tests.support.memory_floods import Target, legacy, message

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.support.keycloak.realm import Keycloak

MINUTES = float(os.environ.get("SOAK_MINUTES", "20"))
EARLY, WINDOW = 120.0, 30.0  # seconds from the start, and the length of what is compared
GROWTH = 1.05
SMALL = 4  # file descriptors and tasks come and go with each connection, and there are few of them
LEGACY_METHODS = (LIST, message("whoami", b"1"))

pytestmark = [pytest.mark.containers, pytest.mark.full, pytest.mark.timeout(60 * MINUTES + 600)]


@dataclass
class Load:
    """What the clients do, and what came of it.

    Attributes:
        users: a valid token of each user who has logged in.
        statuses: the status of each response, by activity.
    """

    realm: Realm
    target: Target
    stopped: threading.Event = field(default_factory=threading.Event)
    provider_reachable: threading.Event = field(default_factory=threading.Event)
    users: dict[str, str] = field(default_factory=dict)
    statuses: dict[str, Counter[int]] = field(default_factory=dict)
    errors: list[BaseException] = field(default_factory=list)

    def repeat(self, name: str, seconds: float, act: Callable[[], int]) -> threading.Thread:
        """Repeats an activity every `seconds` in a thread until the load is stopped."""
        counts = self.statuses.setdefault(name, Counter())

        def run() -> None:
            while not self.stopped.wait(seconds):
                try:
                    counts[act()] += 1
                except Exception as error:  # noqa: BLE001 - the test reports it
                    self.errors.append(error)

        thread = threading.Thread(target=run)
        thread.start()
        return thread

    def log_in(self) -> int:
        self.provider_reachable.wait(120)
        user = random.choice(("reader", "writer", "admin"))  # noqa: S311 - no secret
        return self.log_in_as(user, "mcp:tools")

    def step_up(self) -> int:
        """A call that needs more than the token has, then a login with that scope."""
        self.provider_reachable.wait(120)
        request = call(self.users["writer"], body=message("note_add", b"1", text="x"))
        headers = tuple((n, v if n != b"mcp-name" else b"note_add") for n, v in request.headers)
        status = self.target.send(request.but(headers=headers)).status
        return self.log_in_as("writer", "mcp:tools mcp:notes.write") if status == 403 else status

    def log_in_as(self, user: str, scope: str) -> int:
        client = self.realm.register(redirect_uris=[REDIRECT], scope="mcp:tools mcp:notes.write")
        if client["status"] != 201:
            return int(client["status"])
        response = self.realm.log_in(user, client["client_id"], scope=scope)
        if "access_token" in response:
            self.users[user] = response["access_token"]
        return int(response.get("status", 0))

    def call(self) -> int:
        return self.target.send(call(self._token())).status

    def use_session(self) -> int:
        """Opens a session, uses it, and leaves every second one without ending it."""
        token = self._token()
        opened = self.target.send(call(token, body=INITIALIZE).but(headers=legacy(token)))
        session = opened.headers.get("mcp-session-id", "").encode()
        for body in LEGACY_METHODS:
            self.target.send(Request(legacy(token, session), body))
        if random.random() < 0.5:  # noqa: S311 - no secret
            self._send_bytes(self.target.to_bytes(Request(legacy(token, session), b"")).replace(b"POST", b"DELETE", 1))
        return opened.status

    def open_stream(self) -> int:
        """Opens the event stream of a session and leaves it after some seconds."""
        token = self._token()
        opened = self.target.send(call(token, body=INITIALIZE).but(headers=legacy(token)))
        session = opened.headers.get("mcp-session-id", "").encode()
        stream = self.target.to_bytes(Request(legacy(token, session), b"")).replace(b"POST", b"GET", 1)
        with closing(self.target.connect()) as connection:
            status = connection.send(stream).head().status
            self.stopped.wait(random.uniform(0, 3))  # noqa: S311 - no secret
        return status

    def junk(self) -> Iterator[Callable[[], int]]:
        """Every attack of the corpus on tokens and on the connection, half heads, and responses that are not read."""
        for attack in cycle((*TOKENS, *WIRE)):
            sent = attack.send(attack.stage.issuer())
            if isinstance(sent, str):
                yield lambda token=sent: self.target.send(call(token)).status  # type: ignore[misc]
            elif isinstance(sent, bytes):
                yield lambda data=sent: self._send_bytes(data)  # type: ignore[misc]
            yield lambda: self._send_bytes(b"POST /mcp HTTP/1.1\r\nHost: x\r\nA: " + b"a" * 30_000)
            yield lambda: self._send_bytes(b"GET / HTTP/1.1\r\nHost: " + self.target.host + b"\r\n\r\n" * 20)

    def _send_bytes(self, data: bytes) -> int:
        with closing(self.target.connect(receive_bytes=2048)) as connection, suppress(OSError, IndexError):
            connection.send(data)
            self.stopped.wait(0.2)
        return 0

    def _token(self) -> str:
        return random.choice(list(self.users.values()))  # noqa: S311 - no secret


@contextmanager
def without_provider(load: Load) -> Iterator[None]:
    """Pauses Keycloak: it accepts connections but does not respond."""
    published = load.realm.server.url.rpartition(":")[2]
    (container,) = subprocess.check_output(
        ["docker", "ps", "--quiet", "--filter", f"publish={published}"], text=True
    ).split()
    load.provider_reachable.clear()
    time.sleep(10)  # logins in progress end
    subprocess.run(["docker", "pause", container], check=True, capture_output=True)
    try:
        yield
    finally:
        subprocess.run(["docker", "unpause", container], check=True, capture_output=True)
        load.provider_reachable.set()


def add_key(realm: Realm) -> None:
    """Adds a key to the realm, which signs from now on."""
    admin = realm.admin()
    config = {"priority": ["200"], "enabled": ["true"], "active": ["true"]}
    kind, of = "rsa-generated", "org.keycloak.keys.KeyProvider"
    component = {"name": secrets.token_hex(4), "providerId": kind, "providerType": of, "config": config}
    admin.write("POST", ("components",), {**component, "parentId": admin.get()["id"]})


@dataclass
class Usage:
    """What the server held: seconds since the start, KiB of memory, file descriptors, tasks."""

    file: Path
    began: float = field(default_factory=time.monotonic)
    samples: list[tuple[float, int, int, int]] = field(default_factory=list)

    def watch(self, seconds: float) -> None:
        """Takes a sample every second until `seconds` after the start."""
        while (now := time.monotonic() - self.began) < seconds:
            memory, descriptors, tasks = map(int, self.file.read_text(encoding="ascii").split())
            self.samples.append((now, memory, descriptors, tasks))
            time.sleep(1)

    def at(self, seconds: float) -> tuple[float, ...]:
        """Returns the medians of the samples in the window that ends `seconds` after the start."""
        window = [sample[1:] for sample in self.samples if seconds - WINDOW <= sample[0] <= seconds]
        return tuple(median(column) for column in zip(*window, strict=True))


def test_nothing_accumulates(keycloak: Keycloak, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    port = free_port()
    realm = Realm(keycloak, tmp_path, f"soak-{secrets.token_hex(4)}", public_url=f"http://localhost:{port}/mcp")
    realm.write_access()
    realm.apply()
    usage_file = tmp_path / "usage"
    environment = {**os.environ, **realm.environment, "PORT": str(port), "LOG_FORMAT": "json", "MAX_MEMORY": "256MiB"}
    command = [sys.executable, "-m", "tests.support.soak_server", str(usage_file)]
    seconds = 60 * MINUTES
    with ExitStack() as stack:
        log = tmp_path / "server.log"
        stack.enter_context(serving_command(command, REPOSITORY, environment, realm.public_url, log))
        load = Load(realm, Target(("127.0.0.1", port), b"localhost:%d" % port, "", ""))
        stack.callback(load.stopped.set)
        load.provider_reachable.set()
        for user in ("reader", "writer", "admin"):
            load.log_in_as(user, "mcp:tools")
        assert set(load.users) == {"reader", "writer", "admin"}
        usage = Usage(usage_file)
        junk = load.junk()

        def send_junk() -> int:
            return next(junk)()

        threads = [
            load.repeat("call", 0.05, load.call),
            load.repeat("session", 0.2, load.use_session),
            load.repeat("stream", 0.2, load.open_stream),
            load.repeat("junk", 0.1, send_junk),
            load.repeat("login", 5, load.log_in),
            load.repeat("step-up", 20, load.step_up),
        ]
        usage.watch(seconds / 3)
        add_key(realm)
        usage.watch(seconds / 2)
        with without_provider(load):
            usage.watch(seconds / 2 + 60)
        usage.watch(seconds)
        load.stopped.set()
        for thread in threads:
            thread.join()
    early, late = usage.at(EARLY), usage.at(seconds)
    with capsys.disabled():
        sys.stdout.write(f"\n{MINUTES:g} minutes: { ({n: dict(c) for n, c in load.statuses.items()}) }\n")
        for name, before, after in zip(("memory, KiB", "file descriptors", "tasks"), early, late, strict=True):
            sys.stdout.write(f"{name:<17} {before:>9.0f} in minute 2, {after:>9.0f} at the end\n")
    assert not load.errors, load.errors[:3]
    assert set(load.statuses["call"]) == {200}
    assert set(load.statuses["session"]) | set(load.statuses["stream"]) <= {200, 503, 429}
    for before, after in zip(early, late, strict=True):
        assert after <= max(before * GROWTH, before + SMALL)
