"""An endpoint without any MCP library, behind `protect()`: `uvicorn docs.examples.starlette:app --port 3000`."""

import os
from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route

from mcp_idp import current_principal, load_settings, protect

if TYPE_CHECKING:
    from starlette.requests import Request


async def endpoint(request: "Request") -> JSONResponse:
    """Answer any message with who sent it."""
    message = await request.json()
    result = {"subject": current_principal().subject}
    return JSONResponse({"jsonrpc": "2.0", "id": message.get("id"), "result": result})


settings = load_settings(os.environ)
app = protect(Starlette(routes=[Route(settings.public_path, endpoint, methods=["POST"])]), settings)
