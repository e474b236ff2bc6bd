"""A server of docs/examples, unchanged, behind the auth middleware, with a provider on a socket.

`python -m tests.support.example_server NAME` calls it once without a token and once with one, and prints the responses.
This is for examples whose packages are in a separate environment.
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
    """Serves an issuer on a free port; over TLS if `certificate` is given, a file with certificate and key."""
    issuer = Issuer()

    class ProviderHandler(Handler):
        def answer(self) -> None:
            response = asyncio.run(issuer.answer(httpx.Request("GET", f"http://localhost{self.path}")))
            self.send(response.status_code, asyncio.run(response.aread()) if response.status_code == 200 else b"")

    with listening(ProviderHandler, certificate=certificate) as port:
        issuer.url = f"{'https' if certificate else 'http'}://localhost:{port}/realms/mcp"
        yield issuer


async def called(name: str) -> list[dict[str, Any]]:
    """Returns status and text of the responses to a call of `my_orders` without a token and with one."""
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
