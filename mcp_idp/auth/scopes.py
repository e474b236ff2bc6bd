"""Determines the scopes that a request requires, and whether a principal has them.

The required scopes are those of the tool, resource or prompt that the request names. They may depend on the arguments,
and one challenge lists all of them (MCP authorization 2026-07-28, "Scope Challenge Handling"). They are checked twice:
by the auth middleware with the message as it was sent, and by `registry.py` with the arguments that the function is
about to receive.

Sources: RFC 6750 section 3.1; MCP authorization 2026-07-28, "Scope Challenge Handling" and "Step-Up Authorization
Flow".
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mcp.shared.uri_template import UriTemplate

from mcp_idp.access.policy import AccessFileError
from mcp_idp.auth.stream_expiry import SUBSCRIPTIONS_LISTEN
from mcp_idp.errors import InsufficientRole, InsufficientScope, ScopeResolutionError, ToolNotListed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from mcp_idp.access.policy import AccessPolicy
    from mcp_idp.principal import Principal

    ScopeResolver = Callable[[Mapping[str, Any]], str | Iterable[str]]
    ScopeSpec = str | Iterable[str] | ScopeResolver | None
    """The `scope` argument of a decorator: one scope, several, or a function that returns them for given arguments."""


def require_scopes(principal: Principal, required: tuple[str, ...], access: AccessPolicy) -> None:
    """Requires that a principal has all of the `required` scopes, directly or implied by a broader scope.

    Args:
        principal: the caller.
        required: the required scopes.
        access: the access policy.

    Raises:
        InsufficientScope: a new login could grant the missing scopes. The error names all of `required`, not only the
            missing ones.
        InsufficientRole: the token lists the user's roles, and none of them grants a missing scope.
    """
    missing = set(required) - access.effective_scopes(principal.scopes)
    if not missing:
        return
    if principal.roles is not None:
        for scope in sorted(missing):
            roles = access.scopes[scope].roles
            if principal.roles.isdisjoint(roles):
                raise InsufficientRole(required, (*roles, *access.groups_granting(roles)))
    raise InsufficientScope(required)


MAX_SUBSCRIPTION_URIS = 1000
"""The most URIs in one subscription: matching each against every template blocks the event loop."""

_BY_URI = ("resources/read", "resources/subscribe", "resources/unsubscribe")
_SUBSCRIBED = ("resourceSubscriptions", "resource_subscriptions")  # the SDK reads either


@dataclass(frozen=True, slots=True)
class ScopeRequirement:
    """The scopes that one tool, resource or prompt requires.

    Attributes:
        name: the name of the tool or prompt, or the URI of the resource.
        static_scopes: the scopes that are required with any arguments, the base scope first.
        dynamic_scopes: returns further scopes for given arguments; None if there are none.
        access: the access policy that defines the scopes.
    """

    name: str
    static_scopes: tuple[str, ...]
    dynamic_scopes: ScopeResolver | None
    access: AccessPolicy

    def scopes(self, arguments: Mapping[str, Any]) -> tuple[str, ...]:
        """Returns all scopes that a call with these arguments requires, each once.

        Args:
            arguments: the call's arguments by name.

        Raises:
            ScopeResolutionError: `dynamic_scopes` raised an exception, or returned a scope that the access file does
                not define.
        """
        if self.dynamic_scopes is None:
            return self.static_scopes
        try:
            named = _listed(self.dynamic_scopes(arguments))
            known = self.access.scopes.keys() >= set(named)
        except Exception as error:
            raise ScopeResolutionError(self.name) from error
        if not known:
            raise ScopeResolutionError(self.name)
        return tuple(dict.fromkeys((*self.static_scopes, *named)))


class ScopeRequirements:
    """The scopes that each request requires.

    Args:
        access: the access policy. The scopes under `tools` in the access file are added to those of the decorators and
            never replace them. If the file has a `tools` block, only tools that it lists or that are added here may be
            called, because the required scopes of any other tool are unknown.

    Attributes:
        tools: the requirements of the tools, by name.
        unmatched_tools: tools in the access file that have not been added yet.
        prompts: the requirements of the prompts, by name.
        resources: the requirements of the resources and resource templates, by URI.
    """

    def __init__(self, access: AccessPolicy) -> None:
        self._access = access
        self._base = (access.base_scope,)
        self.tools = {name: self._requirement(name, scopes) for name, scopes in access.tools.items()}
        self.unmatched_tools = set(access.tools)
        self._added: set[tuple[str, str]] = set()
        self.prompts: dict[str, ScopeRequirement] = {}
        self.resources: dict[str, ScopeRequirement] = {}
        self._templates: dict[str, UriTemplate] = {}
        self._by_method: dict[str, Callable[[dict[str, Any]], tuple[str, ...]]] = {
            "tools/call": self._of_tool,
            "prompts/get": lambda params: self._for_named(self.prompts, params),
            "completion/complete": lambda params: self._for_reference(params.get("ref")),
            SUBSCRIPTIONS_LISTEN: lambda params: self._for_subscription(params.get("notifications")),
            **dict.fromkeys(_BY_URI, lambda params: self._for_uris([params.get("uri")])),
        }

    def add_tool(self, name: str, scope: ScopeSpec) -> ScopeRequirement:
        """Adds a tool.

        Args:
            name: the tool's name.
            scope: the scopes that it requires besides the base scope.

        Returns:
            Its requirement, which includes the scopes that the access file lists for it.

        Raises:
            AccessFileError: the access file does not define one of the scopes, or the tool has been added already.
        """
        self._reject_duplicate("tool", name)
        self.unmatched_tools.discard(name)
        self.tools[name] = requirement = self._requirement(name, scope, self._access.tools.get(name, ()))
        return requirement

    def add_prompt(self, name: str, scope: ScopeSpec) -> ScopeRequirement:
        """Adds a prompt; otherwise as `add_tool`."""
        self._reject_duplicate("prompt", name)
        self.prompts[name] = requirement = self._requirement(name, scope)
        return requirement

    def add_resource(self, uri: str, scope: ScopeSpec) -> ScopeRequirement:
        """Adds a resource or a resource template (RFC 6570); otherwise as `add_tool`."""
        self._reject_duplicate("resource", uri)
        self.resources[uri] = requirement = self._requirement(uri, scope)
        self._templates[uri] = UriTemplate.parse(uri)
        return requirement

    def for_message(self, message: Mapping[str, Any]) -> tuple[str, ...]:
        """Returns all scopes that a JSON-RPC message requires.

        A message that names nothing known here requires the base scope only; the application responds to it.

        Raises:
            ScopeResolutionError: see `ScopeRequirement.scopes`; or a subscription names more than
                `MAX_SUBSCRIPTION_URIS`.
            ToolNotListed: the access file has a `tools` block, and the message calls a tool that is neither listed
                there nor added here.
        """
        method, params = message.get("method"), message.get("params")
        resolver = self._by_method.get(method) if isinstance(method, str) else None
        return self._base if resolver is None else resolver(params if isinstance(params, dict) else {})

    def _of_tool(self, params: Mapping[str, Any]) -> tuple[str, ...]:
        """Compares names exactly, because the application might accept other spellings of a name for the same tool."""
        name = params.get("name")
        if self._access.lists_tools and not (isinstance(name, str) and name in self.tools):
            raise ToolNotListed(name)
        return self._for_named(self.tools, params)

    def _for_named(self, known: Mapping[str, ScopeRequirement], params: Mapping[str, Any]) -> tuple[str, ...]:
        name, arguments = params.get("name"), params.get("arguments")
        requirement = known.get(name) if isinstance(name, str) else None
        if requirement is None:
            return self._base
        return requirement.scopes(arguments if isinstance(arguments, dict) else {})

    def _for_uris(self, uris: Iterable[object]) -> tuple[str, ...]:
        """If several templates match a URI, requires the scopes of all: the application may serve any of them."""
        required = dict.fromkeys(self._base)
        for uri in (each for each in uris if isinstance(each, str)):
            for written, template in self._templates.items():
                arguments = template.match(uri)
                if uri == written or arguments is not None:
                    required |= dict.fromkeys(self.resources[written].scopes(arguments or {}))
        return tuple(required)

    def _for_reference(self, reference: object) -> tuple[str, ...]:
        """A completion reveals the prompt or resource that it is for, so it requires the same static scopes."""
        if not isinstance(reference, dict):
            return self._base
        required = dict.fromkeys(self._base)
        for known, name in ((self.prompts, reference.get("name")), (self.resources, reference.get("uri"))):
            requirement = known.get(name) if isinstance(name, str) else None
            required |= dict.fromkeys(requirement.static_scopes if requirement is not None else ())
        return tuple(required)

    def _for_subscription(self, notifications: object) -> tuple[str, ...]:
        lists = [notifications.get(spelling) for spelling in _SUBSCRIBED] if isinstance(notifications, dict) else []
        uris = [uri for named in lists if isinstance(named, list) for uri in named]
        if len(uris) > MAX_SUBSCRIPTION_URIS:
            raise ScopeResolutionError(SUBSCRIPTIONS_LISTEN)
        return self._for_uris(uris)

    def _reject_duplicate(self, kind: str, name: str) -> None:
        """Rejects a second one of the same name: the SDK would serve the first, under the requirement of the second."""
        if (kind, name) in self._added:
            raise AccessFileError(f"{name}: a {kind} of this name already exists; rename this one")
        self._added.add((kind, name))

    def _requirement(self, name: str, scope: ScopeSpec, additional: Iterable[str] = ()) -> ScopeRequirement:
        resolver = scope if callable(scope) else None
        written = () if scope is None or callable(scope) else _listed(scope)
        for unknown in [each for each in written if each not in self._access.scopes]:
            raise AccessFileError(
                f"{name}: needs the scope '{unknown}', which is not one of the scopes: {', '.join(self._access.scopes)}"
            )
        return ScopeRequirement(
            name, tuple(dict.fromkeys((*self._base, *written, *additional))), resolver, self._access
        )


def _listed(scope: str | Iterable[str]) -> tuple[str, ...]:
    return (scope,) if isinstance(scope, str) else tuple(scope)
