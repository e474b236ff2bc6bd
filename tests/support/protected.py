"""Applications of others behind protect(), and calls of them in both kinds of protocol revision."""

from __future__ import annotations

import json
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import httpx

from mcp_idp.application import protect
from mcp_idp.config.settings import Settings
from mcp_idp.testing.corpus.model import MODERN
from mcp_idp.testing.issuer import Issuer
from tests.support.app import Calls, FakeClock, lifespan
from tests.support.mcp_calls import initialized

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

_META = {"io.modelcontextprotocol/protocolVersion": MODERN, "io.modelcontextprotocol/clientCapabilities": {}}


@asynccontextmanager
async def protected(app: Any, /, *, servers: Any = (), **settings: Any) -> AsyncIterator[tuple[Calls, Issuer]]:
    """The application behind protect(), with these settings."""
    issuer = Issuer()
    async with issuer.http() as http:
        outer = protect(app, Settings(**settings), servers=servers, clock=FakeClock().clock, http=http)
        transport = httpx.ASGITransport(outer)
        async with lifespan(outer), httpx.AsyncClient(transport=transport, base_url="http://localhost:3000") as client:
            yield Calls(client), issuer


def access_with(path: Path, **blocks: Any) -> Path:
    """The access file of the checkout with further blocks, such as `tools`."""
    text = Settings().access_file.read_text(encoding="utf-8")
    path.write_text(text + "".join(f"\n{name}: {json.dumps(block)}\n" for name, block in blocks.items()), "utf-8")
    return path


def audited(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


@dataclass
class Client:
    """A user of a protected server, without a session or in one of a handshake revision."""

    calls: Calls
    token: str
    session: dict[str, str] | None = None

    @classmethod
    async def of(cls, calls: Calls, token: str, revision: str) -> Client:
        session = await initialized(calls, token) if revision == "legacy" else None  # type: ignore[arg-type]  # it posts
        return cls(calls, token, session)

    async def request(self, method: str, params: dict[str, Any], request_id: int = 1) -> httpx.Response:
        named = params.get("name") or params.get("uri")
        headers = self.session or {
            "authorization": f"Bearer {self.token}",
            "accept": "application/json, text/event-stream",
            "mcp-protocol-version": MODERN,
            "mcp-method": method,
            **({"mcp-name": named} if isinstance(named, str) else {}),
        }
        if self.session is None:
            params = {**params, "_meta": {**_META, **params.get("_meta", {})}}
        document = {"jsonrpc": "2.0", "id": request_id, "method": method, "params": params}
        return await self.calls.client.post("/mcp", json=document, headers=headers)

    async def tool(self, name: str, /, **arguments: Any) -> httpx.Response:
        return await self.request("tools/call", {"name": name, "arguments": arguments})
