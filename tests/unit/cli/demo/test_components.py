"""The demo without Docker: configuration of its provider, ports, and termination of its processes."""

from __future__ import annotations

import os
import select
import signal
import socket
import stat
import subprocess
import sys
import tempfile
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from mcp_idp.access.policy import load_access
from mcp_idp.cli.demo.nanoidp_config import ROLES_CLAIM, settings_document, write_access, write_provider
from mcp_idp.cli.demo.ports import PortInUse, is_free, pick_port
from mcp_idp.cli.demo.processes import ProcessFailed, ProcessGroup, SignalGuard, with_parent_death_signal
from mcp_idp.cli.demo.scenario import keycloak_differences
from mcp_idp.cli.subcommands import run

if TYPE_CHECKING:
    from collections.abc import Iterator

ACCESS = load_access(Path(__file__).parents[4] / "idp-config" / "access.yaml")


@pytest.fixture
def interrupts() -> Iterator[SignalGuard]:
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.getsignal(number) for number in numbers}
    signal.signal(signal.SIGHUP, signal.SIG_DFL)  # nohup makes its command ignore SIGHUP
    yield SignalGuard()
    for number, handler in before.items():
        signal.signal(number, handler)


def test_the_provider_listens_on_loopback_and_its_audience_is_never_the_resource(tmp_path: Path) -> None:
    document = settings_document(ACCESS, 9010, tmp_path)
    assert document["server"] == {"host": "127.0.0.1", "port": 9010}
    assert document["oauth"]["issuer"] == document["oauth"]["audience"] == "http://localhost:9010"
    assert "*" not in document["cors_allowed_origins"]
    assert set(ACCESS.scopes) < set(document["oauth"]["scopes_supported"])


def test_the_embedded_provider_accepts_its_files_and_only_their_owner_may_read_them(tmp_path: Path) -> None:
    directory = write_provider(ACCESS, 9010, tmp_path)
    for path in directory.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    users = yaml.safe_load((directory / "users.yaml").read_text())["users"]
    assert users["writer"]["roles"] == ["mcp-writer"]
    command = [sys.executable, "-m", "nanoidp", "validate-config", "--config", str(directory), "--strict"]
    checked = subprocess.run(command, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_the_servers_access_file_differs_in_the_roles_claim_only(tmp_path: Path) -> None:
    written = load_access(write_access(ACCESS, tmp_path))
    assert written.roles_claim == ROLES_CLAIM
    assert written.model_copy(update={"roles_claim": ACCESS.roles_claim}) == ACCESS


def listen(family: socket.AddressFamily, host: str) -> socket.socket:
    return socket.create_server((host, 0), family=family)


@pytest.mark.parametrize(("family", "host"), [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")])
def test_a_port_is_taken_when_either_loopback_address_is(family: socket.AddressFamily, host: str) -> None:
    try:
        listener = listen(family, host)
    except OSError:
        pytest.skip(f"this machine has no {host}")
    with closing(listener):
        assert not is_free(listener.getsockname()[1])


def test_a_default_port_in_use_is_replaced_and_a_chosen_one_rejected(capsys: pytest.CaptureFixture[str]) -> None:
    with closing(listen(socket.AF_INET, "127.0.0.1")) as busy:
        port = busy.getsockname()[1]
        assert pick_port(None, port, "--port") != port
        with pytest.raises(PortInUse, match=f"port {port} is in use: choose another with --port"):
            pick_port(port, 3000, "--port")
        assert run(["demo", "--port", str(port)]) == 2
    assert "is in use" in capsys.readouterr().err


def test_both_never_get_the_same_port() -> None:
    free = pick_port(None, 0, "--port")
    assert pick_port(None, free, "--idp-port", frozenset({free})) != free
    with pytest.raises(PortInUse):
        pick_port(free, 9010, "--idp-port", frozenset({free}))


def start(children: ProcessGroup, tmp_path: Path, code: str) -> Any:
    return children.start("child", [sys.executable, "-c", code], cwd=tmp_path, log=tmp_path / "log", extra={})


def test_children_and_their_children_end_with_the_block(interrupts: SignalGuard, tmp_path: Path) -> None:
    # The child handles SIGTERM and leaves a grandchild that ignores it.
    code = (
        "import subprocess, sys, signal\n"
        "g = subprocess.Popen([sys.executable, '-c', 'import signal; signal.signal(15, 1); print(1, flush=True); "
        "signal.pause()'], stdout=subprocess.PIPE)\n"
        "g.stdout.readline()\n"
        "open('grandchild.tmp', 'w').write(str(g.pid))\n"
        "import os; os.rename('grandchild.tmp', 'grandchild')\n"
        "signal.pause()\n"
    )
    with ProcessGroup(interrupts) as children:
        child = start(children, tmp_path, code)
        while not (tmp_path / "grandchild").exists():
            child.check()
        grandchild = os.pidfd_open(int((tmp_path / "grandchild").read_text()))
    assert child.process.returncode == -signal.SIGTERM
    assert ended(grandchild)


def ended(process: int) -> bool:
    """Waits for the end of the process with this pidfd; returns whether it ended."""
    try:
        return bool(select.select([process], [], [], 30)[0])
    finally:
        os.close(process)


def test_a_child_that_ends_by_itself_is_reported_with_its_output(interrupts: SignalGuard, tmp_path: Path) -> None:
    with ProcessGroup(interrupts) as children:
        child = start(children, tmp_path, "raise SystemExit('no \\x1b[31msuch\\x1b[0m \\x07thing')")
        with pytest.raises(ProcessFailed, match="exit code 1") as failed:
            child.wait_until_ready("http://127.0.0.1:1/", 30)
    assert failed.value.tail == "no such thing"


def test_a_child_learns_nothing_of_other_deployments_settings(
    interrupts: SignalGuard, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OAUTH_SERVER_URL", "https://id.example.com")
    with ProcessGroup(interrupts) as children:
        child = start(children, tmp_path, "import os; print('OAUTH_SERVER_URL' in os.environ)")
        child.process.wait()
    assert child.tail() == "False"


def test_a_signal_while_a_child_is_being_started_waits_until_it_can_be_ended(interrupts: SignalGuard) -> None:
    interrupts.allow()
    reached = []

    def begin() -> None:
        with interrupts.deferred():
            os.kill(os.getpid(), signal.SIGTERM)
            reached.append("the end of the block")

    with pytest.raises(KeyboardInterrupt):
        begin()
    assert reached == ["the end of the block"]
    assert interrupts.signal == signal.SIGTERM


def test_a_signal_before_anything_can_clean_up_waits_for_it(interrupts: SignalGuard) -> None:
    os.kill(os.getpid(), signal.SIGHUP)
    with pytest.raises(KeyboardInterrupt):
        ProcessGroup(interrupts).__enter__()


def test_under_nohup_a_hangup_stays_ignored(interrupts: SignalGuard) -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    SignalGuard()
    os.kill(os.getpid(), signal.SIGHUP)
    assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    assert interrupts.signal is None


def test_differences_to_keycloak_are_reported_for_this_user() -> None:
    assert "'reader' would get: mcp:tools mcp:notes.read." in "\n".join(keycloak_differences(ACCESS, "reader"))
    assert "'nobody' would get a token that this server rejects" in "\n".join(keycloak_differences(ACCESS, "nobody"))
    assert tempfile.gettempdir() not in "\n".join(keycloak_differences(ACCESS, "reader"))


def test_the_same_port_for_both_is_called_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["demo", "--port", "3456", "--idp-port", "3456"]) == 2
    assert "--port and --idp-port are the same, 3456" in capsys.readouterr().err


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends children with their parent")
def test_a_killed_demo_ends_its_children(tmp_path: Path) -> None:
    code = (
        "import sys, pathlib\n"
        "from mcp_idp.cli.demo.processes import ProcessGroup, SignalGuard\n"
        "here = pathlib.Path(sys.argv[1])\n"
        "with ProcessGroup(SignalGuard()) as children:\n"
        "    child = children.start('child', [sys.executable, '-c', 'import signal; print(1); signal.pause()'],\n"
        "                           cwd=here, log=here / 'log', extra={})\n"
        "    while not (here / 'log').read_text():\n"
        "        child.check()\n"
        "    print(child.process.pid, flush=True)\n"
        "    child.process.wait()\n"
    )
    command = [sys.executable, "-c", code, str(tmp_path)]
    with subprocess.Popen(command, cwd=Path(__file__).parents[4], stdout=subprocess.PIPE, text=True) as demo:
        assert demo.stdout is not None
        child = os.pidfd_open(int(demo.stdout.readline()))
        demo.kill()
    assert ended(child)


def test_elsewhere_a_command_is_started_as_it_is() -> None:
    assert with_parent_death_signal(["/bin/true", "x"], "darwin") == ["/bin/true", "x"]


def test_the_example_names_other_users_than_the_default(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["demo", "--help"]) == 0
    output = capsys.readouterr().out
    assert next(iter(ACCESS.demo_users)) == "reader"
    assert "--user writer     as another user" in output


@pytest.mark.parametrize(
    ("access", "words", "message"),
    [
        (None, [], "idp-config/access.yaml: cannot be read"),
        ("version: 1", [], "idp-config/access.yaml"),
        ("own", [], "has no demo_users to log in"),
        ("own", ["--user", "reader"], "there is no such demo user"),
    ],
)
def test_ones_own_application_is_never_served_with_the_demos_users(
    access: str | None,
    words: list[str],
    message: str,
    *,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    if access is not None:
        (tmp_path / "idp-config").mkdir()
        members = ACCESS.model_dump(mode="json", exclude_unset=True) | {"demo_users": {}}
        text = yaml.safe_dump(members) if access == "own" else access
        (tmp_path / "idp-config" / "access.yaml").write_text(text, encoding="utf-8")
    assert run(["demo", "server:app", *words]) == 2
    captured = capsys.readouterr()
    assert message in captured.err
    assert captured.out == ""
