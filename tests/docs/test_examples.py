"""The servers of docs/examples, each run as it stands there, in front of a provider on a socket."""

from __future__ import annotations

import asyncio
import runpy
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest

from tests.unit.issuer import Issuer
from tests.unit.running import BOTH, Calls, lifespan
from tests.unit.test_tools import events

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.anyio
EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"


@contextmanager
def _listening() -> Iterator[Issuer]:
    """A provider that signs, on a port of its own."""
    issuer = Issuer()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            answer = asyncio.run(issuer.answer(httpx.Request("GET", f"http://localhost{self.path}")))
            body = asyncio.run(answer.aread()) if answer.status_code == 200 else b""
            self.send_response(answer.status_code)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_arguments: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        issuer.url = f"http://localhost:{server.server_port}/realms/mcp"
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield issuer
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.requirement("protect.examples")
@pytest.mark.parametrize("name", ["sdk", "starlette"])
async def test_an_example_serves_whom_the_provider_vouches_for(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with _listening() as issuer:
        monkeypatch.setenv("OAUTH_SERVER_URL", issuer.url)
        app = runpy.run_path(str(EXAMPLES / f"{name}.py"))["app"]
        token = issuer.token(iat=time.time(), exp=time.time() + 60)
        transport = httpx.ASGITransport(app)
        async with lifespan(app), httpx.AsyncClient(transport=transport, base_url="http://localhost:3000") as client:
            stranger = await Calls(client).call("my_orders")
            answer = await Calls(client).call("my_orders", token)
    assert (stranger.status_code, answer.status_code) == (401, 200)
    assert "4f0c" in str(events(answer)[-1]["result"])


@pytest.mark.requirement("protect.examples")
@pytest.mark.parametrize("name", ["sdk", "starlette"])
async def test_an_example_serves_at_another_host_and_path(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    opening = {
        "jsonrpc": "2.0",
        "id": 0,
        "method": "initialize",
        "params": {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}},
    }
    with _listening() as issuer:
        monkeypatch.setenv("OAUTH_SERVER_URL", issuer.url)
        monkeypatch.setenv("MCP_PUBLIC_URL", "http://localhost:3000/orders")
        monkeypatch.setenv("ALLOWED_HOSTS", "mcp.example.com")
        app = runpy.run_path(str(EXAMPLES / f"{name}.py"))["app"]
        token = issuer.token(aud="http://localhost:3000/orders", iat=time.time(), exp=time.time() + 60)
        headers = {"authorization": f"Bearer {token}", "accept": BOTH}
        transport = httpx.ASGITransport(app)
        async with lifespan(app), httpx.AsyncClient(transport=transport, base_url="http://mcp.example.com") as client:
            answer = await client.post("/orders", json=opening, headers=headers)
    assert answer.status_code == 200, answer.text
