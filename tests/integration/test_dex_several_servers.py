"""Two servers behind one real Dex."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx
import pytest

from mcp_idp.access.policy import load_access
from mcp_idp.cli.bootstrap.dex.commands import DexRun
from mcp_idp.config import load_settings
from mcp_idp.errors import InvalidToken
from mcp_idp.tokens.issuers import TokenVerifierRegistry
from mcp_idp.util.clock import Clock
from tests.support.dex import PUBLIC_URL, REDIRECT, running_dex
from tests.support.keycloak.realm import claims
from tests.support.several_servers import access_members

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.dex import Dex

pytestmark = [pytest.mark.containers, pytest.mark.anyio, pytest.mark.requirement("several_servers.dex")]

NOTES = "http://localhost:10/mcp"


@pytest.fixture(scope="module")
def dex(engine: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dex]:
    members = {**access_members("notes"), "groups": {}}
    members["demo_users"] = {"writer": {"password": "writer", "roles": ["notes-writer"]}}
    with running_dex(tmp_path_factory.mktemp("dex"), further={NOTES: members}) as server:
        yield server


async def scopes(dex: Dex, token: str, url: str, file: str) -> frozenset[str] | None:
    """Returns the scopes that a server grants for a token; None if it rejects it."""
    path = str(dex.folder / "idp-config" / file)
    settings = load_settings({**dex.environment, "OAUTH_PROVIDER": "dex", "MCP_PUBLIC_URL": url, "ACCESS_FILE": path})
    async with httpx.AsyncClient(trust_env=False, timeout=20) as http:
        registry = TokenVerifierRegistry(settings, load_access(settings.access_file), Clock(), http)
        try:
            return (await registry.verify(token)).scopes
        except InvalidToken:
            return None
        finally:
            await registry.close()


async def test_a_token_is_for_the_server_that_the_login_named(dex: Dex) -> None:
    client = dex.register(redirect_uris=[REDIRECT])["client_id"]
    for resource, other in ((PUBLIC_URL, NOTES), (NOTES, PUBLIC_URL)):
        tokens = dex.log_in("writer", client, resource=resource)
        for token in (tokens["access_token"], dex.refresh(client, tokens["refresh_token"])["access_token"]):
            assert (resource in claims(token)["aud"], other in claims(token)["aud"]) == (True, False)
            accepted = [
                await scopes(dex, token, PUBLIC_URL, "access.yaml"),
                await scopes(dex, token, NOTES, "further-0.yaml"),
            ]
            assert [bool(found) for found in accepted] == [resource == PUBLIC_URL, resource == NOTES]


@pytest.mark.parametrize(
    "resource", ["", "http://localhost:11/mcp", NOTES + "/", NOTES.upper(), f"{PUBLIC_URL} {NOTES}"]
)
async def test_any_other_resource_gives_a_token_for_the_first_server(dex: Dex, resource: str) -> None:
    client = dex.register(redirect_uris=[REDIRECT])["client_id"]
    token = dex.log_in("writer", client, resource=resource)["access_token"]
    assert PUBLIC_URL in claims(token)["aud"]
    assert NOTES not in claims(token)["aud"]


async def test_the_running_files_are_verified_for_all_servers(dex: Dex) -> None:
    lines: list[str] = []
    DexRun(dex.environment, lines.append).apply(30)
    assert "no changes" in lines
    assert not [line for line in lines if line.startswith("VERIFICATION FAILED")]
    assert f"MCP server:    {NOTES}" in lines
