"""An API of its own, which this server's tools call for people: `uvicorn docs.examples.upstream:app --port 3100`.

It takes tokens whose audience is `orders-api` and answers whom it sees. A token for the MCP server is none for it.
"""

import os
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import httpx
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route

from mcp_idp.access.policy import Access
from mcp_idp.auth.bearer import bearer_token
from mcp_idp.auth.scopes import require
from mcp_idp.config import load_settings
from mcp_idp.errors import AuthError
from mcp_idp.tokens.issuers import IdentityProvider
from mcp_idp.util.clock import Clock

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.requests import Request

AUDIENCE, SCOPE = os.environ.get("UPSTREAM_AUDIENCE", "orders-api"), "orders.read"

# The issuer is the MCP server's (OAUTH_SERVER_URL, OAUTH_INTERNAL_URL); audience and scope are this API's own.
settings = load_settings({**os.environ, "JWT_AUDIENCE": AUDIENCE})
access = Access.model_validate(
    {
        "version": 1,
        "resource": {"name": "Orders"},
        "base_scope": SCOPE,
        "scopes": {SCOPE: {"description": "Read your orders", "roles": ["not-looked-at"]}},
        "registration": {"profile": "closed"},
    }
)


@asynccontextmanager
async def lifespan(app: Starlette) -> "AsyncIterator[None]":
    """Hold the issuer's keys as long as the API runs."""
    async with httpx.AsyncClient(timeout=5, trust_env=False) as http:
        app.state.provider = IdentityProvider(settings, access, Clock(), http)
        yield
        await app.state.provider.close()


async def whoami(request: "Request") -> JSONResponse:
    """Whom the token that came along stands for; the status of the refusal, where it stands for nobody."""
    sent = [value for name, value in request.headers.raw if name == b"authorization"]
    try:
        principal = await request.app.state.provider.verify(bearer_token(sent))
        require(principal, (SCOPE,), access)
    except AuthError as error:
        return JSONResponse({"error": error.code}, error.status)
    seen = {"subject": principal.subject, "client": principal.client, "scopes": sorted(principal.scopes)}
    return JSONResponse({**seen, "audience": AUDIENCE})


app = Starlette(routes=[Route("/", whoami)], lifespan=lifespan)
