"""The server as a process: addresses and shutdown."""

from __future__ import annotations

import errno
import re
import select
import signal
import socket
import subprocess
import sys
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING

import pytest

from mcp_idp.config.env import SettingsError
from mcp_idp.http_server.limits import HttpLimits
from mcp_idp.http_server.runner import bind_sockets
from tests.support.raw_http import HOST, Connection

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[3]


@dataclass
class Process:
    process: subprocess.Popen[str]
    stdin: IO[str]
    stdout: IO[str]
    stderr: IO[str]

    def ready(self) -> tuple[str, int]:
        assert self.stdout.readline() == "starting\n"
        found = re.fullmatch(r"ready http://\[?(.*?)]?:(\d+) (\w+)\n", self.stdout.readline())
        assert found is not None
        assert found[3] == "True"  # objects from the start are frozen
        return found[1], int(found[2])

    def signal(self, number: int) -> None:
        self.process.send_signal(number)

    def end(self) -> tuple[int, str]:
        """Waits for the end; returns exit status and log, which must not contain a traceback."""
        log = self.stderr.read()
        assert "Traceback" not in log
        return self.process.wait(), log


@contextmanager
def running(host: str = "127.0.0.1", port: int = 0, *more: str) -> Iterator[Process]:
    command = [sys.executable, "-m", "tests.support.raw_http", host, str(port), *more]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, cwd=ROOT, text=True, stdin=pipe, stdout=pipe, stderr=pipe) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        try:
            yield Process(process, process.stdin, process.stdout, process.stderr)
        finally:
            process.kill()


def get(path: bytes, *lines: bytes) -> bytes:
    return b"GET " + path + b" HTTP/1.1\r\n" + HOST + b"".join(line + b"\r\n" for line in lines) + b"\r\n"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_open_event_streams_well_and_the_process_with_0(number: int) -> None:
    with running() as server:
        address = server.ready()
        with closing(Connection(address)) as stream, closing(Connection(address)) as idle:
            assert stream.send(get(b"/events", b"Accept: text/event-stream")).head().status == 200
            assert stream.line() == b"9\r\n"
            assert idle.send(get(b"/who")).read_response().status == 200
            server.signal(number)
            assert stream.rest() == b"data: 1\n\n\r\n0\r\n\r\n"
            assert idle.rest() == b""
        assert server.end()[0] == 0
        assert server.stdout.read() == "told\nstopping\n"


@pytest.mark.requirement("http.graceful_shutdown")
def test_a_request_being_answered_when_the_signal_comes_is_answered() -> None:
    with running() as server:
        address = server.ready()
        with closing(Connection(address)) as busy, closing(Connection(address)) as idle:
            busy.send(get(b"/wait"))
            assert server.stdout.readline() == "waiting\n"
            busy.send(get(b"/who"))
            assert idle.send(get(b"/who")).read_response().status == 200
            server.signal(signal.SIGTERM)
            assert idle.rest() == b""
            server.stdin.write("go on\n")
            server.stdin.flush()
            response = busy.read_response()
            assert (response.body, response.headers["connection"]) == (b"done", "close")
            assert busy.rest() == b""
        assert server.end()[0] == 0


@pytest.mark.parametrize(
    ("method", "accept"), [(b"GET", b"Accept: application/json"), (b"POST", b"Accept: text/event-stream")]
)
def test_an_endless_response_is_aborted_visibly_even_if_its_application_ignores_the_disconnect(
    method: bytes, accept: bytes
) -> None:
    with running() as server, closing(Connection(server.ready())) as stream:
        assert stream.send(method + get(b"/deaf", accept)[3:]).head().status == 200
        assert (stream.line(), stream.line()) == (b"9\r\n", b"data: 1\n")
        server.signal(signal.SIGTERM)
        assert stream.rest() == b"\n\r\n"  # the end of the event, but no last chunk
        assert server.end()[0] == 0
        assert server.stdout.read() == "cancelled\nstopping\n"


def test_an_application_that_listens_gets_a_disconnect_instead_of_a_cancellation() -> None:
    with running() as server, closing(Connection(server.ready())) as stream:
        assert stream.send(b"POST" + get(b"/events", b"Accept: text/event-stream")[3:]).head().status == 200
        server.signal(signal.SIGTERM)
        assert stream.rest() == b"9\r\ndata: 1\n\n\r\n"
        assert server.end()[0] == 0
        assert server.stdout.read() == "told\nstopping\n"


@pytest.mark.parametrize("fault", ["", "stop"])
def test_a_second_signal_ends_the_process_at_once_with_1(fault: str) -> None:
    with running("127.0.0.1", 0, fault) as server:
        address = server.ready()
        with closing(Connection(address)) as busy, closing(Connection(address)) as idle:
            assert idle.send(get(b"/who")).read_response().status == 200
            if not fault:
                busy.send(get(b"/wait"))
                assert server.stdout.readline() == "waiting\n"
            server.signal(signal.SIGTERM)
            assert idle.rest() == b""
            if fault:
                assert server.stdout.readline() == "stopping\n"
            server.signal(signal.SIGTERM)
            status, log = server.end()
        assert status == 1
        assert "shutdown_forced" in log


def test_a_port_in_use_is_one_line_and_2_before_the_application_starts() -> None:
    with socket.create_server(("127.0.0.1", 0)) as occupied:
        port = occupied.getsockname()[1]
        with running("127.0.0.1", port) as server:
            assert server.end() == (2, f"mcp-server: port {port} is in use: set PORT to another one\n")
            assert server.stdout.read() == ""


@pytest.mark.parametrize("host", ["192.0.2.1", "no-such-host.invalid", "a" * 70])
def test_a_host_that_is_not_this_machine_is_named(host: str) -> None:
    with pytest.raises(SettingsError, match=f"HOST={host}: is not an address of this machine"):
        bind_sockets(host, 0, HttpLimits())


@pytest.mark.requirement("http.listening")
def test_every_address_of_a_name_listens_on_one_port_which_the_system_chooses_for_0() -> None:
    sockets = bind_sockets("localhost", 0, HttpLimits())
    ports = {listener.getsockname()[1] for listener in sockets}
    for listener in sockets:
        with closing(Connection(listener.getsockname())):
            pass
        listener.close()
    assert len(ports) == 1
    assert ports != {0}


def send_at_once(connection: socket.socket, size: int) -> bool:
    """Whether the kernel takes so many bytes, or some of them, now."""
    try:
        return connection.send(b"a" * size) > 0
    except BlockingIOError:
        return False


@pytest.mark.skipif(not hasattr(socket, "TCP_USER_TIMEOUT"), reason="only Linux has this timeout")
def test_the_kernel_holds_little_for_a_client_that_does_not_read_and_ends_its_connection() -> None:
    (listener,) = bind_sockets("127.0.0.1", 0, HttpLimits(write_seconds=0.2))
    with listener, closing(Connection(listener.getsockname(), receive_bytes=4096)):
        listener.setblocking(True)
        accepted, _ = listener.accept()
        with accepted:
            accepted.setblocking(False)
            assert not all(send_at_once(accepted, 1000) for _ in range(1000))
            poll = select.poll()
            poll.register(accepted, select.POLLERR)
            assert poll.poll(10_000)
            assert accepted.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == errno.ETIMEDOUT


def test_the_kernel_holds_little_of_a_body_that_is_not_read() -> None:
    (listener,) = bind_sockets("127.0.0.1", 0, HttpLimits())
    with listener, closing(Connection(listener.getsockname())) as connection:
        listener.setblocking(True)
        accepted, _ = listener.accept()
        with accepted:
            for _ in range(100):  # the kernel grows a buffer that is emptied quickly, unless its size was set
                connection.send(b"a" * 60_000)
                assert len(accepted.recv(60_000, socket.MSG_WAITALL)) == 60_000
            assert accepted.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) <= 2 * 64 * 1024


@pytest.mark.requirement("http.listening")
def test_a_host_may_be_an_ipv6_address_in_brackets_and_the_log_says_where() -> None:
    with running("[::1]") as server:
        address = server.ready()
        with closing(Connection(address)) as connection:
            assert connection.send(get(b"/who")).read_response().body == b"http ::1"
        server.signal(signal.SIGTERM)
        status, log = server.end()
    assert status == 0
    assert f'"http://[::1]:{address[1]}"' in log


def test_an_application_that_does_not_start_ends_the_process_with_3() -> None:
    with running("127.0.0.1", 0, "start") as server:
        status, log = server.end()
    assert status == 3
    assert "no provider" in log


@pytest.mark.parametrize(("proxies", "who"), [((), b"http 127.0.0.1"), (("127.0.0.1",), b"https 192.0.2.7")])
def test_forwarded_headers_are_accepted_from_trusted_proxies_only(proxies: tuple[str, ...], who: bytes) -> None:
    with running("127.0.0.1", 0, "", *proxies) as server, closing(Connection(server.ready())) as connection:
        connection.send(get(b"/who", b"X-Forwarded-For: 192.0.2.7", b"X-Forwarded-Proto: https"))
        assert connection.read_response().body == who
