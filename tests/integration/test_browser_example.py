"""The page of docs/examples/browser in a real browser: streaming without EventSource, or tokens in URLs or cookies."""

from __future__ import annotations

from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.browser import chromium
from tests.support.compose_stack import REPOSITORY
from tests.support.http_server import listening
from tests.support.mcp_server_process import serving_realm

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.keycloak.realm import Keycloak

pytestmark = pytest.mark.containers


class QuietFileHandler(SimpleHTTPRequestHandler):
    def log_message(self, *_: Any) -> None:
        """Logs nothing."""


@contextmanager
def page_at() -> Iterator[str]:
    """Serves the folder as `python -m http.server` does."""
    handler = partial(QuietFileHandler, directory=str(REPOSITORY / "docs" / "examples" / "browser"))
    with listening(handler) as port:
        yield f"http://127.0.0.1:{port}"


def test_a_page_logs_in_and_shows_progress_as_it_streams(keycloak: Keycloak, tmp_path: Path) -> None:
    with page_at() as origin, chromium() as page:
        access = {"registration": {"web_origins": [origin]}}
        with serving_realm(keycloak, tmp_path, access=access) as server:
            faults: list[str] = []
            requests: list[str] = []
            page.on("pageerror", lambda error: faults.append(str(error)))
            page.on("request", lambda request: requests.append(request.url))
            page.goto(f"{origin}/")
            page.fill("#url", server.url)
            page.click("#count")
            page.fill("input[name=username]", "reader")
            page.fill("input[name=password]", "reader")
            page.click("[type=submit]")
            page.click("[name=accept]")
            output = page.locator("#log")
            output.filter(has_text="Counted to 1").wait_for()
            early = output.inner_text()
            output.filter(has_text="Counting to 5").wait_for()
            late = output.inner_text()
            stored = page.evaluate("JSON.stringify([{...sessionStorage}, {...localStorage}, document.cookie])")
    assert "Counting to 5" not in early
    assert [line for line in late.splitlines() if line.startswith("…")] == [f"… Counted to {i}" for i in range(1, 6)]
    assert faults == []
    assert stored == '[{},{},""]'
    assert not [url for url in requests if "access_token" in url]
