"""The login command with an in-process server and provider."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.support.fake_mcp_server import PASSWORD, Fake, fake_for_a_program, log_in

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Iterator[Fake]:
    with fake_for_a_program(monkeypatch) as running:
        yield running


def test_the_eight_steps_are_printed_in_order(fake: Fake, capsys: pytest.CaptureFixture[str]) -> None:
    assert log_in(fake) == 0
    output = capsys.readouterr().out
    steps = [line.split()[1] for line in output.splitlines() if line.startswith("STEP ")]
    assert steps == list("12345678")
    assert f"issued by   {fake.url}" in output
    assert 'response  {"name": "ada"}' in output


def test_login_and_consent_are_submitted_as_a_browser_would(fake: Fake) -> None:
    assert log_in(fake) == 0
    login, consent = fake.forms
    assert login == {"username": "ada", "password": PASSWORD, "token": "hidden-in-form"}
    assert consent == {"accept": "Yes"}
    assert fake.query["resource"] == fake.resource


@pytest.mark.parametrize("options", [(), ("--json",)])
@pytest.mark.parametrize("unkind", [False, True])
def test_no_secret_is_printed_whatever_happens(
    fake: Fake, capsys: pytest.CaptureFixture[str], options: tuple[str, ...], *, unkind: bool
) -> None:
    fake.token_error = unkind
    assert log_in(fake, *options) == (5 if unkind else 0)
    output = "".join(capsys.readouterr())
    assert "the-client" in output.replace(fake.secret, "")  # not everything is redacted
    assert [secret for secret in fake.secrets() if secret in output] == []
    assert "<hidden>" in output


def test_a_tool_that_repeats_the_token_does_not_make_the_client_print_it(
    fake: Fake, capsys: pytest.CaptureFixture[str]
) -> None:
    fake.description = f"I was called with {fake.token}"
    assert log_in(fake) == 0
    output = capsys.readouterr().out
    assert fake.token not in output
    assert "I was called with <hidden>" in output


def test_a_description_cannot_clear_the_screen(fake: Fake, capsys: pytest.CaptureFixture[str]) -> None:
    fake.description = "\x1b[2J\x1b]0;owned\x07 harmless \u202e"
    assert log_in(fake) == 0
    output = capsys.readouterr().out
    assert not {"\x1b", "\x07", "\u202e"} & set(output)
    assert "\\x1b[2J" in output


def test_a_server_without_authorization_is_called_without_login(fake: Fake, capsys: pytest.CaptureFixture[str]) -> None:
    fake.requires_login = False
    assert log_in(fake) == 0
    output = capsys.readouterr().out
    assert "runs without authorization" in output
    assert [line.split()[1] for line in output.splitlines() if line.startswith("STEP ")] == ["1", "8"]


def test_with_a_known_client_no_registration_is_made(fake: Fake, capsys: pytest.CaptureFixture[str]) -> None:
    fake.responses["/registration"] = (500, {})
    assert log_in(fake, "--client-id", "known") == 0
    assert "not needed: uses the preregistered client known" in capsys.readouterr().out
    assert fake.query["client_id"] == "known"


def test_scope_replaces_what_the_challenge_names(fake: Fake) -> None:
    assert log_in(fake, "--scope", "mcp:tools mcp:admin") == 0
    assert fake.query["scope"] == "mcp:tools mcp:admin"


def test_json_is_one_object_and_nothing_else(fake: Fake, capsys: pytest.CaptureFixture[str]) -> None:
    assert log_in(fake, "--json", "--call", "add", "a=2", "--call", "greet", "name=2") == 0
    out, err = capsys.readouterr()
    report = json.loads(out)
    assert err == ""
    assert [step["step"] for step in report["steps"]] == [1, 2, 3, 4, 5, 6, 7, 8]
    assert report["claims"]["sub"] == "ada"
    assert report["tools"] == ["greet", "add"]
    assert [call["arguments"] for call in report["calls"]] == [{"a": 2}, {"name": "2"}]


def test_json_reports_a_failure_as_well(fake: Fake, capsys: pytest.CaptureFixture[str]) -> None:
    assert log_in(fake, "--json", "--call", "add", "a=x") == 7
    report = json.loads(capsys.readouterr().out)
    assert (report["ok"], report["exit_code"]) == (False, 7)
    assert report["error"]["message"] == "add: a=x is not of type integer"


def test_connect_to_reaches_another_address_under_the_public_name(
    fake: Fake, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    real = fake.url.removeprefix("http://")
    fake.url = "http://localhost:1"  # nothing listens there; only the mapping reaches the server
    fake.claims |= {"iss": fake.url, "aud": fake.resource}
    monkeypatch.setenv("CONNECT_TO", f"localhost:1={real}")
    assert log_in(fake) == 0
    output = capsys.readouterr().out
    assert f"issued by   {fake.url}" in output
    assert real not in output
