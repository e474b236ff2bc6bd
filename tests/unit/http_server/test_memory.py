"""Memory of the whole server during attacks, measured from outside, while other clients are served."""

from __future__ import annotations

import json
import re
import resource
import subprocess
import sys
import threading
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from mcp_idp.testing.corpus.model import INITIALIZE, META, Request, call
from tests.support.memory_floods import (
    Target,
    calls_whose_clients_leave,
    responses_that_are_not_read,
    sessions_with_large_initialize,
)
from tests.support.raw_http import Connection, RawResponse

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.skipif(
    not Path("/proc/self/status").exists(), reason="the peak of a process is read from /proc"
)

ROOT = Path(__file__).parents[3]
MAX_MIB = 200
BODY = 4 * 1024 * 1024
WIDE = "\U0001f600".encode()


@dataclass(frozen=True, slots=True)
class Whole:
    """The server, and the tokens of two users."""

    process: subprocess.Popen[str]
    address: tuple[str, int]
    one: str
    other: str

    @property
    def peak(self) -> float:
        """Returns the peak memory of the process in MiB."""
        status = Path(f"/proc/{self.process.pid}/status").read_text(encoding="utf-8")
        found = re.search(r"VmHWM:\s+(\d+) kB", status)
        assert found is not None
        return int(found[1]) / 1024

    def connect(self) -> Connection:
        return Connection(self.address)

    def send(self, request: Request) -> RawResponse:
        with closing(self.connect()) as connection:
            return connection.send(written(request)).read_response()

    def session(self) -> bytes:
        opened = self.send(call(self.one, body=INITIALIZE).but(headers=legacy(self.one)))
        return opened.headers["mcp-session-id"].encode()

    def at_once(self, requests: list[Request]) -> list[int]:
        """Sends the requests concurrently; returns their statuses."""
        statuses: list[int] = []
        threads = [threading.Thread(target=lambda r=r: statuses.append(self.send(r).status)) for r in requests]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return statuses

    def assert_serves_other_user(self) -> None:
        response = self.send(call(self.other))
        assert (response.status, b"7b1d" in response.body) == (200, True)


def written(request: Request, *, length: int | None = None) -> bytes:
    """Returns the bytes of `request`; `length` may declare a longer body."""
    fields = [*request.headers, (b"content-length", b"%d" % (len(request.body) if length is None else length))]
    lines = b"".join(name + b": " + value + b"\r\n" for name, value in fields)
    return b"POST " + request.path.encode() + b" HTTP/1.1\r\n" + lines + b"\r\n" + request.body


def legacy(token: str, session: bytes = b"") -> tuple[tuple[bytes, bytes], ...]:
    headers = [header for header in call(token).headers if not header[0].startswith(b"mcp-")]
    headers.append((b"mcp-protocol-version", b"2025-06-18"))
    return (*headers, (b"mcp-session-id", session)) if session else tuple(headers)


@contextmanager
def whole(*files: str) -> Iterator[Whole]:
    """Starts the server with a limit on open files."""
    command = ["sh", "-c", f'ulimit -n {" ".join(files) or "16384"}; exec "$@"', "sh"]
    command += [sys.executable, "-m", "tests.support.server_process"]
    with subprocess.Popen(command, cwd=ROOT, text=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        try:
            assert process.stdout is not None
            one, other, url = (process.stdout.readline().strip() for _ in range(3))
            yield Whole(process, ("127.0.0.1", int(url.rpartition(":")[2])), one, other)
        finally:
            process.kill()


@pytest.fixture(scope="module")
def shared() -> Iterator[Whole]:
    with whole() as server:
        yield server


@pytest.fixture
def server(shared: Whole) -> Iterator[Whole]:
    """Returns one server for all these tests; the peak of one test affects later ones."""
    yield shared
    assert shared.peak < MAX_MIB


def message(arguments: bytes, tool: str = "whoami", **params: Any) -> bytes:
    document = {"jsonrpc": "2.0", "id": 1, "method": "tools/call"}
    document["params"] = {"name": tool, "arguments": {"x": "@"}, "_meta": META, **params}
    return json.dumps(document).encode().replace(b'"@"', arguments)


def filled(item: bytes, size: int = BODY - 1000) -> bytes:
    return b"[" + b",".join([item] * (size // (len(item) + 1))) + b"]"


def text(start: bytes, fill: bytes, size: int = BODY - 1000) -> bytes:
    return b'"' + start + fill * ((size - len(start)) // len(fill)) + b'"'


def members(size: int = BODY - 1000) -> bytes:
    return b"{" + b",".join(b'"%07x":0' % number for number in range(size // 12)) + b"}"


REJECTED: dict[str, Callable[[], bytes]] = {
    "empty objects": lambda: filled(b"{}"),
    "objects in objects": lambda: filled(b'{"a":{}}'),
    "arrays in arrays": lambda: filled(b"[[]]"),
    "empty arrays": lambda: filled(b"[]"),
    "short texts": lambda: filled(b'"ab"'),
    "texts of one wide character": lambda: filled(b'"' + WIDE + b'"'),
    "small floats": lambda: filled(b"1e5"),
    "numbers": lambda: filled(b"300"),
    "members": members,
    "levels": lambda: b"[" * 2_000_000 + b"]" * 2_000_000,
    "text and number": lambda: filled(b'"a",1'),
}
PASSED: dict[str, Callable[[], bytes]] = {
    "one text": lambda: text(b"", b"a"),
    "one text with one wide character": lambda: text(WIDE, b"a"),
    "one text with one wide escape": lambda: text(b"\\ud83d\\ude00", b"a"),
    "one text of escapes": lambda: text(b"", b"\\u0000"),
    "one text of quotes": lambda: text(b"", b'\\"'),
    "one text of what looks like values": lambda: text(b"", b"{},"),
    "one name": lambda: b"{" + text(WIDE, b"k") + b":1}",
    "long numbers": lambda: filled(b"9" * 400),
    "as many values as may be, and a wide text": lambda: (
        b"[" + filled(b"{}", 49_000 // 2 * 3) + b"," + text(WIDE, b"a", BODY - 90_000) + b"]"
    ),
    "texts with a wide character each": lambda: filled(b'"' + WIDE + b"a" * 100 + b'"'),
    "wide names": lambda: b"{" + b",".join(b'"' + WIDE + b'%0150x":1' % n for n in range(24_000)) + b"}",
}


def requests(server: Whole, body: bytes) -> list[Request]:
    """Returns a request with `body` for each revision: without a session and in one."""
    session = server.session()
    return [call(server.one, body=body), Request(legacy(server.one, session), body)]


@pytest.mark.parametrize("shape", REJECTED)
def test_a_message_of_too_many_values_is_rejected_before_they_are_built(server: Whole, shape: str) -> None:
    for request in requests(server, message(REJECTED[shape]())):
        response = server.send(request)
        assert response.status == 413
        assert "retry-after" not in response.headers
        assert re.search(r"50000 JSON values .*128 levels", json.loads(response.body)["error_description"])
    server.assert_serves_other_user()


@pytest.mark.parametrize("shape", PASSED)
def test_the_largest_messages_of_one_login_pass_and_eight_at_once_fit(server: Whole, shape: str) -> None:
    for request in requests(server, message(PASSED[shape]())):
        assert server.send(request).status == 200
        statuses = server.at_once([request] * 8)
        assert set(statuses) <= {200, 429}
        assert 200 in statuses
    server.assert_serves_other_user()


@pytest.fixture
def many_files() -> Iterator[None]:
    """Allows this process six thousand connections."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    limit = 8192
    if hard != resource.RLIM_INFINITY and hard < limit:
        pytest.skip(f"no more than {hard} files may be open here")
    if soft != resource.RLIM_INFINITY and soft < limit:
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.usefixtures("many_files")
@pytest.mark.parametrize(
    ("connections", "start"),
    [
        (2000, b""),
        (6000, b"X: " + b"a" * 30_000),
        (6000, b"ab: cd\r\n" * 95),
        (2000, b"ab: cd\r\n" * 3000),
        (2000, b"Authorization: Bearer " + b"e" * 15_000),
    ],
    ids=["nothing else", "one value", "lines", "more lines than are read", "half a token"],
)
def test_thousands_of_half_heads_fit(server: Whole, connections: int, start: bytes) -> None:
    with ExitStack() as stack:
        for _ in range(connections):
            connection = stack.enter_context(closing(server.connect()))
            with suppress(ConnectionError):
                connection.send(b"POST /mcp HTTP/1.1\r\nHost: localhost:3000\r\n", start)
        server.assert_serves_other_user()


@pytest.mark.usefixtures("many_files")
@pytest.mark.parametrize("token", ["one", "junk"])
@pytest.mark.parametrize(("connections", "size"), [(48, BODY - 1), (1900, 2000)], ids=["large", "small"])
def test_half_bodies_of_one_login_fit(server: Whole, token: str, connections: int, size: int) -> None:
    request = call(server.one if token == "one" else token, body=b" " * size)
    with ExitStack() as stack:
        for _ in range(connections):
            connection = stack.enter_context(closing(server.connect()))
            with suppress(ConnectionError):
                connection.send(written(request, length=BODY))
        server.assert_serves_other_user()


@pytest.mark.usefixtures("many_files")
def test_unfinished_calls_of_one_login_fit() -> None:
    body = message(b"1", "count").replace(b'"x"', b'"number": 600, "x"')
    with whole() as server, ExitStack() as stack:
        request = call(server.one, body=body)
        headers = tuple((n, v if n != b"mcp-name" else b"count") for n, v in request.headers)
        for _ in range(1200):
            connection = stack.enter_context(closing(server.connect()))
            with suppress(ConnectionError):
                connection.send(written(request.but(headers=headers)))
        server.assert_serves_other_user()
        assert server.peak < MAX_MIB


@pytest.mark.usefixtures("many_files")
@pytest.mark.parametrize(
    "flood",
    [calls_whose_clients_leave, responses_that_are_not_read, sessions_with_large_initialize],
    ids=lambda flood: flood.__name__,
)
def test_clients_that_leave_or_do_not_read_fit_into_the_memory(flood: Callable[[Target], None]) -> None:
    with whole() as server:
        flood(Target(server.address, b"localhost:3000", server.one, server.other))
        server.assert_serves_other_user()
        assert server.peak < MAX_MIB


def test_more_connections_than_the_open_file_limit_end_nothing() -> None:
    with whole("128") as server, ExitStack() as stack:
        for _ in range(500):
            with suppress(OSError):
                stack.enter_context(closing(server.connect())).send(b"G")
        server.assert_serves_other_user()
