"""The pages of docs/, as a site and as files of the repository."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from base64 import b64decode
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
import yaml

from mcp_idp.access.policy import load_access
from mcp_idp.config import load_settings
from mcp_idp.config.settings import NAMES
from mcp_idp.config.stack_settings import SECTIONS
from mcp_idp.http.client_snippets import client_snippets
from mcp_idp.http.landing_page import render_landing_page
from scripts.docs.settings_table import EXAMPLE, TABLE, example_file, groups, table

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = sorted(DOCS.rglob("*.md"))
PUBLIC_URL = "https://mcp.example.com/a%20b/mcp"
_FENCED = re.compile(r"^ *```.*?^ *```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\]\(([^)]+)\)")
# A path relative to the repository in backticks: `mcp_server/tools.py`, `tests/client_compat/`.
_NAMED_FILE = re.compile(r"`((?:mcp_server|scripts|tests|docs|idp-config|bench)/[\w./-]*|[A-Z]+\.md)`")


def _build(folder: Path, site: Path) -> subprocess.CompletedProcess[str]:
    """Builds as ./scripts/check does. Without --quiet: with it mkdocs counts no warnings, so --strict has no effect."""
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(site)]
    advert = {"NO_MKDOCS_2_WARNING": "1"}
    return subprocess.run(
        command, cwd=folder, env={**os.environ, **advert}, capture_output=True, text=True, timeout=100, check=False
    )


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    built = tmp_path_factory.mktemp("site")
    ended = _build(ROOT, built)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return built


class Fetched(HTMLParser):
    """Collects the URLs that a browser loads for a page."""

    def __init__(self) -> None:
        super().__init__()
        self.urls: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = {name: value or "" for name, value in attrs}
        followed_by_users = tag == "a" or attributes.get("rel") in {"canonical", "next", "prev"}
        if not followed_by_users:
            self.urls += [
                attributes[name] for name in ("src", "srcset", "href", "data", "poster") if name in attributes
            ]
        assert "mermaid" not in attributes.get("class", "").split(), "its script would be fetched from elsewhere"


def test_every_page_becomes_a_page_of_the_site(site: Path) -> None:
    names = {
        page.relative_to(DOCS).with_suffix(".html").as_posix().replace("README.html", "index.html") for page in PAGES
    }
    assert names <= {page.relative_to(site).as_posix() for page in site.rglob("*.html")}


def test_links_that_lead_nowhere_are_rejected(tmp_path: Path) -> None:
    nowhere = ("tools.md#no-such-part", "no-such-page.md", "/tools.md", "../README.md")
    config = yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))
    config |= {"nav": [{"Start": "index.md"}, {"Tools": "tools.md"}], "hooks": []}
    (tmp_path / "mkdocs.yml").write_text(yaml.safe_dump(config), encoding="utf-8")
    docs = tmp_path / "docs"
    docs.mkdir()
    (docs / "index.md").write_text("".join(f"[a link]({target})\n" for target in nowhere), encoding="utf-8")
    (docs / "tools.md").write_text("# Tools\n", encoding="utf-8")
    ended = _build(tmp_path, tmp_path / "site")
    assert ended.returncode != 0
    output = ended.stdout + ended.stderr
    assert [target for target in nowhere if f"'{target}'" not in output] == []
    assert f"{len(nowhere)} warnings in strict mode" in output


def test_no_page_fetches_anything_from_elsewhere(site: Path) -> None:
    elsewhere = []
    for page in site.rglob("*.html"):
        fetched = Fetched()
        fetched.feed(page.read_text(encoding="utf-8"))
        assert fetched.urls
        elsewhere += [f"{page.name}: {url}" for url in fetched.urls if urlsplit(url).netloc]
    for sheet in site.rglob("*.css"):
        urls = re.findall(r"url\([\"']?([^)\"']+)|@import[^;]*;", sheet.read_text(encoding="utf-8"))
        elsewhere += [f"{sheet.name}: {url}" for url in urls if urlsplit(url).netloc]
    assert elsewhere == []


def test_every_page_is_in_the_navigation_once(site: Path) -> None:
    start = (site / "index.html").read_text(encoding="utf-8")
    (sidebar,) = re.findall(r'<nav class="md-nav md-nav--primary.*?</nav>\s*</div>', start, re.DOTALL)
    linked = re.findall(r'<a href="([^"#]+)" class="md-nav__link', sidebar)
    pages = {
        page.relative_to(DOCS).with_suffix(".html").as_posix().replace("README.html", "index.html") for page in PAGES
    }
    assert sorted(linked) == sorted(pages)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(DOCS).as_posix())
def test_a_page_links_inside_docs_and_names_files_that_exist(page: Path) -> None:
    text = _FENCED.sub("", page.read_text(encoding="utf-8"))
    for link in _LINK.findall(text):
        if not urlsplit(link).scheme:
            target = (page.parent / link.partition("#")[0]).resolve() if link[0] != "#" else page
            assert target.is_file(), link
            assert target.is_relative_to(DOCS), f"{link}: name it in code, from the top of the repository"
    missing = [name for name in _NAMED_FILE.findall(text) if not (ROOT / name).exists()]
    assert missing == []


def test_the_settings_page_and_the_example_are_current() -> None:
    assert TABLE.read_text(encoding="utf-8") == table(), "write it anew: python -m scripts.docs.settings_table"
    assert EXAMPLE.read_text(encoding="utf-8") == example_file(), "write it anew: python -m scripts.docs.settings_table"


def test_every_setting_stands_in_one_row_with_words() -> None:
    listed = [value.name for section in SECTIONS for group in groups(section) for value in group.values]
    assert sorted(set(NAMES) - set(listed)) == []
    assert len(listed) == len(set(listed))


@pytest.mark.requirement("docs.install_links")
def test_an_install_link_has_the_content_of_the_file() -> None:
    by_client = {snippet.client: snippet for snippet in client_snippets(PUBLIC_URL, "a & b")}
    assert {name for name, snippet in by_client.items() if snippet.link} == {"VS Code", "Cursor"}

    link = by_client["VS Code"].link or ""
    server = json.loads(unquote(link.removeprefix("vscode:mcp/install?"), errors="strict"))
    assert {"servers": {server.pop("name"): server}} == json.loads(by_client["VS Code"].text)

    parts = urlsplit(by_client["Cursor"].link or "")
    assert (parts.scheme, parts.netloc, parts.path) == ("cursor", "anysphere.cursor-deeplink", "/mcp/install")
    query = parse_qs(parts.query, strict_parsing=True)
    (name,), (config,) = query.pop("name"), query.pop("config")
    assert query == {}
    assert {"mcpServers": {name: json.loads(b64decode(config, validate=True))}} == json.loads(by_client["Cursor"].text)


@pytest.mark.requirement("docs.install_links")
def test_the_servers_page_has_the_links() -> None:
    settings = load_settings({"MCP_PUBLIC_URL": "http://localhost:3000/mcp"})
    page = render_landing_page(settings, load_access(settings.access_file)).body.decode()
    hrefs = re.findall(r'<a href="([^"]+)">Add to', page)
    links = [snippet.link for snippet in client_snippets(settings.public_url) if snippet.link]
    assert [href.replace("&amp;", "&") for href in hrefs] == links
