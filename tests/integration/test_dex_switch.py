"""One server with two providers: only settings differ between Keycloak and Dex."""

from __future__ import annotations

import json
import os
import subprocess
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from tests.support.app import Calls
from tests.support.compose_stack import REPOSITORY, free_port
from tests.support.dex import running_dex
from tests.support.keycloak.realm import Realm
from tests.support.mcp_server_process import serving_process

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from tests.support.keycloak.realm import Keycloak

pytestmark = [pytest.mark.anyio, pytest.mark.containers]
SWITCHED = {"OAUTH_SERVER_URL", "OAUTH_INTERNAL_URL", "OAUTH_PROVIDER", "OAUTH_CLIENT_SECRET_FILE"}


def server_of(file: str) -> dict[str, Any]:
    """Returns the MCP server's service in this compose file."""
    words = ["docker", "compose", "--env-file", os.devnull, "--project-name", "one", "--file", file]
    displayed = subprocess.run(
        [*words, "config", "--format", "json"], cwd=REPOSITORY, check=True, capture_output=True, timeout=60
    )
    found: dict[str, Any] = json.loads(displayed.stdout)["services"]["mcp-server"]
    return found


def test_compose_starts_the_same_server_with_other_settings(engine: None) -> None:
    one, other = server_of("docker-compose.yml"), server_of("docker-compose.dex.yml")
    before, after = one.pop("environment"), other.pop("environment")
    assert {name for name in before | after if before.get(name) != after.get(name)} <= SWITCHED
    one.pop("depends_on", None)
    other.pop("depends_on", None)
    assert one == other


@pytest.mark.full
async def test_a_server_restarted_with_two_other_settings_accepts_the_other_provider_s_tokens(
    keycloak: Keycloak, tmp_path: Path
) -> None:
    url = f"http://localhost:{free_port()}/mcp"
    always = {"MCP_PUBLIC_URL": url, "ACCESS_FILE": str(REPOSITORY / "idp-config" / "access.yaml")}
    (tmp_path / "realm").mkdir()
    realm = Realm(keycloak, tmp_path / "realm", "switched", public_url=url)
    realm.write_access()
    realm.apply()
    scope = "mcp:tools mcp:notes.read"
    with running_dex(tmp_path / "dex", public_url=url) as dex:
        back = "http://127.0.0.1:5555/callback"
        by_keycloak = realm.log_in("reader", "mcp-native", scope=scope, redirect_uri=back)["access_token"]
        by_dex = dex.log_in("reader", "mcp-native-00")["access_token"]
        at_keycloak = {**always, "OAUTH_SERVER_URL": realm.issuer}
        at_dex = {**always, "OAUTH_SERVER_URL": dex.issuer, "OAUTH_PROVIDER": "dex"}
        for settings, accepted, rejected in ((at_keycloak, by_keycloak, by_dex), (at_dex, by_dex, by_keycloak)):
            assert await statuses(settings, tmp_path, accepted, rejected) == [200, 401]


async def statuses(settings: Mapping[str, str], folder: Path, *tokens: str) -> list[int]:
    """Returns the status for each token at a server with these settings, whose metadata must name the provider."""
    with serving_process(settings, folder / "server.log") as server:
        async with httpx.AsyncClient(base_url=server.origin, trust_env=False, timeout=60) as http:
            document = (await http.get("/.well-known/oauth-protected-resource/mcp")).json()
            assert document["authorization_servers"] == [settings["OAUTH_SERVER_URL"]]
            return [(await Calls(http).post(token)).status_code for token in tokens]
