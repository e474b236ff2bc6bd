"""Errors of the login client: exit codes and advice."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from mcp_idp.cli.subcommands import run
from tests.support.fake_mcp_server import Fake, fake_for_a_program, log_in

if TYPE_CHECKING:
    from collections.abc import Iterator


ROOT = Path(__file__).parents[4]


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Iterator[Fake]:
    with fake_for_a_program(monkeypatch) as running:
        yield running


def test_a_wrong_password_ends_with_5_and_the_providers_words(
    fake: Fake, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MCP_PASSWORD", "a mistyped password")
    assert log_in(fake) == 5
    assert "did not log 'ada' in: Invalid username or password <hidden>" in capsys.readouterr().err


def test_a_denied_login_ends_with_5(fake: Fake, capsys: pytest.CaptureFixture[str]) -> None:
    fake.callback_error = "access_denied"
    assert log_in(fake) == 5
    assert "access_denied" in capsys.readouterr().err


def test_a_token_without_audience_ends_with_6_and_the_missing_role(
    fake: Fake, capsys: pytest.CaptureFixture[str]
) -> None:
    fake.accepts_token = False
    fake.claims |= {"aud": [], "scope": ""}
    assert log_in(fake) == 6
    error = capsys.readouterr().err
    assert "mcp-reader, mcp-writer or mcp-admin" in error
    assert f"an administrator of the provider ({fake.url})" in error


def test_a_rejection_that_is_a_json_rpc_error_is_shown_in_its_own_words(
    fake: Fake, capsys: pytest.CaptureFixture[str]
) -> None:
    fake.accepts_token = False
    error = {"code": -32003, "message": "your account has no role", "data": {"correlation_id": "c0ffee"}}
    fake.error = {"jsonrpc": "2.0", "id": None, "error": error}
    assert log_in(fake) == 6
    printed = capsys.readouterr().err
    assert "the server's reason: your account has no role\n" in printed
    assert "c0ffee" in printed


def test_a_rejected_token_is_not_fetched_a_second_time(fake: Fake) -> None:
    fake.accepts_token = False
    assert log_in(fake) == 6
    assert len(fake.forms) == 2  # one login, one consent


def test_an_unreachable_url_ends_with_3(capsys: pytest.CaptureFixture[str], fake: Fake) -> None:
    assert run(["login", "--url", "http://127.0.0.1:1/mcp"]) == 3
    assert "does not respond" in capsys.readouterr().err
    assert run(["login", "--url", f"{fake.url}/.well-known/oauth-authorization-server"]) == 3


@pytest.mark.parametrize(
    ("path", "response", "output"),
    [
        ("/.well-known/oauth-authorization-server", (404, {}), "no metadata of the provider"),
        ("/.well-known/oauth-authorization-server", (500, {}), "no metadata of the provider"),
        ("/registration", (403, {"error": "policy"}), "rejected the registration of this client"),
        ("/mcp", (503, {}), "cannot reach its provider"),
    ],
)
def test_a_provider_that_is_no_use_ends_with_4(
    fake: Fake, capsys: pytest.CaptureFixture[str], path: str, response: tuple[int, dict[str, str]], output: str
) -> None:
    fake.responses[path] = response
    assert log_in(fake) == 4
    assert output in capsys.readouterr().err


def test_metadata_of_another_issuer_ends_with_4(fake: Fake, capsys: pytest.CaptureFixture[str]) -> None:
    endpoints = {f"{n}_endpoint": f"{fake.url}/{n}" for n in ("authorization", "token", "registration")}
    impostor = {"issuer": "http://impostor.example", "response_types_supported": ["code"], **endpoints}
    fake.responses["/.well-known/oauth-authorization-server"] = (200, impostor)
    assert log_in(fake) == 4
    assert "issuer mismatch" in capsys.readouterr().err
    assert fake.forms == []


def test_an_unreachable_provider_ends_with_4(fake: Fake, capsys: pytest.CaptureFixture[str]) -> None:
    document = {"resource": fake.resource, "authorization_servers": ["http://127.0.0.1:1"]}
    fake.responses["/.well-known/oauth-protected-resource/mcp"] = (200, document)
    assert log_in(fake, "--issuer", "http://127.0.0.1:1") == 4
    assert "the identity provider does not respond at http://127.0.0.1:1/" in capsys.readouterr().err


def test_a_server_with_another_resource_name_ends_with_3_and_that_name(
    fake: Fake, capsys: pytest.CaptureFixture[str]
) -> None:
    document = {"resource": "https://mcp.example/mcp", "authorization_servers": [fake.url]}
    fake.responses["/.well-known/oauth-protected-resource/mcp"] = (200, document)
    assert log_in(fake) == 3
    assert "--url https://mcp.example/mcp" in capsys.readouterr().err


def test_a_tool_that_is_not_there_ends_with_7(fake: Fake, capsys: pytest.CaptureFixture[str]) -> None:
    assert log_in(fake, "--call", "subtract") == 7
    assert "it lists: greet, add" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments",
    [
        ["--url", "no-url"],
        ["--headless"],
        ["--timeout", "0"],
        ["--timeout", "nan"],
        ["--timeout", "inf"],
        ["--scope", ""],
        ["--scope", " "],
        ["--call", "greet", "no-pair"],
    ],
)
def test_a_wrong_command_line_ends_with_2(arguments: list[str]) -> None:
    assert run(["login", *arguments]) == 2


def test_ctrl_c_while_waiting_for_the_user_ends_with_130_and_no_traceback(fake: Fake) -> None:
    command = [sys.executable, "-m", "mcp_idp.cli", "login", "--url", fake.resource, "--no-browser"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert any("waiting for the login" in line for line in process.stdout)
        process.send_signal(signal.SIGINT)
        _, error = process.communicate()
    assert process.returncode == 130
    assert error.strip() == "stopped; nothing was stored on this machine"


def test_a_closed_output_stops_the_printing_and_not_the_login(fake: Fake) -> None:
    command = [sys.executable, "-m", "mcp_idp.cli", "login", "--url", fake.resource, "--headless", "--user", "ada"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        error = process.stderr.read()
    assert (process.returncode, error) == (0, "")
    assert len(fake.forms) == 2
