"""The MCP server whose lists show what the caller may use: TOOLS_LIST.

MCP 2026-07-28, caching: what depends on the token is `cacheScope: private`, which is what the SDK says of every list
unless told otherwise.
"""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING, Any, TypeVar

from mcp.server.mcpserver import MCPServer

from mcp_idp.auth.context import current_principal
from mcp_idp.auth.scopes import require
from mcp_idp.errors import InsufficientScope, ScopeNotObtainable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from mcp_types import Prompt, Resource, ResourceTemplate, Tool

    from mcp_idp.access.policy import Access
    from mcp_idp.auth.scopes import Need, Needs

_Listed = TypeVar("_Listed")


class ListingServer(MCPServer[Any]):
    """Lists by what the principal may do.

    Args:
        name: for people.
        version: of this server.
        access: who could obtain what.
        needs: which scopes a tool, resource or prompt needs. What only the arguments decide is not looked at.
        state: what the tools share, theirs as `ctx.request_context.lifespan_context`.
        show: "granted" lists what the token is good for; "obtainable" also what a login could bring (a model must see a
            tool to step up for it); "all" everything.
    """

    def __init__(  # noqa: PLR0913 - each by name
        self, name: str, *, version: str, access: Access, needs: Needs, state: object, show: str
    ) -> None:
        super().__init__(name, version=version, lifespan=lambda _server: nullcontext(state))
        self._access = access
        self._needs = needs
        self._show = show

    async def list_tools(self) -> list[Tool]:
        """The tools that the principal sees."""
        return self._seen(await super().list_tools(), self._needs.tools, lambda tool: tool.name)

    async def list_prompts(self) -> list[Prompt]:
        """The prompts that the principal sees."""
        return self._seen(await super().list_prompts(), self._needs.prompts, lambda prompt: prompt.name)

    async def list_resources(self) -> list[Resource]:
        """The resources that the principal sees."""
        return self._seen(await super().list_resources(), self._needs.resources, lambda resource: str(resource.uri))

    async def list_resource_templates(self) -> list[ResourceTemplate]:
        """The templates that the principal sees."""
        return self._seen(
            await super().list_resource_templates(), self._needs.resources, lambda template: template.uri_template
        )

    def _seen(
        self, listed: Iterable[_Listed], needs: Mapping[str, Need], name: Callable[[_Listed], str]
    ) -> list[_Listed]:
        return [each for each in listed if self._shows(needs.get(name(each)))]

    def _shows(self, need: Need | None) -> bool:
        if need is None or self._show == "all":
            return True
        try:
            require(current_principal(), need.always, self._access)
        except InsufficientScope:
            return self._show == "obtainable"
        except ScopeNotObtainable:
            return False
        return True
