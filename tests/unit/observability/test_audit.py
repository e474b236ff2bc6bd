"""The audit log: one line per decision."""

from __future__ import annotations

import json
import resource
import stat
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from structlog.testing import capture_logs

from mcp_idp.config.env import SettingsError
from mcp_idp.errors import AuditUnavailable
from mcp_idp.http.health import readiness_endpoint
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


async def test_each_decision_is_one_line_with_user_target_and_reason(tmp_path: Path) -> None:
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


async def test_an_audit_log_that_cannot_be_written_is_named_by_readyz_until_it_can() -> None:
    written: list[str] = []
    full = True

    def write(line: str) -> None:
        if full:
            raise OSError
        written.append(line)

    clock = FakeClock()
    audit = AuditLog(write, clock.clock)
    ready = readiness_endpoint(None, dict, audit)
    transport = httpx.ASGITransport(ready)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost:3000") as client:
        assert (await client.get("/readyz")).status_code == 200
        with capture_logs() as lines:
            for _ in range(5):
                with pytest.raises(AuditUnavailable):
                    audit.record_decision(None, principal=None, message=None, correlation_id="c")
        assert [line["event"] for line in lines] == ["audit_log_write_failed"]
        waiting = await client.get("/readyz")
        assert (waiting.status_code, waiting.json()["error"]) == (503, "audit_unavailable")
        full = False
        assert (await client.get("/readyz")).status_code == 503  # asked again within a second
        clock.forward(1)
        for _ in range(3):
            assert (await client.get("/readyz")).status_code == 200
    (line,) = map(json.loads, written)
    assert (line["decision"], line["lost"], line["subject"]) == ("resumed", 6, None)


async def test_readyz_reports_that_the_audit_log_cannot_be_written() -> None:
    async with running(audit_log="/dev/full") as server:
        ready = await server.client.get("/readyz")
        await server.call("greet", server.issuer.token(), {"name": "Ada"})
        waiting = await server.client.get("/readyz")
        live = await server.client.get("/livez")
    assert (ready.status_code, waiting.status_code, live.status_code) == (200, 503, 200)


_UNAUTHENTICATED: list[dict[str, str]] = [
    {"authorization": "Bearer x"},
    {"authorization": "Bearer a.b.c"},
    {"authorization": "Bearer a.b.c.d.e"},
    {"authorization": "Bearer"},
    {"authorization": "Bearer x, Bearer y"},
    {"authorization": "Bearer x", "origin": "https://evil.example"},
    {"origin": "https://evil.example"},
    {"authorization": "Bearer " + "x" * 17_000},
    {"authorization": "Bearer x", "host": "evil.example"},
    {"authorization": "Basic x"},
    {},
]


async def test_unauthenticated_clients_cannot_fill_a_log(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    with capture_logs() as lines:
        async with running(audit_log=str(path)) as server:
            expired = server.issuer.token(exp=NOW - 600, iat=NOW - 1200)
            sent = [*_UNAUTHENTICATED, {"authorization": f"Bearer {expired}"}]
            for number in range(360):  # 6 minutes
                server.clock.forward(1)
                headers = sent[number % len(sent)]
                assert (await server.client.get("/mcp", headers=headers)).status_code in {400, 401, 403, 421, 431}
            before_the_end = _lines(path)
    audited = _lines(path)
    kinds = {"not_a_jwt", "header_malformed", "encrypted", "invalid_request", "forbidden_origin", "too_long", "expired"}
    assert {line["reason"] for line in before_the_end} == kinds
    assert len(before_the_end) == len(kinds)  # the first of each, while it goes on
    (summary,) = [line for line in audited if "counts" in line]
    in_full = len(before_the_end)
    assert sum(summary["counts"].values()) + in_full == 360 // len(sent) * 9
    rejected = [line for line in lines if line["event"] == "request_rejected" and line["log_level"] != "debug"]
    assert len(rejected) == len(kinds)
    (logged,) = [line for line in lines if line["event"] == "requests_rejected"]
    assert logged["counts"] == summary["counts"]
    hosts = [line for line in lines if line["event"].startswith("host")]
    assert [(line["event"], line.get("count")) for line in hosts if line["log_level"] != "debug"] == [
        ("host_not_allowed", None),
        ("hosts_not_allowed", 360 // len(sent) - 1),
    ]


async def test_every_rejection_of_an_authenticated_user_is_recorded(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    async with running(audit_log=str(path)) as server:
        token = server.issuer.token(mcp_roles=["mcp-writer"])
        for _ in range(5):
            await server.call("note_add", token, {"text": "x"})
    assert [(line["reason"], line["subject"]) for line in _lines(path)] == [("insufficient_scope", "4f0c")] * 5


@pytest.mark.parametrize("headers", _UNAUTHENTICATED, ids=str)
async def test_an_audit_log_does_not_change_the_response_to_an_unauthenticated_request(headers: dict[str, str]) -> None:
    statuses = []
    for audit_log in ("", "/dev/full"):
        async with running(audit_log=audit_log) as server:
            statuses.append((await server.client.get("/mcp", headers=headers)).status_code)
    assert statuses[0] == statuses[1] != 503


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


async def test_who_acts_for_the_user_is_in_both_logs(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    actor = {"subject": "agent-1", "issuer": "https://agents.example", "client": "assistant"}
    act = {"sub": actor["subject"], "iss": actor["issuer"], "client_id": actor["client"]}
    with capture_logs() as logs:
        async with running(audit_log=str(path)) as server:
            await server.call("greet", server.issuer.token(act=act), {"name": "Ada"})
            await server.call("note_add", server.issuer.token(act=act), {"text": "x"})
            await server.call("greet", server.issuer.token(), {"name": "Ada"})
    allowed, rejected, own = _lines(path)
    assert (allowed["actor"], allowed["subject"], rejected["actor"]) == (actor, "4f0c", actor)
    assert "actor" not in own
    assert [line.get("actor") for line in logs if line["event"] == "authenticated"] == ["agent-1", None]


@pytest.mark.parametrize(("sub", "warnings"), [(..., 1), ("4f0c", 0)])
async def test_a_token_without_sub_is_accepted_with_a_warning(sub: object, warnings: int) -> None:
    with capture_logs() as logs:
        async with running() as server:
            token = server.issuer.token(sub=sub)
            responses = [await server.call("greet", token, {"name": "Ada"}) for _ in range(3)]
    assert [response.status_code for response in responses] == [200, 200, 200]
    lines = [line for line in logs if line["event"] == "token_without_subject"]
    assert len(lines) == warnings
    assert all(line["client"] == "client-1" and "RFC 9068" in line["hint"] for line in lines)
