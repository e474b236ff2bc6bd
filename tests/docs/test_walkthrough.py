"""Executes docs/curl.md."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.support.compose_stack import Stack

PAGE = (Path(__file__).parents[2] / "docs" / "curl.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```bash\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


@pytest.mark.containers
def test_the_walk_through_works_as_it_is_written(stack: Stack) -> None:
    ended = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", "".join(BLOCKS)],
        env={**os.environ, "MCP_PUBLIC_URL": stack.url},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    output = ended.stdout
    assert re.search(r"^client [0-9a-f-]{36}$", output, re.MULTILINE)
    assert re.search(r"^a token of \d{3,} characters$", output, re.MULTILINE)
    assert "stream: 200 text/event-stream" in output
    assert "Hello, Ada!" in output
    assert "Hello, Grace!" in output
    assert output.count("notifications/progress") == 5
    assert output.count("notifications/message") == 5
    assert '"text":"Counting to 3"' in output
    assert "session ended: 200" in output
    assert '"supportedVersions"' in output


def test_every_command_of_the_walk_through_is_in_a_block_that_runs() -> None:
    assert PAGE.count("```") == 2 * len(BLOCKS)
    assert len(BLOCKS) >= 10
