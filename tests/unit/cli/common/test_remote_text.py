"""What the commands do with text of a server: the time is linear in its length, and the terminal sees no controls."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

import pytest

from mcp_idp.cli.common.console import json_text, printable
from mcp_idp.cli.common.redaction import Redactor
from mcp_idp.cli.common.stdin_token import is_token
from mcp_idp.cli.common.token_summary import describe_claims
from mcp_idp.cli.doctor.challenge_header import read_challenge
from mcp_idp.cli.login.html_forms import read_page
from mcp_idp.cli.login.tool_calls import without_links

if TYPE_CHECKING:
    from collections.abc import Callable

    Read = Callable[[str], object]


def _redact(word: str) -> Read:
    def read(text: str) -> object:
        secrets = Redactor()
        secrets.add_password(word)
        return secrets.redact_remote_text(text)

    return read


def _redact_public(text: str) -> object:
    secrets = Redactor()
    secrets.add_password("correct horse")
    secrets.add_public(*["a " * 140, text, *(f"{text[:40]}{n}" for n in range(len(text)))])
    return secrets.redact_remote_text(text)


def _redact_secrets(text: str) -> object:
    secrets = Redactor()
    secrets.add_secret(*"<hiden>", text[: len(text) // 2])
    return secrets.redact(text)


def _page(html: str) -> object:
    return read_page(html, "http://localhost/")


INPUTS: dict[str, tuple[Read, Callable[[int], str]]] = {
    "spaces in a challenge": (read_challenge, lambda n: f"Bearer{' ' * n}!"),
    "spaces before an equals sign": (read_challenge, lambda n: f"Bearer a{' ' * n}!"),
    "spaces behind an equals sign": (read_challenge, lambda n: f"Bearer a={' ' * n}"),
    "commas": (read_challenge, lambda n: ", " * n),
    "backslashes": (read_challenge, lambda n: 'Bearer a="' + "\\" * n),
    "letters": (read_challenge, lambda n: f"Bearer {'a' * n}"),
    "parameters": (read_challenge, lambda n: f"Bearer {'a=b,' * n}"),
    "spaces in an error": (without_links, lambda n: " " * n),
    "links in an error": (without_links, lambda n: " For further information visit https://errors.pydantic.dev/" * n),
    "spaces, and a password that begins with one": (_redact(" a b"), lambda n: " " * n),
    "words of a password": (_redact("a a a a b"), lambda n: "a " * n),
    "public words of the same server": (_redact_public, lambda n: "a " * n),
    "secrets that are a part of the mark": (_redact_secrets, lambda n: "<hidden>" * n),
    "tags without an end": (_page, lambda n: "<a " * n),
    "comments without an end": (_page, lambda n: "<!--" * n),
    "CDATA without an end": (_page, lambda n: "<![CDATA[" * n),
    "ends of elements that are not open": (_page, lambda n: "<a>" * n + "</b>" * n),
    "attributes without an end": (_page, lambda n: "<a x='" * n),
    "character references": (_page, lambda n: "&a" * n),
    "fields": (_page, lambda n: "<form>" + "<input type=text name=a>" * n),
    "text in a button": (_page, lambda n: "<form><button>" + "x<b>" * n),
}


def _cpu(read: Read, text: str) -> float:
    """Returns the least processor time of some runs, in seconds."""
    times = []
    for _ in range(5):
        started = time.process_time()
        read(text)
        times.append(time.process_time() - started)
    return min(times)


@pytest.mark.requirement("login.linear")
@pytest.mark.parametrize("name", INPUTS)
def test_four_times_the_text_takes_much_less_than_sixteen_times_the_processor(name: str) -> None:
    read, make = INPUTS[name]
    assert _cpu(read, make(20_000)) < 10 * _cpu(read, make(5_000)) + 0.001


CONTROLS = [
    "\x1b[2J",
    "\x07",
    "\x9b31m",
    "\x7f",
    "\u202e",
    "\u2066",
    "\u2028",
    "\r\n",
    "\x00",
    "\u200b",
    "\ud800",
    "\ue000",
]


@pytest.mark.parametrize("control", CONTROLS)
def test_no_control_character_reaches_the_terminal(control: str) -> None:
    assert printable(f"a{control}b").isprintable()
    assert len(printable(control * 100_000)) < 2100
    text = json_text({"a": [f"x{control}y"], control: 1})
    assert [c for c in text if not c.isprintable() and c != "\n"] == []
    assert json.loads(text) == {"a": [f"x{control}y"], control: 1}


@pytest.mark.parametrize("control", [*CONTROLS, " ", "\u00e9", "", "a" * 70_000])
def test_an_access_token_has_visible_ascii_characters_only(control: str) -> None:
    assert is_token("abc.DEF-_~+/=")
    assert not is_token(f"abc{control}") or not control
    assert not is_token(control)


@pytest.mark.parametrize("expiry", [float("inf"), float("-inf"), float("nan"), 10**400, -(10**400), 1e308, True])
def test_no_expiry_of_a_token_is_an_error(expiry: float) -> None:
    assert any(line.startswith("expires") for line in describe_claims({"exp": expiry}, 1e9))
