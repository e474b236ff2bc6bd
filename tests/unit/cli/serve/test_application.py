"""What `mcp-idp serve` accepts, and that all of it is behind `protect()`."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import click
import httpx
import pytest
from mcp.server.mcpserver import MCPServer
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from mcp_idp import load_settings, protect
from mcp_idp.application import is_protected
from mcp_idp.cli.serve.application import find_application, protected
from tests.support.desired_state import CONFIG

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from mcp_idp import Settings

pytestmark = pytest.mark.anyio


@pytest.fixture
def settings() -> Settings:
    return load_settings({"ACCESS_FILE": str(CONFIG / "access.yaml")})


def unprotected() -> Starlette:
    return Starlette(routes=[Route("/mcp", lambda _: PlainTextResponse("open"), methods=["POST"])])


class WithMethod:
    """An ASGI application as an object."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await unprotected()(scope, receive, send)


class FastMcpLike:
    """What has `http_app`, as FastMCP's servers do."""

    def http_app(self, *, path: str) -> Starlette:
        assert path == "/mcp"
        return unprotected()


def with_option(settings: Settings, *, clock: object = None) -> Starlette:
    del settings, clock
    return unprotected()


KINDS: dict[str, Callable[[Settings], Any]] = {
    "an ASGI application": lambda _: unprotected(),
    "an object with __call__": lambda _: WithMethod(),
    "a function that takes nothing": lambda _: unprotected,
    "a function that takes the settings": lambda _: with_option,
    "what protect() returned": lambda settings: protect(unprotected(), settings),
    "a function that returns what protect() returned": lambda _: lambda own: protect(unprotected(), own),
    "a server of the SDK": lambda _: MCPServer("x"),
    "a function that returns a server of the SDK": lambda _: lambda: MCPServer("x"),
    "a server of FastMCP": lambda _: FastMcpLike(),
}


@pytest.mark.parametrize("kind", KINDS)
async def test_nothing_is_served_without_a_token(kind: str, settings: Settings) -> None:
    app = protected(KINDS[kind](settings), settings)
    assert is_protected(app)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost:3000") as client:
        response = await client.post("/mcp", json={"jsonrpc": "2.0", "id": 1, "method": "ping"})
    assert (response.status_code, "open" in response.text) == (401, False)


def test_what_is_behind_protect_already_is_served_as_it_is(settings: Settings) -> None:
    app = protect(unprotected(), settings)
    assert protected(app, settings) is app


@pytest.mark.parametrize("value", [None, "text", 1, divmod, object(), sys])
def test_a_value_that_is_not_an_application_is_rejected(value: Any, settings: Settings) -> None:
    with pytest.raises(click.UsageError, match="neither an MCP server nor an ASGI application"):
        protected(value, settings)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("orders", "is not MODULE:APP"),
        (":app", "is not MODULE:APP"),
        ("orders:", "is not MODULE:APP"),
        ("nowhere_to_be_found:app", "there is no module 'nowhere_to_be_found'"),
        ("json.nowhere:app", "there is no module 'json.nowhere'"),
        ("json:nowhere", "there is no 'nowhere' in json"),
        ("json:dumps.nowhere", "there is no 'nowhere' in dumps"),
    ],
)
def test_an_unknown_name_is_reported_with_its_missing_part(name: str, message: str) -> None:
    with pytest.raises(click.UsageError, match=message):
        find_application(name)


def test_a_module_that_the_application_lacks_is_no_usage_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "orders_of_a_test.py").write_text("import nowhere_to_be_found")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ModuleNotFoundError, match="nowhere_to_be_found"):
        find_application("orders_of_a_test:app")


@pytest.mark.parametrize(
    ("variables", "words", "message"),
    [
        ({"ACCESS_FILE": "nowhere.yaml"}, ["starlette.applications:Starlette"], "nowhere.yaml"),
        ({"OAUTH_SERVER_URL": "no-url"}, ["starlette.applications:Starlette"], "OAUTH_SERVER_URL"),
        ({}, ["nowhere_to_be_found:app"], "there is no module"),
        ({}, ["starlette.applications:Starlette", "--port", "0"], "is not a TCP port"),
        ({}, [], "Missing argument"),
    ],
)
def test_what_cannot_be_served_is_exit_code_2(variables: dict[str, str], words: list[str], message: str) -> None:
    done = subprocess.run(  # in a process of its own, whose logging it configures
        [sys.executable, "-m", "mcp_idp.cli", "serve", *words],
        cwd=CONFIG.parent,
        env={"PATH": os.environ["PATH"], **variables},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert message in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("source", ["file", "variable", "option"])
def test_the_port_is_that_of_the_public_url(source: str, tmp_path: Path) -> None:
    """The option comes before PORT, and both before the file's MCP_PORT."""
    with socket.create_server(("127.0.0.1", 0)) as occupied:
        port = str(occupied.getsockname()[1])
        (tmp_path / ".env").write_text(f"MCP_PORT={port if source == 'file' else 1}\n", encoding="utf-8")
        variables = {"file": {}, "variable": {"PORT": port}, "option": {"PORT": "1"}}[source]
        words = ["--env-file", str(tmp_path / ".env"), *(["--port", port] if source == "option" else [])]
        done = subprocess.run(
            [sys.executable, "-m", "mcp_idp.cli", "serve", "starlette.applications:Starlette", *words],
            cwd=CONFIG.parent,
            env={"PATH": os.environ["PATH"], "OAUTH_INTERNAL_URL": "http://localhost:1/realms/mcp", **variables},
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.returncode == 2
    assert f"port {port} is in use" in done.stderr
