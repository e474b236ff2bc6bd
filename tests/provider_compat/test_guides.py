"""The guides: one per provider, with existing settings that are sufficient for the fake provider."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from mcp_idp.access.models import IssuerOverrides
from mcp_idp.access.policy import AccessPolicy
from mcp_idp.cli.bootstrap.auth0.settings import NAMES as AUTH0_NAMES
from mcp_idp.cli.bootstrap.keycloak.settings import NAMES as KEYCLOAK_NAMES
from mcp_idp.config import load_settings
from mcp_idp.config.settings import NAMES, Settings
from mcp_idp.providers import PROFILES
from scripts.docs.providers_table import GUIDES, TABLE, table
from tests.provider_compat.fake_provider import RESOURCE, FakeProvider
from tests.provider_compat.index import FAKE_PROVIDERS

if TYPE_CHECKING:
    from pathlib import Path

PAGES = sorted(page for page in GUIDES.glob("*.md") if page != TABLE)
SECTIONS = ("## Here", "## Who can log in", "## What cannot work", "## Sources")
_SETTING = re.compile(r"`([A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+)[=`]")
_RULE = re.compile(r"`([a-z]+_[a-z]+):?(?: \w+)?`")


def blocks(page: Path, kind: str) -> list[str]:
    return re.findall(rf"^```{kind}\n(.*?)^```$", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


def variables(page: Path) -> dict[str, str]:
    return dict(line.split("=", 1) for block in blocks(page, "dotenv") for line in block.splitlines())


def members(page: Path) -> dict[str, Any]:
    return {name: value for block in blocks(page, "yaml") for name, value in yaml.safe_load(block).items()}


def test_every_profile_has_a_guide_and_every_guide_a_profile() -> None:
    assert {page.stem for page in PAGES} == set(PROFILES)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_guide_has_its_parts_and_cites_its_source(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert text.splitlines()[0].lower() == f"# {PROFILES[page.stem].title}".lower()
    assert re.search(r"^\*(ran|read)\* \(", text, re.MULTILINE)
    assert text.count("](https://") >= 1
    if not PROFILES[page.stem].unsupported_reason:
        assert [part for part in SECTIONS if part not in text] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_setting_that_a_guide_names_exists(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    named = {*_SETTING.findall(text), *variables(page)}
    of_libraries = {"SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "KC_CLI_PASSWORD"}
    assert named - {*NAMES, *AUTH0_NAMES, *KEYCLOAK_NAMES, *of_libraries} == set()
    of_access = set(AccessPolicy.model_fields) | set(IssuerOverrides.model_fields)
    own = {name for line in text.splitlines() if "access.yaml" in line for name in _RULE.findall(line)}
    assert own - of_access == set()


@pytest.mark.parametrize("fake_provider", FAKE_PROVIDERS, ids=lambda i: i.profile)
def test_what_a_guide_says_to_set_is_what_the_imitation_works_with(fake_provider: FakeProvider) -> None:
    page = GUIDES / f"{fake_provider.profile}.md"
    issuer = {"OAUTH_SERVER_URL": fake_provider.issuer, "MCP_PUBLIC_URL": RESOURCE}
    assert variables(page) == {**issuer, **fake_provider.settings}
    assert members(page) == fake_provider.access
    content = yaml.safe_load(Settings().access_file.read_text(encoding="utf-8"))
    AccessPolicy.model_validate({**content, **members(page)})
    assert load_settings(variables(page)).provider.name == fake_provider.profile


def test_the_table_is_current() -> None:
    assert TABLE.read_text(encoding="utf-8") == table(), "write it anew: python -m scripts.docs.providers_table"


def test_the_guides_link_to_each_other_as_they_are_called() -> None:
    links = [
        (page.name, link)
        for page in (TABLE, *PAGES)
        for link in re.findall(r"\]\(([^)#:]+)\)", page.read_text(encoding="utf-8"))
    ]
    assert [link for link in links if not (GUIDES / link[1]).exists()] == []
    assert {link for name, link in links if name == TABLE.name} == {page.name for page in PAGES}
