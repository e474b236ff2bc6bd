"""The bootstrap stores the addresses of the compose stack for the service `login`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from mcp_idp.cli.bootstrap.errors import ConfigError
from mcp_idp.cli.bootstrap.stack_file import store_addresses
from mcp_idp.cli.common.http_client import Address
from mcp_idp.cli.common.server_env import read_dotenv
from mcp_idp.cli.login.cli import login_options
from mcp_idp.cli.login.options import LoginArguments

if TYPE_CHECKING:
    from pathlib import Path

ADDRESSES = {
    "OAUTH_SERVER_URL": "http://localhost:8180/realms/mcp",
    "MCP_PUBLIC_URL": "http://localhost:3100/mcp",
    "CONNECT_TO": "localhost:3100=mcp-server:3000,localhost:8180=keycloak:8080",
}


def test_the_file_is_a_env_file_that_replaces_an_earlier_one(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    store_addresses({**ADDRESSES, "STACK_FILE": str(path), "OAUTH_CLIENT_SECRET": "s3cr3t"})
    assert read_dotenv(path) == ADDRESSES
    store_addresses({"MCP_PUBLIC_URL": "https://mcp.example.com/mcp", "CONNECT_TO": " ", "STACK_FILE": str(path)})
    assert read_dotenv(path) == {"MCP_PUBLIC_URL": "https://mcp.example.com/mcp"}
    assert [child.name for child in tmp_path.iterdir()] == [".env"]


@pytest.mark.requirement("login.trusted_issuer")
def test_a_login_in_that_folder_uses_the_addresses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store_addresses({**ADDRESSES, "STACK_FILE": str(tmp_path / ".env")})
    monkeypatch.chdir(tmp_path)
    options = login_options(LoginArguments(headless=True, user="reader"), {})
    assert (options.url, options.issuer) == (ADDRESSES["MCP_PUBLIC_URL"], ADDRESSES["OAUTH_SERVER_URL"])
    assert options.connect_to == {
        Address("localhost", 3100): Address("mcp-server", 3000),
        Address("localhost", 8180): Address("keycloak", 8080),
    }


@pytest.mark.parametrize("name", ["", " "])
def test_without_a_name_nothing_is_written(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    store_addresses({**ADDRESSES, "STACK_FILE": name})
    store_addresses(ADDRESSES)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("sign", ["\n", " ", "\t", "'", '"', "#", "$", "\\", "\x0b", "\u2028", "é"])
def test_a_sign_that_could_begin_another_setting_is_rejected(sign: str, tmp_path: Path) -> None:
    hostile = {"MCP_PUBLIC_URL": f"https://a/{sign}OAUTH_SERVER_URL=https://evil.example"}
    with pytest.raises(ConfigError, match="MCP_PUBLIC_URL: write it without"):
        store_addresses({**hostile, "STACK_FILE": str(tmp_path / ".env")})
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be written"):
        store_addresses({**ADDRESSES, "STACK_FILE": str(tmp_path / "missing" / ".env")})
