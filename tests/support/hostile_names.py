"""Requests that name what a log must not hold as it is: `python -m tests.support.hostile_names FORMAT NAMES`.

NAMES is a JSON array. The log of the server, in FORMAT, goes to standard error.
"""

from __future__ import annotations

import asyncio
import json
import sys

from mcp_idp.observability.logging import configure_logging
from tests.support.app import running
from tests.support.mcp_calls import initialized

_NAMED = {"prompts/get": "name", "tools/call": "name", "resources/read": "uri", "prompts/list": "cursor", "x": "x"}


async def _main(names: list[str]) -> None:
    async with running() as server:
        headers = await initialized(server, server.issuer.token()) | {"content-type": "application/json"}
        for text in (*names, "x" * 1_000_000):
            for method, member in _NAMED.items():
                for sent in (method, method + text):
                    message = {"jsonrpc": "2.0", "id": 1, "method": sent, "params": {member: text}}
                    await server.client.post("/mcp", content=json.dumps(message), headers=headers)
            await server.client.post("/mcp", headers={"authorization": f"Bearer {text[:100]!a}"})


if __name__ == "__main__":
    configure_logging(sys.argv[1], "debug")
    asyncio.run(_main(json.loads(sys.argv[2])))
