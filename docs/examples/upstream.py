"""An API of its own, which this server's tools call for users: `uvicorn docs.examples.upstream:app --port 3100`.

It accepts tokens with the audience `orders-api` and returns their user and client. Other tokens are rejected.
"""

import os
from pathlib import Path
from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route

from mcp_idp import current_principal, load_settings, protect

if TYPE_CHECKING:
    from starlette.requests import Request

AUDIENCE = os.environ.get("UPSTREAM_AUDIENCE", "orders-api")

# The issuer is the MCP server's (OAUTH_SERVER_URL, OAUTH_INTERNAL_URL). URL, audience and scopes are this API's own.
settings = load_settings(
    {
        **os.environ,
        "MCP_PUBLIC_URL": "http://localhost:3100/orders",
        "JWT_AUDIENCE": AUDIENCE,
        "ACCESS_FILE": str(Path(__file__).with_name("upstream.access.yaml")),
    }
)


async def orders(_request: "Request") -> JSONResponse:
    """Returns user, client, audience and scopes of the request's token."""
    principal = current_principal()
    seen = {"subject": principal.subject, "client": principal.client, "scopes": sorted(principal.scopes)}
    return JSONResponse({**seen, "audience": AUDIENCE})


app = protect(Starlette(routes=[Route(settings.public_path, orders)]), settings)
