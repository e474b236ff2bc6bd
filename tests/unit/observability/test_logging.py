"""The format of the log."""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING

import pytest
import structlog

from mcp_idp.observability.logging import configure_logging
from mcp_idp.testing.issuer import Issuer

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def _configured() -> Iterator[None]:
    handlers, level = logging.root.handlers[:], logging.root.level
    yield
    structlog.reset_defaults()
    logging.root.handlers[:] = handlers
    logging.root.setLevel(level)


@pytest.mark.requirement("logs.no_token")
@pytest.mark.usefixtures("_configured")
@pytest.mark.parametrize("log_format", ["json", "text"])
def test_a_token_is_redacted_in_every_line(capsys: pytest.CaptureFixture[str], log_format: str) -> None:
    configure_logging(log_format, "debug")
    token, opaque = Issuer().token(), "Bearer abcdefghijklmnopqrstuvwxyz0123456789"
    log = structlog.get_logger("ours")
    log.info("event", field=f"x {token} y", nested={"a": [token]}, raw=token.encode())
    logging.getLogger("theirs").warning("failed for %s and %s", token, opaque)
    try:
        int(token)
    except ValueError:
        log.exception("boom")
    written = capsys.readouterr().err
    assert written.count("(token withheld)") >= 5
    assert token[:30] not in written
    assert "abcdefghijklmnop" not in written


@pytest.mark.requirement("logs.no_token")
@pytest.mark.usefixtures("_configured")
def test_a_json_line_is_one_line_and_one_object(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("json", "info")
    structlog.get_logger("ours").warning("refused", got="a\nb\x1b[31m")
    structlog.get_logger("ours").debug("unseen")
    (line,) = capsys.readouterr().err.splitlines()
    entry = json.loads(line)
    assert (entry["event"], entry["level"], entry["got"]) == ("refused", "warning", "a\nb\x1b[31m")


@pytest.mark.usefixtures("_configured")
@pytest.mark.parametrize(
    ("value", "message"),
    [
        (None, "field=none"),
        ([], "field=none"),
        (["mcp:tools", "mcp:admin"], "field='mcp:tools, mcp:admin'"),
        (("one",), "field=one"),
        (frozenset({"b", "a"}), "field='a, b'"),
        ({"iss": None, "aud": ["x"]}, "field='iss none, aud x'"),
        (True, "field=yes"),
        (0, "field=0"),
        ("a text", "field='a text'"),
        (["a\x1b[31m\nb"], r"field='a\x1b[31m\nb'"),
    ],
)
def test_a_text_line_writes_values_for_humans(capsys: pytest.CaptureFixture[str], value: object, message: str) -> None:
    configure_logging("text", "info")
    structlog.get_logger("ours").info("event", field=value)
    (line,) = capsys.readouterr().err.splitlines()
    assert line.rstrip().endswith(message)


@pytest.mark.usefixtures("_configured")
def test_a_json_line_begins_with_time_level_and_event(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("json", "info")
    structlog.get_logger("ours").warning("refused", reason="expired", scopes=["a"], got=None)
    logging.getLogger("theirs").warning("their line")
    own_line, theirs = (json.loads(line) for line in capsys.readouterr().err.splitlines())
    assert list(own_line) == ["timestamp", "level", "event", "reason", "scopes", "got"]
    assert (own_line["scopes"], own_line["got"]) == (["a"], None)
    assert list(theirs)[:3] == ["timestamp", "level", "event"]


@pytest.mark.parametrize("word", ["eyJ", "eyJ-", "bearer ", "eyJaaaaaaaa", "bearer\n\t"])
def test_a_line_written_to_be_slow_is_read_once(word: str, capsys: pytest.CaptureFixture[str]) -> None:
    # With quadratic matching each of these would take hours, so the run would time out.
    handlers, level = logging.root.handlers[:], logging.root.level
    configure_logging("json", "info")
    try:
        structlog.get_logger("tool").warning("raised", exception=word * 500_000)
    finally:
        structlog.reset_defaults()
        logging.root.handlers[:] = handlers
        logging.root.setLevel(level)
    assert json.loads(capsys.readouterr().err)["event"] == "raised"
