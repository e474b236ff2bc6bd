"""A tool that calls another API for its caller: an example, served where the access file says where an API is.

A tool of yours takes one line over, `await upstream_token(audience)`; what that gives goes to that API and to no other.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import httpx
import structlog
from mcp.server.mcpserver import Context  # noqa: TC002 - the SDK reads the annotations
from mcp.server.mcpserver.exceptions import ToolError
from pydantic import BaseModel, Field, ValidationError

from mcp_idp.auth.context import upstream_token
from mcp_idp.mcp_protocol.registry import tool
from mcp_idp.oauth.http import TIMEOUT_SECONDS, FetchError, fetch_json
from mcp_server.tools import State  # noqa: TC001 - as above

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mcp_idp.access.models import Upstream

log = structlog.get_logger(__name__)


class Seen(BaseModel):
    """Whom another API saw: the person, the program that called it, and what for."""

    subject: str
    client: str
    audience: str
    scopes: list[str]


@tool(title="Ask another API whom it sees", open_world=True)
async def upstream_whoami(
    audience: Annotated[str, Field(max_length=255, description="The API, by the audience of its tokens")],
    ctx: Context[State],
) -> Seen:
    """Call another API for whoever is logged in, and tell whom it saw."""
    state = ctx.request_context.lifespan_context
    url = _url_of(state.upstreams, audience)
    token = await upstream_token(audience)
    try:
        async with httpx.AsyncClient(timeout=TIMEOUT_SECONDS, trust_env=False, verify=state.tls) as http:
            return Seen.model_validate(await fetch_json(http, url, token))
    except (FetchError, ValidationError) as error:
        log.warning("the other API did not answer", audience=audience, fault=str(error)[:200])
        raise ToolError(f"{audience} gave no answer that could be used") from None


def _url_of(upstreams: Mapping[str, Upstream], audience: str) -> str:
    known = {name: upstream.url for name, upstream in upstreams.items() if upstream.url}
    if audience not in known:
        raise ToolError(f"no such API here; there are: {', '.join(known)}")
    return known[audience]
