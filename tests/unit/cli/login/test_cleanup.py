"""Cleanup of the login client, and its final output."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from mcp_idp.cli.common.client_deregistration import ClientRegistration, unregister
from mcp_idp.cli.common.console import StepReporter
from mcp_idp.cli.common.redaction import Redactor
from tests.support import fake_mcp_server as provider
from tests.support.fake_mcp_server import PASSWORD, Fake, fake_for_a_program, log_in

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[4]
KEY = "the-registration-access-token"
REMOVED = "removed its registration at the provider"


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Iterator[Fake]:
    with fake_for_a_program(monkeypatch) as running:
        offer_removal(running)
        yield running


def offer_removal(fake: Fake) -> None:
    uri = f"{fake.url}/registration/the-client"
    fake.management = {"registration_client_uri": uri, "registration_access_token": KEY}


@pytest.mark.requirement("login.deregistration")
@pytest.mark.parametrize("options", [(), ("--json",)])
@pytest.mark.parametrize("fails", [False, True])
def test_the_registration_is_removed_after_success_and_failure(
    fake: Fake, capsys: pytest.CaptureFixture[str], options: tuple[str, ...], *, fails: bool
) -> None:
    fake.token_error = fails
    assert log_in(fake, *options) == (5 if fails else 0)
    assert fake.removals == [("/registration/the-client", f"Bearer {KEY}")]
    output = "".join(capsys.readouterr())
    assert REMOVED in output
    assert KEY not in output


def test_the_registration_is_removed_after_ctrl_c(fake: Fake) -> None:
    command = [sys.executable, "-m", "mcp_idp.cli", "login", "--url", fake.resource, "--no-browser"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert any("waiting for the login" in line for line in process.stdout)
        process.send_signal(signal.SIGINT)
        output, error = process.communicate()
    assert process.returncode == 130
    assert REMOVED in output
    assert error.strip() == "stopped; nothing was stored on this machine"
    assert len(fake.removals) == 1


@pytest.mark.requirement("login.deregistration")
def test_a_provider_that_rejects_the_removal_causes_a_note_and_no_failure(
    fake: Fake, capsys: pytest.CaptureFixture[str]
) -> None:
    fake.responses["/registration/the-client"] = (403, {})
    assert log_in(fake) == 0
    assert "remains at the provider, which responded 403" in capsys.readouterr().out


@pytest.mark.requirement("login.deregistration")
def test_a_provider_without_a_removal_endpoint_gets_no_removal_request(
    fake: Fake, capsys: pytest.CaptureFixture[str]
) -> None:
    fake.management = {}
    assert log_in(fake) == 0
    assert fake.removals == []
    assert "which does not support removal" in capsys.readouterr().out


@pytest.mark.requirement("login.deregistration")
def test_a_client_that_the_provider_knew_before_is_left_alone(fake: Fake, capsys: pytest.CaptureFixture[str]) -> None:
    assert log_in(fake, "--client-id", "known") == 0
    assert fake.removals == []
    assert "its registration" not in capsys.readouterr().out


@pytest.mark.requirement("login.deregistration")
def test_the_removal_goes_where_connect_to_leads(fake: Fake, monkeypatch: pytest.MonkeyPatch) -> None:
    real = fake.url.removeprefix("http://")
    fake.url = "http://localhost:1"  # nothing listens there; only the mapping reaches the server
    offer_removal(fake)
    fake.claims |= {"iss": fake.url, "aud": fake.resource}
    monkeypatch.setenv("CONNECT_TO", f"localhost:1={real}")
    assert log_in(fake) == 0
    assert len(fake.removals) == 1


@pytest.mark.anyio
@pytest.mark.requirement("login.deregistration")
@pytest.mark.parametrize("uri", ["{other}/x", "{url}0/x", "file:///etc/passwd", "http://[", "", "{url}/ok"])
async def test_only_the_registration_endpoint_gets_the_token(fake: Fake, uri: str) -> None:
    other = fake.url.replace("127.0.0.1", "localhost")  # the same machine, not the same origin
    narrator = StepReporter(None, Redactor())
    narrator.step(8, "Use the server", "")
    record = ClientRegistration.read(
        f"{fake.url}/registration",
        {"registration_client_uri": uri.format(url=fake.url, other=other), "registration_access_token": KEY},
    )
    assert KEY not in repr(record)
    await unregister(record, {}, narrator)
    assert len(fake.removals) == (uri == "{url}/ok")
    label, text = narrator.steps[-1].lines[-1]
    assert label == "note"
    assert (REMOVED in text) == (uri == "{url}/ok")


@pytest.mark.requirement("login.scopes_not_granted")
def test_a_scope_that_was_not_granted_is_named_with_its_roles(fake: Fake, capsys: pytest.CaptureFixture[str]) -> None:
    options = ("--scope", "mcp:tools mcp:notes.write")
    assert log_in(fake, *options) == 0
    output = capsys.readouterr().out
    seventh = output.partition("STEP 7")[2].partition("STEP 8")[0]
    assert "not granted: mcp:notes.write (needs the role mcp-writer or mcp-admin)" in seventh
    assert log_in(fake, *options, "--json") == 0
    assert json.loads(capsys.readouterr().out)["not_granted"] == ["mcp:notes.write"]
    assert log_in(fake) == 0
    assert "not granted" not in capsys.readouterr().out


@pytest.mark.parametrize("password", ["x", "mcp", "tools", "ada"])
def test_a_password_that_is_a_common_word_changes_no_other_output(
    fake: Fake, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, password: str
) -> None:
    monkeypatch.setattr(provider, "PASSWORD", password)
    monkeypatch.setenv("MCP_PASSWORD", password)
    fake.claims |= {"mcp_roles": ["mcp-reader"], "x": "y"}
    assert log_in(fake, "--json") == 0
    out = capsys.readouterr().out
    report = json.loads(out)
    assert report["claims"] == fake.claims
    assert report["exit_code"] == 0
    assert report["url"] == fake.resource
    lines = [line["text"] for step in report["steps"] for line in step["lines"]]
    assert f"resource: {fake.resource}" in lines
    assert "scope: mcp:tools" in lines


def test_a_password_that_a_tool_or_a_claim_repeats_is_hidden(fake: Fake, capsys: pytest.CaptureFixture[str]) -> None:
    fake.description = f"You are {PASSWORD}."
    fake.claims |= {"said": [PASSWORD]}
    assert log_in(fake, "--json") == 0
    out = capsys.readouterr().out
    assert PASSWORD not in out
    assert json.loads(out)["claims"]["said"] == ["<hidden>"]


def test_a_rejection_leads_to_the_line_in_the_servers_log(fake: Fake, capsys: pytest.CaptureFixture[str]) -> None:
    fake.accepts_token = False
    fake.error = {"error": "invalid_token", "correlation_id": "0123456789abcdef"}
    assert log_in(fake) == 6
    assert "the server's log has the reason under 0123456789abcdef" in capsys.readouterr().err


def test_a_call_without_an_argument_that_is_required_names_it(fake: Fake, capsys: pytest.CaptureFixture[str]) -> None:
    assert log_in(fake, "--call", "add") == 7
    error = capsys.readouterr().err
    assert "add: the argument a is missing" in error
    assert "--call add a=…" in error


def test_a_tool_error_is_reported_without_a_traceback(fake: Fake, capsys: pytest.CaptureFixture[str]) -> None:
    fake.tool_error = "name too short\n    For further information visit https://errors.pydantic.dev/2.13/v/too_short"
    assert log_in(fake, "--call", "greet", "name=") == 7
    error = capsys.readouterr().err
    assert "greet reports an error: name too short" in error
    assert "pydantic" not in error


@pytest.mark.parametrize("command_name", ["login", "demo"])
def test_a_command_works_through_links_from_any_directory(tmp_path: Path, command_name: str) -> None:
    home, elsewhere = tmp_path / "the project", tmp_path / "else where"
    for folder in (home / "scripts", home / ".venv" / "bin", elsewhere / "bin"):
        folder.mkdir(parents=True)
    (home / "scripts" / command_name).write_text((ROOT / "scripts" / command_name).read_text())
    (home / "scripts" / "venv").write_text("#!/bin/sh\n")
    (home / ".venv" / "bin" / "python").write_text('#!/bin/sh\necho "$(pwd -P)|$*"\n')
    for file in (home / "scripts" / command_name, home / "scripts" / "venv", home / ".venv" / "bin" / "python"):
        file.chmod(0o755)
    (elsewhere / "first").symlink_to(home / "scripts" / command_name)
    (elsewhere / "bin" / "second").symlink_to("../first")
    (tmp_path / "folder").symlink_to(elsewhere / "bin")
    for start in (home / "scripts" / command_name, elsewhere / "first", tmp_path / "folder" / "second"):
        command = [os.path.relpath(start, elsewhere), "--help"]
        command[0] = command[0] if "/" in command[0] else f"./{command[0]}"
        ran = subprocess.run(command, cwd=elsewhere, capture_output=True, text=True, check=True)
        assert ran.stdout.strip() == f"{home.resolve()}|-m mcp_idp.cli {command_name} --help"
