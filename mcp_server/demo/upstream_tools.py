"""An example tool that calls a downstream API on behalf of the user.

It is served if the access file has the `url` of an API under `upstreams`. Your own tool needs only one line of it,
`await exchange_token(audience)`. Send the token that this returns to that API only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import httpx
import structlog
from mcp.server.mcpserver import Context  # noqa: TC002 - the SDK reads the annotations
from mcp.server.mcpserver.exceptions import ToolError
from pydantic import BaseModel, Field, ValidationError

from mcp_idp import exchange_token, tool
from mcp_server.demo.state import State  # noqa: TC001 - as above

if TYPE_CHECKING:
    from collections.abc import Mapping

log = structlog.get_logger(__name__)
_TIMEOUT_SECONDS = 5.0
_MAX_BYTES = 1024 * 1024


class _TooLongError(Exception):
    """The response is longer than `_MAX_BYTES`."""


class CallerInfo(BaseModel):
    """The caller as the downstream API sees it: user, client, audience and scopes."""

    subject: str
    client: str
    audience: str
    scopes: list[str]


@tool(title="Call a downstream API", open_world=True)
async def upstream_whoami(
    audience: Annotated[str, Field(max_length=255, description="The API, by the audience of its tokens")],
    ctx: Context[State],
) -> CallerInfo:
    """Call a downstream API on behalf of the logged-in user, and return the caller that it saw."""
    state = ctx.request_context.lifespan_context
    url = _api_url(state.upstreams, audience)
    token = await exchange_token(audience)
    try:
        async with httpx.AsyncClient(timeout=_TIMEOUT_SECONDS, trust_env=False, verify=state.tls) as http:
            return CallerInfo.model_validate_json(await _read(http, url, token))
    except (httpx.HTTPError, ValidationError, _TooLongError) as error:
        log.warning("downstream_api_failed", audience=audience, error=str(error)[:200])
        raise ToolError(f"{audience} returned no usable response") from None


async def _read(http: httpx.AsyncClient, url: str, token: str) -> bytes:
    """Gets the response body.

    Raises:
        httpx.HTTPError: the API is unreachable or does not respond with 200; redirects are not followed.
        _TooLongError: the body is longer than `_MAX_BYTES`.
    """
    async with http.stream("GET", url, headers={"authorization": f"Bearer {token}"}) as response:
        response.raise_for_status()
        body = bytearray()
        async for chunk in response.aiter_bytes():
            body += chunk
            if len(body) > _MAX_BYTES:
                raise _TooLongError(f"more than {_MAX_BYTES} bytes")
        return bytes(body)


def _api_url(apis: Mapping[str, str], audience: str) -> str:
    if audience not in apis:
        raise ToolError(f"unknown API; available: {', '.join(apis)}")
    return apis[audience]
