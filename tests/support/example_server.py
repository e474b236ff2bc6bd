"""The servers of docs/examples, and a provider on a socket in front of which they run."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import httpx

from tests.support.fake_issuer import Issuer
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
