"""One server of docs/examples behind the gate, as it stands there, in front of a provider on a socket.

`python -m tests.support.example_server NAME` calls it once without a token and once with one, and prints the responses:
for an example whose packages are in an environment of their own.
"""

from __future__ import annotations

import asyncio
import json
import os
import runpy
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx

from mcp_idp.testing.issuer import Issuer
from tests.support.app import Calls, lifespan
from tests.support.http_server import Handler, listening

if TYPE_CHECKING:
    from collections.abc import Iterator

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"


@contextmanager
def signing(certificate: Path | None = None) -> Iterator[Issuer]:
    """A provider that signs, on a port of its own; over TLS with a `certificate`, a file with its key besides."""
    issuer = Issuer()

    class Answer(Handler):
        def answer(self) -> None:
            response = asyncio.run(issuer.answer(httpx.Request("GET", f"http://localhost{self.path}")))
            self.send(response.status_code, asyncio.run(response.aread()) if response.status_code == 200 else b"")

    with listening(Answer, certificate=certificate) as port:
        issuer.url = f"{'https' if certificate else 'http'}://localhost:{port}/realms/mcp"
        yield issuer


async def called(name: str) -> list[dict[str, Any]]:
    """Status and text of the answers to a call of `my_orders`, without a token and with one."""
    with signing() as issuer:
        os.environ["OAUTH_SERVER_URL"] = issuer.url
        app = runpy.run_path(str(EXAMPLES / f"{name}.py"))["app"]
        token = issuer.token(iat=time.time(), exp=time.time() + 60)
        transport = httpx.ASGITransport(app)
        async with lifespan(app), httpx.AsyncClient(transport=transport, base_url="http://localhost:3000") as client:
            responses = [await Calls(client).call("my_orders", credentials) for credentials in (None, token)]
    return [{"status": response.status_code, "text": response.text} for response in responses]


if __name__ == "__main__":
    sys.stdout.write(json.dumps(asyncio.run(called(sys.argv[1]))))
