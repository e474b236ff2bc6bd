"""The servers of docs/examples, and a provider on a socket in front of which they run."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import httpx

from mcp_idp.testing.issuer import Issuer
from tests.support.http_server import Handler, listening

if TYPE_CHECKING:
    from collections.abc import Iterator

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"


@contextmanager
def signing(certificate: Path | None = None) -> Iterator[Issuer]:
    """Serves an issuer on a free port; over TLS if `certificate` is given, a file with certificate and key."""
    issuer = Issuer()

    class ProviderHandler(Handler):
        def respond(self) -> None:
            response = asyncio.run(issuer.respond(httpx.Request("GET", f"http://localhost{self.path}")))
            self.send(response.status_code, asyncio.run(response.aread()) if response.status_code == 200 else b"")

    with listening(ProviderHandler, certificate=certificate) as port:
        issuer.url = f"{'https' if certificate else 'http'}://localhost:{port}/realms/mcp"
        yield issuer
