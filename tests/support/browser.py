"""Logins with headless Chromium on the login pages of a real provider."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import sync_playwright

from tests.support.compose_stack import REPOSITORY

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from playwright.sync_api import Page

_ARGUMENTS = (
    "--no-sandbox",  # tests may run as root in a container
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


@contextmanager
def chromium() -> Iterator[Page]:
    """Yields a new page of the system's Chromium; without one the test is skipped, or fails if REQUIRE_CONTAINERS=1."""
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if found is None:
        reason = "NO CHROMIUM: no login through a browser was tested"
        if os.environ.get("REQUIRE_CONTAINERS") == "1":
            pytest.fail(reason, pytrace=False)
        pytest.skip(reason)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=list(_ARGUMENTS))
        try:
            yield browser.new_page()
        finally:
            browser.close()


def log_in_by_browser(url: str, user: str, pictures: Path) -> tuple[int, str, list[str]]:
    """Runs `./scripts/login`, opens the URL that it prints, logs in and consents.

    Returns:
        The program's exit code, its output, and the text of each page.
    """
    words = ["./scripts/login", "--url", url, "--no-browser", "--timeout", "60"]
    program = subprocess.Popen(words, cwd=REPOSITORY, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert program.stdout is not None
    output_lines: list[str] = []
    pages: list[str] = []
    try:
        with chromium() as page:
            page.goto(_login_url(program.stdout, output_lines))
            _see(page, pages, pictures)
            page.fill("input[name=username]", user)
            page.fill("input[name=password]", user)
            page.click("[type=submit]")
            page.wait_for_load_state()
            if page.locator("[name=accept]").count():
                _see(page, pages, pictures)
                page.click("[name=accept]")
            page.wait_for_url(re.compile(r"http://127\.0\.0\.1:\d+/"))
            _see(page, pages, pictures)
        rest, _ = program.communicate(timeout=60)
    finally:
        program.kill()
        program.wait()
    return program.returncode, "".join(output_lines) + rest, pages


def _login_url(lines: Iterator[str], output_lines: list[str]) -> str:
    for line in lines:
        output_lines.append(line)
        if found := re.search(r"https?://\S+[?&]code_challenge=\S+", line):
            return found[0]
    raise AssertionError("".join(output_lines))


def _see(page: Page, pages: list[str], pictures: Path) -> None:
    pages.append(page.inner_text("body"))
    page.screenshot(path=pictures / f"page-{len(pages)}.png")
