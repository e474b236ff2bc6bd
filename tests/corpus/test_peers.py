"""The commands against hostile servers and providers: what must hold, whatever they send."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from mcp_idp.cli.subcommands import run
from mcp_idp.testing.corpus.peers import COMMANDS, MEMBERS, PEERS, RESPONSES, HostilePeer, Names
from mcp_idp.testing.issuer import Issuer
from tests.support.compose_stack import REPOSITORY
from tests.support.fake_mcp_server import PASSWORD
from tests.support.hostile_peer import hostile

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ACCESS = str(REPOSITORY / "idp-config" / "access.yaml")
SECRET = "the-secret-of-the-client-that-nobody-else-may-see"
ADA = ("--headless", "--user", "ada")
PROGRAMS: dict[str, Callable[[Names], list[str]]] = {
    "login": lambda n: ["login", f"{n.own}/mcp", *ADA],
    "token": lambda n: ["token", f"{n.own}/mcp", *ADA],
    "secret": lambda n: ["token", f"{n.own}/mcp", "--client-id", "nightly", "--client-secret-file", "secret"],
    "device": lambda n: ["token", f"{n.own}/mcp", "--flow", "device", "--timeout", "2"],
    "doctor": lambda n: ["doctor", f"{n.own}/mcp", "--register"],
    "inspect": lambda _: ["inspect"],
    "bootstrap": lambda _: ["bootstrap", "check", "--wait", "0"],
}
MAX_OUTPUT = 200_000
MAX_SENT = 80 * 1024 * 1024  # what the bootstrap may read, and the buffers of the operating system
DANGEROUS = ("another server", "control characters", "500 MB of white space", "a compressed body of 20 MB")


def _rows() -> Iterator[Any]:
    """Yields each row with each command; most repetitions of a form are for the full run."""
    often, rare = {*MEMBERS, *RESPONSES}, set(MEMBERS)
    for peer in PEERS:
        for number, command in enumerate(COMMANDS[peer.path]):
            is_rare = (peer in rare or (peer in often and number > 0)) and not peer.name.endswith(DANGEROUS)
            yield pytest.param(command, peer, id=f"{command} {peer.id}", marks=[pytest.mark.full] * is_rare)


@pytest.fixture(autouse=True)
def surroundings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("secret").write_text(SECRET, encoding="utf-8")
    for name in ("CONNECT_TO", "MCP_PUBLIC_URL", "MCP_PORT", "SSL_CERT_FILE", "DISPLAY", "OAUTH_PROVIDER"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("MCP_PASSWORD", PASSWORD)
    monkeypatch.setenv("ACCESS_FILE", ACCESS)
    monkeypatch.setenv("KEYCLOAK_ADMIN_CLIENT_SECRET", SECRET)


def _run(command: str, names: Names, monkeypatch: pytest.MonkeyPatch) -> int:
    issuer = f"{names.own}/realms/mcp" if command == "bootstrap" else names.own
    monkeypatch.setenv("OAUTH_SERVER_URL", issuer)
    monkeypatch.setattr("sys.stdin", io.StringIO(Issuer(url=names.own).token()))
    return run(PROGRAMS[command](names))


@pytest.mark.requirement("corpus.peers")
@pytest.mark.parametrize(("command", "peer"), [*_rows()])
def test_a_command_survives_a_hostile_peer(
    command: str, peer: HostilePeer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with hostile(peer) as observed:
        code = _run(command, observed.names, monkeypatch)
    output = "".join(capsys.readouterr())
    assert code in range(8)
    assert "Traceback" not in output
    assert "this is a bug" not in output
    assert [c for c in output if not c.isprintable() and c != "\n"] == []
    assert len(output) < MAX_OUTPUT
    assert observed.sent < MAX_SENT
    received = "\n".join(observed.elsewhere)
    for secret in (PASSWORD, PASSWORD.replace(" ", "+"), SECRET, "the-access-token", "the-admin-token"):
        assert secret not in received
