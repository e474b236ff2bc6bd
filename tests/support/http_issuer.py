"""The provider in this process, on a socket: for servers that are processes of their own."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import httpx
from uvicorn.protocols.http.h11_impl import H11Protocol

from tests.support.raw_http import on_a_socket, read

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mcp_idp.testing.issuer import Issuer


@contextmanager
def on_http(issuer: Issuer) -> Iterator[str]:
    """Where servers of this machine reach it: what OAUTH_INTERNAL_URL must be."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            for phase in ("startup", "shutdown"):
                await receive()
                await send({"type": f"lifespan.{phase}.complete"})
            return
        body = await read(receive)
        response = await issuer.respond(
            httpx.Request(scope["method"], f"http://localhost{scope['path']}", content=body or b"")
        )
        headers = [(b"content-type", b"application/json"), (b"connection", b"close")]
        await send({"type": "http.response.start", "status": response.status_code, "headers": headers})
        await send({"type": "http.response.body", "body": await response.aread()})

    with on_a_socket(app, H11Protocol) as address:
        yield f"http://127.0.0.1:{address[1]}/realms/{issuer.realm}"
