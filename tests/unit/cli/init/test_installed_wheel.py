"""Which wheel the images get: the one from which the command was installed, or none."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

import pytest

from mcp_idp.cli.init.installed_wheel import WHEEL_NAME, installed_wheel

if TYPE_CHECKING:
    from pathlib import Path

CONTENT = b"a wheel"


def record(path: Path, sha256: str | None = None) -> dict[str, Any]:
    hashes = {"hashes": {"sha256": sha256}} if sha256 else {}
    return {"url": path.as_uri(), "archive_info": hashes}


@pytest.fixture
def wheel(tmp_path: Path) -> Path:
    path = tmp_path / "a folder" / WHEEL_NAME
    path.parent.mkdir()
    path.write_bytes(CONTENT)
    return path


@pytest.mark.parametrize("sha256", [None, hashlib.sha256(CONTENT).hexdigest()])
def test_the_wheel_is_found(wheel: Path, sha256: str | None) -> None:
    assert installed_wheel(json.dumps(record(wheel, sha256))) == CONTENT


def test_another_file_in_its_place_is_not_taken(wheel: Path) -> None:
    text = json.dumps(record(wheel, hashlib.sha256(CONTENT).hexdigest()))
    wheel.write_bytes(b"another wheel")
    assert installed_wheel(text) is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        '"text"',
        "{}",
        '{"url": 1}',
        '{"url": "https://example.com/mcp_idp.whl"}',
        f'{{"url": "https://example.com/{WHEEL_NAME}"}}',
        f'{{"url": "file:///nowhere/{WHEEL_NAME}"}}',
        '{"url": "file:///etc/passwd"}',
        '{"url": "file:///%00"}',
        '{"url": "file://[", "archive_info": {}}',
    ],
)
def test_a_record_of_no_wheel_on_this_machine_finds_none(text: str) -> None:
    assert installed_wheel(text) is None


@pytest.mark.parametrize("info", [[], "text", {"hashes": []}, {"hashes": {"sha256": 1}}])
def test_a_record_with_a_strange_hash_finds_none(wheel: Path, info: Any) -> None:
    assert installed_wheel(json.dumps({"url": wheel.as_uri(), "archive_info": info})) is None


def test_a_folder_of_that_name_is_not_a_wheel(tmp_path: Path) -> None:
    (tmp_path / WHEEL_NAME).mkdir()
    assert installed_wheel(json.dumps(record(tmp_path / WHEEL_NAME))) is None
