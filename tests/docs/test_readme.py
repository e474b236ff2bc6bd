"""Executes README.md."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import pytest
from mcp.server.mcpserver import MCPServer

from mcp_idp.access.policy import load_access
from mcp_idp.auth.scopes import ScopeRequirements
from mcp_idp.http.client_snippets import client_snippets
from mcp_idp.mcp_protocol.registry import register

if TYPE_CHECKING:
    from tests.support.compose_stack import Stack

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
SHELL = [text for kind, text in BLOCKS if kind == "sh"]
# Covered by another test, or the command that runs this test.
ELSEWHERE = {"./scripts/demo\n": "test_demo.py", "./scripts/test\n": "this run", "OAUTH_SERVER_URL": "stack.alone"}


def _here(block: str) -> bool:
    return not any(block.startswith(start) for start in ELSEWHERE)


AFTER_ACCESS = "docker compose up --wait && docker compose restart registrar mcp-server"


def test_the_readme_and_the_access_file_say_the_same_to_run_after_a_change() -> None:
    assert f"| `idp-config/access.yaml` | `{AFTER_ACCESS}` |" in README
    assert f"`{AFTER_ACCESS}`" in (ROOT / "idp-config" / "access.yaml").read_text(encoding="utf-8")


@pytest.mark.containers
@pytest.mark.parametrize("block", [block for block in SHELL if _here(block)])
def test_a_shell_block_works_as_it_stands(block: str, stack: Stack) -> None:
    # The same commands with the test stack's ports.
    command = block.replace("localhost:3000", f"localhost:{stack.mcp_port}")
    variables = {
        **stack.variables,
        "COMPOSE_PROJECT_NAME": stack.project,
        "MCP_PORT": str(stack.mcp_port),
        "KEYCLOAK_PORT": str(stack.keycloak_port),
        "MCP_PUBLIC_URL": stack.url,
    }
    ended = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", command],
        cwd=ROOT,
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    for expected in _what_readme_shows_after(block):
        output = ended.stdout.replace(f"localhost:{stack.mcp_port}", "localhost:3000").replace("\r", "")
        assert expected in output


def _what_readme_shows_after(block: str) -> list[str]:
    """Returns the lines of the text blocks that README shows as output."""
    if "curl" in block:
        (text,) = (str(text) for kind, text in BLOCKS if kind == "text" and "401 Unauthorized" in text)
        return text.splitlines()
    (text,) = (str(text) for kind, text in BLOCKS if kind == "text" and "Hello" in text)
    return text.splitlines()


def test_every_shell_block_is_run_somewhere() -> None:
    assert len(SHELL) == 5
    assert sum(_here(block) for block in SHELL) == 2
    for block in SHELL:
        for word in re.findall(r"\./scripts/\w+", block):
            assert os.access(ROOT / word, os.X_OK)


def test_readme_configures_clients_as_the_page_does() -> None:
    blocks = {text.strip() for _, text in BLOCKS}
    for snippet in client_snippets("http://localhost:3000/mcp"):
        if snippet.client in {"VS Code", "Claude Code", "Cursor"}:
            assert snippet.text in blocks
    assert "npx @modelcontextprotocol/inspector" in README


@pytest.mark.anyio
async def test_the_tool_of_readme_is_served() -> None:
    (source,) = (text for kind, text in BLOCKS if kind == "python")
    module = ModuleType("readme")
    exec(compile(source, "README.md", "exec"), vars(module))  # noqa: S102 - code of our README
    server: MCPServer[Any] = MCPServer("t")
    register(server, module, ScopeRequirements(load_access(ROOT / "idp-config/access.yaml")))
    (tool,) = await server.list_tools()
    assert (tool.name, tool.description) == ("my_orders", "List the orders of the logged-in user.")


def test_links_inside_the_repository_lead_somewhere() -> None:
    broken = []
    for page in ROOT.glob("*.md"):
        links = re.findall(r"\]\(([^)#:]+)\)", page.read_text(encoding="utf-8"))
        broken += [f"{page.name}: {link}" for link in links if not (ROOT / link).exists()]
    assert broken == []


def test_no_file_names_a_machine_s_path_or_a_registry() -> None:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    places = re.compile(r"/(work|root)/\w|pypi\.(org|python)|registry\.npmjs|deb\.debian|pythonhosted")
    allowed = {"tests/docs/test_readme.py", "mcp_server/Dockerfile"}  # the pattern itself; a cache folder of the image
    found = [
        name for name in listed if name not in allowed and places.search((ROOT / name).read_text(encoding="utf-8"))
    ]
    assert found == []
    # Any registry or mirror works, because the hashes are verified.
    locks = [name for name in listed if name.endswith((".lock", "package-lock.json"))]
    assert len(locks) == 6
    assert [name for name in locks if "://" in (ROOT / name).read_text(encoding="utf-8")] == []
