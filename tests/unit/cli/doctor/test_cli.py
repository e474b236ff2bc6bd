"""The doctor command over sockets, with a small server that is both MCP server and provider."""

from __future__ import annotations

import io
import json
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from mcp_idp.cli.subcommands import run
from tests.support.certificates import certificate
from tests.support.fake_mcp_server import Fake, fake_for_a_program
from tests.support.http_server import Handler, listening

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[4]
STEERING = "\x1b[2J\x1b]0;owned\x07[bold red]markup[/]\u202e"


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Iterator[Fake]:
    with fake_for_a_program(monkeypatch) as running:
        yield running


def report(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    return document_in(capsys.readouterr().out)


def document_in(output: str) -> dict[str, Any]:
    """Parses the object of --json; log lines of in-process code may precede it."""
    document: dict[str, Any] = json.loads(output[output.index("{\n") :])
    return document


def test_findings_are_exit_code_1_and_one_json_object(fake: Fake, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["doctor", fake.resource, "--json"]) == 1
    document = report(capsys)
    assert document["healthy"] is False
    names = [finding["finding"] for finding in document["findings"]]
    assert {"not_at_root", "preflight", "any_host", "any_origin"} <= set(names)
    by_name = {finding["finding"]: finding for finding in document["findings"]}
    assert by_name["any_host"]["observed"] == "Host: doctor.invalid is accepted like its own"
    assert by_name["any_origin"]["observed"].startswith("Origin: https://doctor.invalid is accepted")
    assert by_name["preflight"]["reports"][0].startswith("https://github.com/")
    severities = [finding["severity"] for finding in document["findings"]]
    assert severities == sorted(severities, key=["error", "warning", "info"].index)


def test_nothing_there_is_exit_code_3(fake: Fake, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["doctor", "http://localhost:1/mcp", "--json"]) == 3
    assert [finding["finding"] for finding in report(capsys)["findings"]] == ["unreachable"]


def test_an_unknown_host_name_is_exit_code_3(fake: Fake, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["doctor", "http://no-such-host.invalid/mcp"]) == 3
    report = capsys.readouterr().out
    assert "ERROR  the server's URL does not respond" in report
    assert "not checked, blocked by findings of 'reach'" in report


@pytest.mark.parametrize(
    "arguments",
    [["no url"], ["ftp://x/mcp"], ["http://user@x/mcp"], ["--token", "eyJ.a.b"], ["--token", "-", "--login"]],
)
def test_a_wrong_command_line_is_exit_code_2(
    fake: Fake, arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["doctor", *arguments]) == 2
    assert "eyJ.a.b" not in capsys.readouterr().err


@pytest.mark.parametrize("options", [(), ("--json",)])
def test_the_token_on_standard_input_is_evaluated_and_not_printed(
    fake: Fake, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, options: tuple[str, ...]
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(f"Bearer {fake.token}\n"))
    # A hostile server: its rejections echo the request.
    fake.error = {"error": f"invalid_token {fake.token}"}
    assert run(["doctor", fake.resource, "--token", "-", *options]) == 1
    output = "".join(capsys.readouterr())
    assert "the token's lifetime is longer than the server accepts" in output
    assert fake.token not in output


def test_a_login_obtains_the_token_that_is_evaluated(fake: Fake, capsys: pytest.CaptureFixture[str]) -> None:
    fake.management = {"registration_client_uri": f"{fake.url}/clients/1", "registration_access_token": "rat"}
    assert run(["doctor", fake.resource, "--login", "--headless", "--user", "ada", "--json"]) == 1
    captured = capsys.readouterr()
    assert "token_lifetime" in [finding["finding"] for finding in document_in(captured.out)["findings"]]
    assert fake.removals == [("/clients/1", "Bearer rat")]
    assert [secret for secret in fake.secrets() if secret in captured.out + captured.err] == []


def test_a_failed_login_is_examined_all_the_same(fake: Fake, capsys: pytest.CaptureFixture[str]) -> None:
    fake.responses["/.well-known/oauth-authorization-server"] = (200, {"issuer": "http://other.example/"})
    assert run(["doctor", fake.resource, "--login", "--headless", "--user", "ada", "--json"]) == 1
    names = [finding["finding"] for finding in report(capsys)["findings"]]
    assert names.index("other_issuer") < names.index("login_failed")


@pytest.mark.parametrize("options", [(), ("--json",)])
def test_no_text_of_a_server_steers_the_terminal(
    fake: Fake, capsys: pytest.CaptureFixture[str], options: tuple[str, ...]
) -> None:
    path = "/.well-known/oauth-protected-resource/mcp"
    fake.responses[path] = (200, {"resource": STEERING, "authorization_servers": [STEERING]})
    assert run(["doctor", fake.resource, *options]) == 1
    output = capsys.readouterr().out
    assert [c for c in output if c != "\n" and not c.isprintable()] == []
    assert "owned" in output
    assert options or "[bold red]markup[/]" in output


@pytest.mark.parametrize("options", [(), ("--json",)])
def test_no_text_of_a_provider_steers_the_terminal(
    fake: Fake, capsys: pytest.CaptureFixture[str], options: tuple[str, ...]
) -> None:
    fake.responses["/registration"] = (403, {"error": "x", "error_description": STEERING})
    assert run(["doctor", fake.resource, "--register", *options]) == 1
    output = capsys.readouterr().out
    assert [c for c in output if c != "\n" and not c.isprintable()] == []
    assert "owned" in output
    assert options or "[bold red]markup[/]" in output


@pytest.mark.parametrize(
    ("name", "days", "trusted", "advice"),
    [
        ("localhost", 30, False, "certificate of an authority that clients trust"),
        ("localhost", -1, True, "renew the certificate"),
        ("other.example", 30, True, "names this host"),
    ],
)
def test_a_bad_certificate_is_explained(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    *,
    name: str,
    days: int,
    trusted: bool,
    advice: str,
) -> None:
    pem = tmp_path / "server.pem"
    pem.write_bytes(certificate(name, days=days))
    if trusted:
        monkeypatch.setenv("SSL_CERT_FILE", str(pem))
    with listening(Handler, certificate=pem) as port:
        assert run(["doctor", f"https://localhost:{port}/mcp", "--json"]) == 3
    (finding,) = report(capsys)["findings"]
    assert finding["finding"] == "certificate"
    assert advice in finding["fix"]


@pytest.mark.parametrize("command", ["doctor", "token", "inspect"])
def test_each_command_has_a_help_text(command: str) -> None:
    ended = subprocess.run(
        [ROOT / "scripts" / command, "--help"], capture_output=True, text=True, timeout=60, check=True
    )
    assert f"scripts/{command}" in ended.stdout
    assert "exit codes" in ended.stdout.lower()
