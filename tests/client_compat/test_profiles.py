"""The client profiles, the generated table and the guides; needs no provider."""

from __future__ import annotations

import json
import re
from typing import get_args

import pytest

from mcp_idp.access.models import RegistrationProfile
from mcp_idp.cli.bootstrap.dex.settings import check_profile
from mcp_idp.cli.bootstrap.errors import ConfigError
from mcp_idp.http.client_snippets import client_snippets
from scripts.docs.registration_table import TABLE, table
from tests.client_compat.expected import EXPECTED
from tests.client_compat.index import PROFILES
from tests.client_compat.malicious_registrations import REJECTED
from tests.client_compat.narrowed_registrations import NARROWED
from tests.client_compat.profile import ClientProfile, Evidence

GUIDES = {path.stem: path.read_text(encoding="utf-8") for path in (TABLE.parent / "clients").glob("*.md")}
BLOCKS = {name: re.findall(r"^```\w*\n(.*?)^```$", text, re.MULTILINE | re.DOTALL) for name, text in GUIDES.items()}
PUBLIC_URL = "http://localhost:3000/mcp"
SNIPPETS = {snippet.client: snippet.text for snippet in client_snippets(PUBLIC_URL)}
LINKS = {snippet.client: snippet.link for snippet in client_snippets(PUBLIC_URL) if snippet.link is not None}
TEST_OF_PROFILE = {
    "VS Code": "vscode",
    "Claude Code": "claude-code",
    "Cursor": "cursor",
    "Codex": "codex",
    "mcp-remote": "mcp-remote",
    "MCP Inspector": "inspector",
    "curl": "curl",
}


def test_the_table_is_current() -> None:
    assert TABLE.read_text(encoding="utf-8") == table(), "write it anew: python -m scripts.docs.registration_table"


def test_every_registration_profile_has_a_column_at_keycloak() -> None:
    # Under cimd there is no registration, and Keycloak needs a feature: tests/integration/test_insecure_keycloak.py.
    assert set(EXPECTED["Keycloak"].tested()) == set(get_args(RegistrationProfile)) - {"cimd"}


def test_every_registration_profile_has_a_column_at_dex_or_is_declared_impossible() -> None:
    impossible = {profile for profile in get_args(RegistrationProfile) if f"`{profile}`" in EXPECTED["Dex"].cannot}
    assert set(EXPECTED["Dex"].tested()) == set(get_args(RegistrationProfile)) - impossible
    for profile in impossible:
        with pytest.raises(ConfigError):
            check_profile(profile)


def test_expectations_name_clients_and_requests_that_exist() -> None:
    hostile = [one.name for one in (*REJECTED, *NARROWED)]
    assert len(hostile) == len(set(hostile))
    for provider in EXPECTED.values():
        assert set(provider.failures) <= set(hostile)
        assert provider.responses <= {one.name for one in REJECTED}
        for name, lost in provider.lost_redirects.items():
            assert set(lost) < set(PROFILES[name].redirects)
        assert set().union(*(column.allowed for column in provider.columns.values())) <= set(PROFILES)


@pytest.mark.parametrize("profile", PROFILES.values(), ids=PROFILES)
def test_a_client_profile_cites_public_sources_or_the_version_that_ran(profile: ClientProfile) -> None:
    assert profile.sources
    if profile.evidence is Evidence.READ:
        assert all(source.startswith("https://github.com/") for source in profile.sources)
    else:
        assert re.search(r"\d+\.\d+\.\d+$", profile.version)


@pytest.mark.parametrize("profile", PROFILES.values(), ids=PROFILES)
def test_a_client_profile_requests_a_redirect_that_it_registered(profile: ClientProfile) -> None:
    registered = set(profile.registration["redirect_uris"])
    without_port = {re.sub(r"^(http://127\.0\.0\.1):\d+", r"\1", uri) for uri in profile.redirects}
    assert set(profile.redirects) <= registered or without_port <= registered
    json.dumps(dict(profile.registration))  # it is valid JSON


@pytest.mark.parametrize("client", TEST_OF_PROFILE)
def test_a_guide_configures_its_client_as_the_servers_page_does(client: str) -> None:
    assert SNIPPETS[client] in {block.strip() for block in BLOCKS[TEST_OF_PROFILE[client]]}


@pytest.mark.parametrize("client", LINKS)
def test_a_guide_shows_the_install_link_of_the_servers_page(client: str) -> None:
    assert LINKS[client] in {block.strip() for block in BLOCKS[TEST_OF_PROFILE[client]]}


def test_each_client_of_the_servers_page_has_a_guide() -> None:
    assert set(SNIPPETS) == set(TEST_OF_PROFILE)
    assert set(TEST_OF_PROFILE.values()) <= set(GUIDES)


def test_each_guide_says_how_its_facts_are_known_and_links_lead_somewhere() -> None:
    for name, text in GUIDES.items():
        if name not in {"README", "quirks"}:
            assert re.search(r"\*(ran|read)\*", text), name
        for link in re.findall(r"\]\(([^)#:]+)\)", text):
            assert (TABLE.parent / "clients" / link).exists(), f"{name}: {link}"


def test_guides_name_only_our_own_address() -> None:
    addresses = re.findall(r"http://localhost:\d+/\w+", "".join("".join(blocks) for blocks in BLOCKS.values()))
    assert {address for address in addresses if address.endswith("/mcp")} == {PUBLIC_URL}
