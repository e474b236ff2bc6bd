"""The audit log: one line per decision."""

from __future__ import annotations

import json
import resource
import stat
from typing import TYPE_CHECKING, Any

import pytest

from mcp_idp.config.env import SettingsError
from mcp_idp.errors import AuditUnavailable
from mcp_idp.observability.audit import AuditLog, open_audit_log
from mcp_idp.testing.corpus.model import BOTH
from mcp_idp.testing.issuer import NOW
from tests.support.app import FakeClock, running
from tests.support.mcp_calls import initialized

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.anyio


def _lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


async def test_each_decision_is_a_line_that_says_who_what_and_why(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    async with running(audit_log=str(path)) as server:
        token = server.issuer.token(mcp_roles=["mcp-writer"])
        await server.call("greet", token, {"name": "Ada"})
        rejected = await server.call("note_add", token, {"text": "x"})
        await server.call("greet", server.issuer.token(aud="other"), {"name": "Ada"})
        await server.call("greet", None, {"name": "Ada"})
    allowed, scope, audience = _lines(path)
    who = {"issuer": server.issuer.url, "subject": "4f0c", "client": "client-1"}
    assert allowed == {
        "time": "2027-01-15T08:00:00.000+00:00",
        "decision": "allowed",
        "status": None,
        "reason": None,
        **who,
        "scopes": ["mcp:notes.read", "mcp:tools"],
        "method": "tools/call",
        "target": "greet",
        "correlation_id": allowed["correlation_id"],
    }
    assert NOW == 1_800_000_000.0
    expected = {"decision": "denied", "status": 403, "reason": "insufficient_scope", "target": "note_add", **who}
    assert scope.items() >= expected.items()
    assert scope["correlation_id"] == rejected.json()["error"]["data"]["correlation_id"]
    expected = {"status": 401, "reason": "audience", "subject": None, "method": None, "target": None}
    assert audience.items() >= expected.items()


@pytest.mark.requirement("audit.no_secret")
async def test_neither_tokens_nor_arguments_are_in_it_and_what_is_named_is_bounded(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    async with running(audit_log=str(path)) as server:
        token = server.issuer.token()
        await server.call("greet", token, {"name": "a-secret-argument"})
        await server.call("x" * 5000 + "\n{}", token)
        await server.call("greet", token + "x", {"name": "a-secret-argument"})
        headers = await initialized(server, token)
        read = {"jsonrpc": "2.0", "id": 1, "method": "resources/read", "params": {"uri": "notes://a-secret-argument"}}
        await server.client.post("/mcp", json=read, headers=headers)
    text = path.read_text(encoding="utf-8")
    assert token.rpartition(".")[2] not in text
    assert "a-secret-argument" not in text
    methods = ["tools/call", "tools/call", None, "initialize", "notifications/initialized", "resources/read"]
    assert [line["method"] for line in _lines(path)] == methods
    assert max(map(len, text.splitlines())) < 1000


@pytest.mark.requirement("audit.unavailable")
@pytest.mark.parametrize("tool", ["greet", "note_add"])
async def test_what_cannot_be_audited_is_not_served(tool: str) -> None:
    async with running(audit_log="/dev/full") as server:
        response = await server.call(tool, server.issuer.token(), {"name": "Ada"})
        unauthenticated = await server.call(tool)
    assert (response.status_code, response.json()["error"]) == (503, "audit_unavailable")
    assert unauthenticated.status_code == 401


def test_a_file_is_added_to_and_for_its_owner_only(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "audit.jsonl"
    for _start in range(2):
        audit = open_audit_log(str(path), FakeClock().clock)
        assert audit is not None
        audit.record_decision(None, principal=None, message=None, correlation_id="c")
    assert len(_lines(path)) == 2
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    printed = open_audit_log("stdout", FakeClock().clock)
    assert printed is not None
    printed.record_decision(
        401, principal=None, message={"method": 7, "params": {"name": 7}}, correlation_id="c", reason="r"
    )
    out, err = capsys.readouterr()
    assert (json.loads(out)["method"], err) == (None, "")
    assert open_audit_log("", FakeClock().clock) is None
    with pytest.raises(SettingsError, match=r"AUDIT_LOG=.*: cannot be written \(Is a directory\)"):
        open_audit_log(str(tmp_path), FakeClock().clock)


@pytest.mark.requirement("audit.unavailable")
def test_a_line_that_is_lost_is_an_error() -> None:
    def full(_line: str) -> None:
        raise OSError

    with pytest.raises(AuditUnavailable):
        AuditLog(full, FakeClock().clock).record_decision(None, principal=None, message=None, correlation_id="c")


@pytest.mark.parametrize("method", [["tools/call"], {"tools/call": 1}, 7, None])
async def test_a_method_that_is_not_a_string_is_recorded_as_none(method: object, tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    async with running(audit_log=str(path)) as server:
        headers = {"authorization": f"Bearer {server.issuer.token()}", "accept": BOTH}
        message = {"jsonrpc": "2.0", "id": 1, "method": method, "params": {"name": "greet"}}
        response = await server.client.post("/mcp", json=message, headers=headers)
    assert response.status_code == 400
    (line,) = _lines(path)
    assert (line["decision"], line["subject"], line["method"], line["target"]) == ("allowed", "4f0c", None, None)


@pytest.mark.requirement("audit.unavailable")
def test_half_a_line_is_not_reused_and_the_next_line_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    audit = open_audit_log(str(path), FakeClock().clock)
    assert audit is not None
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, before[1]))  # a disk that is full in the middle of a line
    try:
        with pytest.raises(AuditUnavailable):
            audit.record_decision(None, principal=None, message=None, correlation_id="lost")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    for stored in ("one", "two"):
        audit.record_decision(None, principal=None, message=None, correlation_id=stored)
    _half, *lines = path.read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["correlation_id"] for line in lines] == ["one", "two"]
