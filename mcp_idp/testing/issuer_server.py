"""The in-process provider on a socket: for servers in other processes, and for servers with their own HTTP client."""

from __future__ import annotations

import socket
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import httpx
import uvicorn

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mcp_idp.testing.issuer import Issuer

_BACKLOG = 1024


@contextmanager
def serve_issuer(issuer: Issuer) -> Iterator[str]:
    """Serves `issuer` on a free port of 127.0.0.1, by an event loop in a thread, while the block runs.

    Args:
        issuer: Its `url` is not changed. While it is `down`, every response is 503.

    Yields:
        The issuer's URL at this address: the `OAUTH_INTERNAL_URL` of a server on this machine.
    """
    with socket.create_server(("127.0.0.1", 0), backlog=_BACKLOG) as listener:
        config = uvicorn.Config(
            _application(issuer), ws="none", lifespan="off", log_config=None, timeout_graceful_shutdown=1
        )
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
        thread.start()  # the socket is already listening: requests wait for the server
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}/realms/{issuer.realm}"
        finally:
            server.should_exit = True
            thread.join()


def _application(issuer: Issuer) -> Any:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        content = b""
        while (message := await receive())["type"] == "http.request":
            content += message["body"]
            if not message["more_body"]:
                break
        request = httpx.Request(scope["method"], f"http://localhost{scope['path']}", content=content)
        try:
            response = await issuer.respond(request)
        except httpx.ConnectError:
            response = httpx.Response(503)
        body = await response.aread()
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": response.status_code, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    return app
