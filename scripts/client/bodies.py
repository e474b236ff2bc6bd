"""What the bodies of requests and responses hold, as far as the story needs it. Junk is no error."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import httpx2


def json_object(response: httpx2.Response) -> dict[str, Any]:
    """The JSON object that `response` holds, or an empty one."""
    try:
        body = json.loads(response.content)
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}


def json_method(request: httpx2.Request) -> str:
    """The method of the JSON-RPC message in `request`, with the name of what it is about."""
    try:
        message = json.loads(request.content)
    except ValueError:
        return "a message"
    if not isinstance(message, dict):
        return "a message"
    name = message["params"].get("name") if isinstance(message.get("params"), dict) else None
    return f"{message.get('method', 'a reply')}{f' {name}' if isinstance(name, str) else ''}"
