"""`python -m bench.sdk_app`: the SDK's own application with our tools, without `auth=`, under uvicorn."""

from __future__ import annotations

import json
import socket
import sys

import uvicorn

from bench.apps import mcp_server

if __name__ == "__main__":
    listener = socket.create_server(("127.0.0.1", 0))
    # Logged as our own server does. Connections wait until it serves.
    event = {"event": "listening", "urls": [f"http://127.0.0.1:{listener.getsockname()[1]}"]}
    sys.stderr.write(json.dumps(event) + "\n")
    sys.stderr.flush()
    uvicorn.Server(uvicorn.Config(mcp_server().streamable_http_app(), log_level="warning")).run([listener])
