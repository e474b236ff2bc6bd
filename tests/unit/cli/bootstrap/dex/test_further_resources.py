"""Several servers behind one Dex: their access files become one configuration."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from mcp_idp.cli.bootstrap.dex.commands import DexRun
from mcp_idp.cli.bootstrap.errors import ConfigError
from tests.support.dex import PUBLIC_URL, Dex
from tests.support.several_servers import access_members

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.requirement("several_servers.dex")

NOTES = "http://localhost:10/mcp"


def rendered(folder: Path, further: dict[str, Any], **members: Any) -> DexRun:
    dex = Dex(folder, port=5556)
    dex.write_sources(None, further, **members)
    return DexRun(dex.environment, lambda _: None, cost=4)


def notes(**members: Any) -> dict[str, Any]:
    return {**access_members("notes"), **members}


def test_each_server_is_a_resource_that_every_client_may_request(tmp_path: Path) -> None:
    run = rendered(tmp_path, {NOTES: notes()})
    clients = {client["id"]: client for client in run.config["staticClients"]}
    public = [name for name, client in clients.items() if client.get("public")]
    assert clients[NOTES]["trustedPeers"] == clients[PUBLIC_URL]["trustedPeers"] == public
    assert {"notes-native", "mcp-native", "mcp-native-00"} <= set(public)
    assert clients[NOTES]["name"] == "Notes"
    assert clients[NOTES]["secret"] != clients[PUBLIC_URL]["secret"]
    caddyfile = run.desired["front/Caddyfile"]
    assert f'@resource0 expression `{{query.resource}} == "{NOTES}"`' in caddyfile
    assert f'vars @resource0 dex_scope "openid profile groups audience:server:client_id:{NOTES}"' in caddyfile
    assert {"mcp:tools", "notes.write"} <= set(advertised_scopes(run))


def advertised_scopes(run: DexRun) -> list[str]:
    scopes: list[str] = json.loads(run.desired["front/metadata.json"])["scopes_supported"]
    return scopes


def test_a_user_of_two_files_has_the_groups_of_both(tmp_path: Path) -> None:
    users = {"reader": {"password": "other", "roles": ["notes-reader"]}, "ada": {"password": "ada", "roles": []}}
    run = rendered(tmp_path, {NOTES: notes(groups={}, demo_users=users)})
    groups = {user["email"]: user["groups"] for user in run.config["staticPasswords"]}
    assert (groups["reader"], groups["ada"]) == (["mcp-reader", "notes-reader"], [])


def test_a_second_run_changes_nothing(tmp_path: Path) -> None:
    run = rendered(tmp_path, {NOTES: notes()})
    run.write()
    assert rendered(tmp_path, {NOTES: notes()}).changes == []


@pytest.mark.parametrize(
    ("url", "members", "message"),
    [
        (
            NOTES,
            {"scopes": None, "base_scope": "mcp:tools", "groups": {}, "demo_users": {}},
            "scope mcp:admin: belongs to another server",
        ),
        (NOTES, {"roles": "mcp-reader"}, "role mcp-reader: belongs to another server"),
        (NOTES, {"clients": None}, "client mcp-native: belongs to another server"),
        (NOTES, {"registration": {"profile": "closed"}}, "registration: must be the same"),
        (PUBLIC_URL, {}, "is listed twice, or is MCP_PUBLIC_URL"),
        ("https://notes.example.com/mcp", {}, "demo_users: "),
        (NOTES + '"', {}, "MCP_PUBLIC_URL="),
        (NOTES + "/{env.HOME}", {}, "MCP_PUBLIC_URL="),
    ],
)
def test_what_two_servers_cannot_share_is_refused(
    tmp_path: Path, url: str, members: dict[str, Any], message: str
) -> None:
    changed = notes(**members)
    if role := changed.pop("roles", None):
        changed["scopes"]["notes"]["roles"] = [*changed["scopes"]["notes"]["roles"], role]
    for inherited in [name for name, value in changed.items() if value is None]:
        changed.pop(inherited)
    with pytest.raises(ConfigError, match=message.replace("[", "\\[")):
        rendered(tmp_path, {url: changed})


def test_a_file_that_is_missing_or_elsewhere_is_refused(tmp_path: Path) -> None:
    dex = Dex(tmp_path, port=5556)
    dex.write_sources(None, {NOTES: notes()})
    (tmp_path / "idp-config" / "further-0.yaml").unlink()
    with pytest.raises(ConfigError, match="cannot be read"):
        DexRun(dex.environment, lambda _: None, cost=4)
    front = tmp_path / "idp-config" / "dex" / "front.yaml"
    for name in ("../access.yaml", "/etc/passwd", ""):
        front.write_text(f"pool: 1\nresources: {{ '{NOTES}': '{name}' }}\n")
        with pytest.raises(ConfigError, match=r"front.yaml: resources"):
            DexRun(dex.environment, lambda _: None, cost=4)
