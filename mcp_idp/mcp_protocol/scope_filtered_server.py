"""The MCP server whose lists show what the caller may use: TOOLS_LIST.

MCP 2026-07-28, caching: what depends on the token is `cacheScope: private`, which is what the SDK says of every list
unless told otherwise.
"""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING, Any, TypeVar

from mcp.server.mcpserver import MCPServer

from mcp_idp.auth.context import current_principal
from mcp_idp.auth.scopes import require_scopes
from mcp_idp.errors import InsufficientRole, InsufficientScope

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from mcp_types import Prompt, Resource, ResourceTemplate, Tool

    from mcp_idp.access.policy import AccessPolicy
    from mcp_idp.auth.scopes import ScopeRequirement, ScopeRequirements

_Listed = TypeVar("_Listed")


class ScopeFilteredServer(MCPServer[Any]):
    """Lists by what the principal may do.

    Args:
        name: for people.
        version: of this server.
        access: who could obtain what.
        scope_requirements: the scopes that a tool, resource or prompt needs, those that depend on arguments excepted.
        state: what the tools share, theirs as `ctx.request_context.lifespan_context`.
        visibility: "granted" lists what the token allows; "obtainable" also what a login could grant (a model must see a
            tool to step up for it); "all" everything.
    """

    def __init__(  # noqa: PLR0913 - each by name
        self,
        name: str,
        *,
        version: str,
        access: AccessPolicy,
        scope_requirements: ScopeRequirements,
        state: object,
        visibility: str,
    ) -> None:
        super().__init__(name, version=version, lifespan=lambda _server: nullcontext(state))
        self._access = access
        self._scope_requirements = scope_requirements
        self._visibility = visibility

    async def list_tools(self) -> list[Tool]:
        """The tools that the principal sees."""
        return self._visible(await super().list_tools(), self._scope_requirements.tools, lambda tool: tool.name)

    async def list_prompts(self) -> list[Prompt]:
        """The prompts that the principal sees."""
        return self._visible(await super().list_prompts(), self._scope_requirements.prompts, lambda prompt: prompt.name)

    async def list_resources(self) -> list[Resource]:
        """The resources that the principal sees."""
        return self._visible(
            await super().list_resources(), self._scope_requirements.resources, lambda resource: str(resource.uri)
        )

    async def list_resource_templates(self) -> list[ResourceTemplate]:
        """The templates that the principal sees."""
        return self._visible(
            await super().list_resource_templates(),
            self._scope_requirements.resources,
            lambda template: template.uri_template,
        )

    def _visible(
        self, listed: Iterable[_Listed], requirements: Mapping[str, ScopeRequirement], name: Callable[[_Listed], str]
    ) -> list[_Listed]:
        return [each for each in listed if self._is_visible(requirements.get(name(each)))]

    def _is_visible(self, requirement: ScopeRequirement | None) -> bool:
        if requirement is None or self._visibility == "all":
            return True
        try:
            require_scopes(current_principal(), requirement.static_scopes, self._access)
        except InsufficientScope:
            return self._visibility == "obtainable"
        except InsufficientRole:
            return False
        return True
