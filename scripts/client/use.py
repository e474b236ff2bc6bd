"""The last of the eight steps: the tools, by the official SDK's MCP client."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mcp import Client
from mcp.client.streamable_http import streamable_http_client

from scripts.client.explain import server_words
from scripts.client.failures import CallFailed
from scripts.client.steps import STEPS, Kind
from scripts.client.tools import call_tool, list_tools, shown_calls

if TYPE_CHECKING:
    import httpx2

    from scripts.client.narrate import Narrator
    from scripts.client.plan import Outcome, Plan
    from scripts.client.watch import Watch


async def use_server(http: httpx2.AsyncClient, plan: Plan, narrator: Narrator, watch: Watch, outcome: Outcome) -> None:
    """List the tools and make the calls of the plan; what came of it is in `outcome`.

    Args:
        http: the client that is logged in.
        plan: which calls; without any, those that show something.
        narrator: who is told.
        watch: knows what the server refused.
        outcome: takes the names of the tools and the results.

    Raises:
        CallFailed: a call failed.
    """
    watch.in_use = True
    narrator.step(*STEPS[Kind.CALL])
    async with Client(streamable_http_client(plan.url, http_client=http)) as client:
        narrator.tell("note", f"agreed on MCP {client.protocol_version}")
        tools = await list_tools(client, narrator)
        outcome.tools = [tool.name for tool in tools]
        for call in plan.calls or shown_calls(tools, plan.person or "you"):
            watch.refusal = None
            try:
                outcome.calls.append(await call_tool(client, narrator, tools, call))
            except CallFailed as failure:
                if watch.refusal is None:
                    raise
                raise CallFailed(failure.message, *failure.advice, *server_words(watch.refusal)) from failure
