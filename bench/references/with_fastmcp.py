"""FastMCP with its `JWTVerifier`, as in its documentation, and without."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from fastmcp import FastMCP
from fastmcp.server.auth.providers.jwt import JWTVerifier

from bench.apps import BASE_SCOPE, started
from bench.defaults import DEFAULTS
from mcp_server import tools

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.types import ASGIApp

    from bench.issuer import Issuer

NAME = "FastMCP + JWTVerifier"


@asynccontextmanager
async def guarded(issuer: Issuer, cool_down: float = 30.0) -> AsyncIterator[ASGIApp]:
    """Yields an application with `greet` behind a JWTVerifier. The default cool-down is FastMCP's."""
    verifier = JWTVerifier(
        jwks_uri=issuer.keys_url,
        issuer=issuer.url,
        audience=DEFAULTS.public_url,
        required_scopes=[BASE_SCOPE],
        base_url=DEFAULTS.public_origin,
        jwks_refresh_interval=cool_down,
    )
    async with _serving(FastMCP("bench", auth=verifier)) as app:
        yield app


@asynccontextmanager
async def unguarded() -> AsyncIterator[ASGIApp]:
    """Yields an application with `greet` without authentication."""
    async with _serving(FastMCP("bench")) as app:
        yield app


@asynccontextmanager
async def _serving(server: FastMCP[None]) -> AsyncIterator[ASGIApp]:
    server.tool(tools.greet)
    app = server.http_app()
    async with started(app):
        yield app
