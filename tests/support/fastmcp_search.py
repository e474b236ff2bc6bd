"""FastMCP's search transform behind the auth middleware, for an environment with FastMCP.

`python -m tests.support.fastmcp_search` starts a server with `whoami`, `delete_everything` (which requires `mcp:admin`)
and the tools of the transform, calls it in both protocol revisions and prints one JSON object: status, headers and text
of each response, the tools that ran, and the audit log.
"""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import yaml
from fastmcp import FastMCP
from fastmcp.server.transforms.search import RegexSearchTransform

from mcp_idp.application import protect
from mcp_idp.auth.context import current_principal
from mcp_idp.config.settings import Settings
from mcp_idp.testing.corpus.model import BOTH
from mcp_idp.testing.issuer import Issuer
from tests.support.app import Calls, FakeClock, lifespan

TOOLS = {"whoami": [], "search_tools": [], "delete_everything": ["mcp:admin"]}
_DELETE = {"name": "delete_everything", "arguments": {}}
CALLS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("call_tool", _DELETE),
    ("call_tool", {"name": "call_tool", "arguments": _DELETE}),
    ("Call_Tool", _DELETE),
    ("call_tool ", _DELETE),
    ("delete_everything", {}),
    ("search_tools", {"pattern": "delete"}),
    ("whoami", {}),
)
"""Each as a tool's name and its arguments, by whoever has the base scope only."""


@dataclass
class _Run:
    issuer: Issuer
    calls: Calls
    responses: dict[str, list[dict[str, Any]]] = field(default_factory=dict)

    async def modern(self, token: str) -> None:
        """Makes the calls without a session."""
        self._record("modern", [await self.calls.call(name, token, arguments) for name, arguments in CALLS])

    async def legacy(self, token: str) -> None:
        """Makes the calls in a session of the handshake revision."""
        headers = {"authorization": f"Bearer {token}", "accept": BOTH}
        client = {"name": "test", "version": "1"}
        params = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": client}
        opened = await self._post(headers, 0, "initialize", params)
        headers |= {"mcp-session-id": opened.headers["mcp-session-id"], "mcp-protocol-version": "2025-11-25"}
        named = [{"name": name, "arguments": arguments} for name, arguments in CALLS]
        self._record("legacy", [await self._post(headers, n, "tools/call", p) for n, p in enumerate(named, 1)])

    async def _post(self, headers: dict[str, str], number: int, method: str, params: Any) -> httpx.Response:
        document = {"jsonrpc": "2.0", "id": number, "method": method, "params": params}
        return await self.calls.client.post("/mcp", json=document, headers=headers)

    def _record(self, revision: str, responses: list[httpx.Response]) -> None:
        self.responses[revision] = [
            {"status": a.status_code, "headers": dict(a.headers), "text": a.text} for a in responses
        ]


def _server(ran: list[str]) -> FastMCP:
    server = FastMCP("theirs", transforms=[RegexSearchTransform()])

    @server.tool  # type: ignore[untyped-decorator]  # where FastMCP is not installed
    async def whoami() -> str:
        return str(current_principal().subject)

    @server.tool  # type: ignore[untyped-decorator]  # where FastMCP is not installed
    async def delete_everything() -> str:
        ran.append("delete_everything")
        return "all is gone"

    return server


async def _main(folder: Path) -> dict[str, Any]:
    ran: list[str] = []
    content = yaml.safe_load(Settings().access_file.read_text(encoding="utf-8"))
    access, audit = folder / "access.yaml", folder / "audit.jsonl"
    access.write_text(yaml.safe_dump({**content, "tools": TOOLS}), encoding="utf-8")
    issuer = Issuer()
    async with issuer.http() as http:
        settings = Settings(access_file=access, audit_log=str(audit))
        app = protect(_server(ran).http_app(), settings, clock=FakeClock().clock, http=http)
        transport = httpx.ASGITransport(app)
        async with lifespan(app), httpx.AsyncClient(transport=transport, base_url="http://localhost:3000") as client:
            run = _Run(issuer, Calls(client))
            await run.modern(issuer.token(scope="mcp:tools"))
            await run.legacy(issuer.token(scope="mcp:tools"))
            by_admin = await run.calls.call("delete_everything", issuer.token(scope="mcp:admin"))
    audited = [json.loads(line) for line in audit.read_text(encoding="utf-8").splitlines()]
    return {**run.responses, "admin": by_admin.text, "ran": ran, "audit": audited}


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as name:
        sys.stdout.write("\n" + json.dumps(asyncio.run(_main(Path(name)))))
