"""What `protect()` returns, served by uvicorn as its own command starts it, with none of our limits on connections."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest

from mcp_idp.cli.subcommands import run
from mcp_idp.testing.fake_provider import run_provider
from mcp_idp.testing.tool_calls import tool_call
from tests.support.compose_stack import free_port
from tests.support.mcp_server_process import serving_command

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mcp_idp.testing.fake_provider import FakeProvider

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[FakeProvider, str]]:
    """The server that `mcp-idp init` writes, and the provider that it trusts."""
    folder = tmp_path_factory.mktemp("own")
    assert run(["init", str(folder)]) == 0
    port = free_port()
    url = f"http://localhost:{port}/mcp"
    with run_provider() as provider:
        variables = {**os.environ, **provider.environment, "MCP_PUBLIC_URL": url, "PYTHONPATH": str(ROOT)}
        command = [sys.executable, "-m", "uvicorn", "server:app", "--port", str(port)]
        with serving_command(command, folder, variables, url, folder / "log"):
            yield provider, url


def test_calls_are_authorized(served: tuple[FakeProvider, str]) -> None:
    provider, url = served
    with httpx.Client(trust_env=False) as client:
        rejected = client.post(url, **tool_call("whoami"))
        forged = client.post(url, **tool_call("whoami", provider.token(aud="http://localhost/elsewhere")))
        accepted = client.post(url, **tool_call("whoami", provider.token(scopes=["mcp:tools"], subject="ada", aud=url)))
        no_scope = client.post(url, **tool_call("add_note", provider.token(scopes=["mcp:tools"], aud=url)))
    assert (rejected.status_code, forged.status_code, accepted.status_code, no_scope.status_code) == (
        401,
        401,
        200,
        403,
    )
    assert "resource_metadata=" in rejected.headers["www-authenticate"]
    assert "You are ada" in accepted.text


def test_a_body_is_limited_by_the_middleware_itself(served: tuple[FakeProvider, str]) -> None:
    provider, url = served
    request = tool_call("whoami", provider.token(scopes=["mcp:tools"], aud=url))
    content = b"[" + b" " * 5 * 1024 * 1024 + b"]"
    response = httpx.post(url, headers=request["headers"], content=content, trust_env=False)
    assert response.status_code == 413


def test_host_and_origin_are_checked(served: tuple[FakeProvider, str]) -> None:
    provider, url = served
    request = tool_call("whoami", provider.token(scopes=["mcp:tools"], aud=url))
    for header, status in (("host", 421), ("origin", 403)):
        headers = {**request["headers"], header: "evil.example" if header == "host" else "http://evil.example"}
        response = httpx.post(url, headers=headers, json=request["json"], trust_env=False)
        assert response.status_code == status, header
