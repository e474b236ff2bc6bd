"""`./scripts/demo` as a user runs it, with the embedded provider and the real server; needs no container."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]


@contextmanager
def demo(home: Path, *options: str) -> Iterator[subprocess.Popen[str]]:
    """Runs the demo with its temporary directory under `home`, and always ends it."""
    environment = {**os.environ, "TMPDIR": str(home), "NO_COLOR": "1", "PYTHONUNBUFFERED": "1"}
    process = subprocess.Popen(
        [ROOT / "scripts" / "demo", *options],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    with process:  # waits for the process and closes the pipe
        try:
            yield process
        finally:
            process.terminate()


def free_ports() -> list[str]:
    """Returns options for two free ports, because other demos may run at the same time."""
    with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as other:
        return ["--port", str(one.getsockname()[1]), "--idp-port", str(other.getsockname()[1])]


def descendants(home: Path) -> list[str]:
    """Returns the command lines that contain the demo's temporary directory."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            environment = (entry / "environ").read_bytes()
            command = (entry / "cmdline").read_bytes()
        except OSError:
            continue
        if b"TMPDIR=" + str(home).encode() + b"\0" in environment and command:
            found.append(command.replace(b"\0", b" ").decode())
    return found


def read_until(process: subprocess.Popen[str], expected: str) -> str:
    """Returns the output up to the line that contains `expected`."""
    assert process.stdout is not None
    output = ""
    for line in process.stdout:
        output += line
        if expected in line:
            return output
    raise AssertionError(f"'{expected}' was never said:\n{output}")


def test_the_demo_logs_in_calls_tools_and_is_gone(tmp_path: Path) -> None:
    with demo(tmp_path, *free_ports()) as process:
        output, _ = process.communicate()
    assert process.returncode == 0, output
    assert re.findall(r"^STEP (\d)", output, re.MULTILINE) == list("12345678")
    assert "Hello, reader!" in output
    assert re.search(r"response +iss=http://localhost:\d+, the issuer of step 3", output)  # RFC 9207
    assert "Differences from Keycloak" in output
    assert descendants(tmp_path) == []
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_kept_demo_ends_with_everything_it_started(tmp_path: Path, number: signal.Signals, code: int) -> None:
    with demo(tmp_path, "--keep", *free_ports()) as process:
        output = read_until(process, "password nobody")
        assert "password reader" in output
        assert len(descendants(tmp_path)) == 3  # the demo, the provider, the server
        process.send_signal(number)
        rest, _ = process.communicate()
    assert process.returncode == code
    assert "nothing is left" in rest
    assert descendants(tmp_path) == []
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("moment", ["An identity provider", "STEP 1", "STEP 8"])
def test_an_interrupt_at_any_moment_leaves_nothing_either(tmp_path: Path, moment: str) -> None:
    with demo(tmp_path, "--keep", *free_ports()) as process:  # --keep, so that it does not end before the signal
        read_until(process, moment)
        process.send_signal(signal.SIGINT)
        output, _ = process.communicate()
    assert process.returncode == 130, output
    assert "Traceback" not in output
    assert descendants(tmp_path) == []
    assert list(tmp_path.iterdir()) == []


def test_a_port_that_was_named_and_is_taken_is_rejected_at_once(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as busy:
        port = busy.getsockname()[1]
        with demo(tmp_path, "--port", str(port)) as process:
            output, _ = process.communicate()
    assert process.returncode == 2
    assert f"port {port} is in use" in output
    assert list(tmp_path.iterdir()) == []
