"""The format of the log."""

from __future__ import annotations

import json
import logging
import re
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
import structlog

from mcp_idp.observability.log_escaping import format_exception
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
    assert (entry["event"], entry["level"], entry["got"]) == ("refused", "warning", r"a\nb\x1b[31m")


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


CSI, OSC = "\x1b[2J", "\x1b]0;owned\x07"
FORGED = "\r\n2026-11-30 12:00:00 [info     ] admitted  subject=ceo"
HOSTILE = [
    f"x{OSC}{FORGED}",
    "a\nb",
    "a\rb",
    "\x9b31m",
    "\u2028forged",
    "\u2029forged",
    "\u202egnp.exe",
    "\x85next",
    "\x00",
    "\x7f",
    "\ud800",
    "\u200b",
    "\x0b\x0c",
    CSI,
    "\ue000",
]


def _is_clean(written: str) -> bool:
    """Whether each line is a line of the log or part of a traceback, without control characters."""
    lines = written.split("\n")
    known = re.compile(r"\{|\d{4}-\d\d-\d\d[T ]|  \| |$")
    return all(line.isprintable() and known.match(line) for line in lines) and "ceo" not in {
        line.partition("subject=")[2] for line in lines if re.match(r"2026-11-30 12:00:00", line)
    }


@pytest.mark.usefixtures("_configured")
@pytest.mark.parametrize("log_format", ["json", "text"])
@pytest.mark.parametrize("text", HOSTILE, ids=ascii)
def test_text_from_outside_is_escaped_on_whatever_way_it_comes(
    capsys: pytest.CaptureFixture[str], text: str, log_format: str
) -> None:
    configure_logging(log_format, "debug")
    own, theirs = structlog.get_logger("ours"), logging.getLogger("theirs")
    own.info("event", field=text, listed=[text], nested={text: {text: [text]}}, raw=text.encode("utf-8", "replace"))
    own.info(text)
    theirs.warning("failed for %s", text)
    theirs.warning(text)
    for error in (ValueError(text), KeyError(text), _Broken(text), ExceptionGroup(text, [ValueError(text)])):
        error.add_note(text)
        try:
            _raise(error, RuntimeError(text))
        except type(error):
            own.exception("failed", field=text)
            theirs.exception("failed for %s", text)
    theirs.warning("%d", text)  # cannot be formatted
    own.info("event", exception=text, stack=text, **{text: 1})
    written = capsys.readouterr().err
    assert _is_clean(written), ascii(written)
    assert "Traceback (most recent call last)" in written
    assert written.count("RuntimeError") >= 6
    if log_format == "json":
        for line in written.splitlines():
            values = [value for name, value in json.loads(line).items() if name != "exception"]
            assert all(str(value).isprintable() for value in values)


def _raise(error: Exception, cause: Exception) -> None:
    try:
        raise cause
    except RuntimeError as caught:
        raise error from caught


class _Broken(Exception):
    def __str__(self) -> str:
        raise ValueError("no message")


@pytest.mark.usefixtures("_configured")
@pytest.mark.parametrize("log_format", ["json", "text"])
def test_what_is_written_is_bounded(capsys: pytest.CaptureFixture[str], log_format: str) -> None:
    configure_logging(log_format, "debug")
    own, theirs = structlog.get_logger("ours"), logging.getLogger("theirs")
    long = "x" * 1_000_000
    error = ValueError(long)
    for _ in range(1000):
        error.add_note(long)
    deep: list[object] = []
    for _ in range(10_000):
        deep = [deep]
    values = (long, [long] * 3, {long: long}, {str(n): long for n in range(10)}, 10**50_000, list(range(10_000)), deep)
    for value in values:
        own.info("event", field=value)
    own.info(long)
    theirs.warning("failed for %s", long)
    try:
        _recurse(error, 900)
    except ValueError:
        own.exception("failed")
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) > len(values)
    assert max(map(len, lines)) < 100_000
    assert sum(map(len, lines)) < 200_000


def _recurse(error: Exception, depth: int) -> None:
    if depth == 0:
        raise error
    _recurse(error, depth - 1)


def test_a_traceback_names_where_and_why() -> None:
    try:
        try:
            int("x")
        except ValueError:
            _recurse(LookupError("outer"), 3)
    except LookupError as error:
        lines = format_exception(error).splitlines()
    assert all(line.startswith("  | ") for line in lines)
    text = "\n".join(lines)
    assert text.count("in _recurse") == 4
    assert text.index("LookupError: outer") < text.index("which was raised while") < text.index("ValueError: invalid")


@pytest.mark.parametrize("log_format", ["json", "text"])
def test_what_a_client_names_forges_no_line(log_format: str) -> None:
    """In a process of its own: a logger keeps the stream to which it has written first."""
    words = [sys.executable, "-m", "tests.support.hostile_names", log_format, json.dumps(HOSTILE)]
    written = subprocess.run(words, check=True, capture_output=True, timeout=100).stderr.decode()
    assert "ValueError: Unknown prompt: x\\" in written
    assert _is_clean(written), ascii(written[:5000])
    assert max(map(len, written.splitlines())) < 50_000
