"""The servers that the corpus is sent to: in process, and on a socket."""

from __future__ import annotations

import tempfile
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from mcp_idp.config.settings import Settings
from mcp_idp.http_server.protocol import protocol_with_limits
from mcp_idp.testing.corpus.asgi_client import send_request
from mcp_server.app import create_app
from tests.support.app import FakeClock, lifespan
from tests.support.raw_http import Connection, on_a_socket

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Iterator

    from mcp_idp.http_server.limits import HttpLimits
    from mcp_idp.testing.corpus.assertions import SendRequest
    from mcp_idp.testing.corpus.model import Attack, Stage
    from mcp_idp.testing.issuer import Issuer


def rows(attacks: Iterable[Attack]) -> list[object]:
    """The attacks as parameters of a test."""
    return [pytest.param(attack, id=attack.id) for attack in attacks]


def _settings(stage: Stage, folder: Path) -> Settings:
    settings = Settings(**stage.settings)
    if not stage.access:
        return settings
    content = yaml.safe_load(settings.access_file.read_text(encoding="utf-8"))
    path = folder / "access.yaml"
    path.write_text(yaml.safe_dump({**content, **stage.access}), encoding="utf-8")
    return Settings(access_file=path, **stage.settings)


@asynccontextmanager
async def on(stage: Stage) -> AsyncIterator[tuple[Issuer, SendRequest]]:
    """The stage's server between its start and its stop: its provider, and a function that sends it a request."""
    issuer = stage.issuer()
    with tempfile.TemporaryDirectory() as folder:
        settings = _settings(stage, Path(folder))
        async with issuer.http() as http:
            app = create_app(settings, clock=FakeClock(at=issuer.now).clock, http=http)
            async with lifespan(app):
                yield issuer, lambda request: send_request(app, request)


@dataclass
class Listening:
    """The whole application behind its wire; `exchange` gives all that is answered until the connection ends."""

    address: tuple[Any, ...]
    issuer: Issuer

    def exchange(self, *pieces: bytes) -> bytes:
        connection = Connection(self.address)
        try:
            return connection.send(*pieces).rest()
        finally:
            connection.close()


@contextmanager
def listening(stage: Stage, limits: HttpLimits) -> Iterator[Listening]:
    """The stage's server on a socket."""
    issuer = stage.issuer()
    http = None if issuer.elsewhere else issuer.http()
    app = create_app(_settings(stage, Path()), clock=FakeClock(at=issuer.now).clock, http=http)
    with on_a_socket(app, protocol_with_limits(limits)) as address:
        yield Listening(address, issuer)
