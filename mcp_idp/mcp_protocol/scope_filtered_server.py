"""An MCP server that lists only what the caller may use (setting TOOLS_LIST).

The lists depend on the token, so they must have `cacheScope: private` (MCP 2026-07-28, caching). That is the SDK's
default for every list.
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
    """Lists tools, prompts, resources and resource templates according to the principal's scopes.

    Args:
        name: the display name of the server.
        version: the version of the server.
        access: which roles grant which scopes, and which scopes imply others.
        scope_requirements: the scopes that a tool, resource or prompt requires; only those that do not depend on
            arguments affect the lists.
        state: shared state, which tools get as `ctx.request_context.lifespan_context`.
        visibility: "granted" lists what the token allows; "obtainable" also what a new login could grant (a model must
            see a tool to step up for it); "all" lists everything.
    """

    def __init__(  # noqa: PLR0913 - all are keyword arguments
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
        """Returns the tools that are visible to the principal."""
        return self._visible(await super().list_tools(), self._scope_requirements.tools, lambda tool: tool.name)

    async def list_prompts(self) -> list[Prompt]:
        """Returns the prompts that are visible to the principal."""
        return self._visible(await super().list_prompts(), self._scope_requirements.prompts, lambda prompt: prompt.name)

    async def list_resources(self) -> list[Resource]:
        """Returns the resources that are visible to the principal."""
        return self._visible(
            await super().list_resources(), self._scope_requirements.resources, lambda resource: str(resource.uri)
        )

    async def list_resource_templates(self) -> list[ResourceTemplate]:
        """Returns the resource templates that are visible to the principal."""
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
