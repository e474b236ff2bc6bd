"""Where the command finds its files: in the wheel, an editable install, the checkout, and beside an access file."""

from __future__ import annotations

from pathlib import Path

from mcp_idp.cli.bootstrap.auth0.settings import Auth0Settings
from mcp_idp.cli.bootstrap.dex.settings import DexSettings
from mcp_idp.cli.bootstrap.keycloak.settings import KeycloakSettings
from mcp_idp.cli.common.installation import bundled_config, find_checkout, provider_files
from tests.support.desired_state import CONFIG, environment

ROOT = Path(__file__).parents[4]


def test_the_checkouts_files_are_its_own() -> None:
    assert (bundled_config(), find_checkout()) == (CONFIG, ROOT)


def test_an_installed_wheels_files_are_inside_it_whatever_lies_beside_it(tmp_path: Path) -> None:
    command = tmp_path / "mcp_idp" / "cli"
    (command / "idp-config").mkdir(parents=True)
    (tmp_path / "idp-config").mkdir()  # another distribution's, in the same site-packages
    (tmp_path / "mcp_server").mkdir()
    (tmp_path / "mcp_server" / "__main__.py").touch()
    assert bundled_config(command=command, root=tmp_path) == command / "idp-config"
    assert find_checkout(root=tmp_path) is None


def test_a_providers_files_beside_the_access_file_come_first(tmp_path: Path) -> None:
    assert provider_files(tmp_path / "access.yaml", "keycloak") == CONFIG / "keycloak"
    (tmp_path / "keycloak").mkdir()
    assert provider_files(tmp_path / "access.yaml", "keycloak") == tmp_path / "keycloak"
    assert provider_files(tmp_path / "access.yaml", "dex") == CONFIG / "dex"


def test_an_access_file_anywhere_is_enough_for_every_provider(tmp_path: Path) -> None:
    access = tmp_path / "access.yaml"
    access.write_text((CONFIG / "access.yaml").read_text(encoding="utf-8"), encoding="utf-8")
    known = environment(ACCESS_FILE=str(access))
    assert KeycloakSettings.load(known).provider_folder == CONFIG / "keycloak"
    assert DexSettings.load({**known, "OAUTH_SERVER_URL": "http://localhost:5556"}).sources == CONFIG / "dex"
    auth0 = {**known, "OAUTH_SERVER_URL": "https://x.eu.auth0.com/", "MCP_PUBLIC_URL": "https://mcp.example.com/mcp"}
    assert Auth0Settings.load(auth0).sources == CONFIG / "auth0"
