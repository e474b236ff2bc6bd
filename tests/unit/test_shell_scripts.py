"""The shell scripts run under bash 3.2, the version that macOS includes."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SCRIPTS = [
    path
    for path in sorted((ROOT / "scripts").iterdir())
    if path.is_file() and path.read_bytes().startswith(b"#!/usr/bin/env bash")
]
_NEWER = {
    "mapfile": r"\b(mapfile|readarray)\b",
    "an associative array": r"\b(declare|local|typeset) -[a-zA-Z]*A",
    "a name reference": r"\b(declare|local|typeset) -[a-zA-Z]*n\b",
    "a change of case": r"\$\{\w+(\[[^]]*\])?(,,?|\^\^?)[^}]*\}",
    "|&": r"\|&",
    "&>>": r"&>>",
    "wait -n": r"\bwait -n\b",
    "a time from printf": r"printf [^|;]*%\(",
    "a negative index": r"\$\{\w+\[-\d",
    "a quoted expansion": r"\$\{\w+@[A-Z]\}",
    "a test of a variable": r"\[\[? -v ",
}


def find_newer_syntax(text: str) -> list[str]:
    """Returns the constructs in a script that bash 3.2 does not have, or that fail there under `set -u`."""
    code = re.sub(r"(^|\s)#.*", "", text)
    found = [name for name, pattern in _NEWER.items() if re.search(pattern, code)]
    # Under `set -u`, bash before 4.4 calls an empty array unset: ${words[@]+"${words[@]}"} is the form that works.
    may_be_empty = set(re.findall(r"\b(\w+)=\(\)", code))
    unguarded = re.findall(r'(?<!\+)"\$\{(\w+)\[@\]\}"', code)
    return found + [f'"${{{name}[@]}}", which may be empty' for name in unguarded if name in may_be_empty]


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_a_script_uses_nothing_that_bash_3_2_lacks(script: Path) -> None:
    assert find_newer_syntax(script.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    "line",
    [
        "mapfile -t left < <(list)",
        "declare -A seen",
        'echo "${name,,}"',
        'words=()\nrun "${words[@]}"',
        "make |& tee log",
        'echo "${words[-1]}"',
        "wait -n",
    ],
)
def test_newer_syntax_is_found(line: str) -> None:
    assert len(find_newer_syntax(line)) == 1


@pytest.mark.parametrize(
    "line",
    [
        'words=()\nrun ${words[@]+"${words[@]}"}',
        'words=(a b)\nrun "${words[@]}"',
        "# mapfile is missing in bash 3.2",
        'echo "${#words[@]}"',
        'while read -r word; do words+=("$word"); done < <(list)',
    ],
)
def test_syntax_of_bash_3_2_is_not_reported(line: str) -> None:
    assert find_newer_syntax(line) == []
