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
from mcp_idp.errors import InsufficientRole, InsufficientScope, NotListed, ScopeResolutionError, ToolNotListed

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
OTHERS = "*"
"""The name in the access file that stands for all that are not listed."""

# Methods of MCP 2024-11-05 to 2026-07-28 that name nothing: they require the base scope.
_UNNAMED = frozenset(
    {
        "initialize",
        "logging/setLevel",
        "notifications/cancelled",
        "notifications/initialized",
        "notifications/progress",
        "notifications/roots/list_changed",
        "ping",
        "prompts/list",
        "resources/list",
        "resources/templates/list",
        "server/discover",
        "tools/list",
    }
)


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
        access: the access policy. The scopes that the access file lists are added to those of the decorators and never
            replace them. If the file lists anything (`AccessPolicy.is_strict`), only what it lists or is added here may
            be requested, because the required scopes of anything else are unknown.

    Attributes:
        tools: the requirements of the tools, by name.
        unmatched: the tools, prompts and resources that the access file lists and that have not been added, each as the
            block of the access file and the name.
        prompts: the requirements of the prompts, by name.
        resources: the requirements of the resources and resource templates, by URI.
    """

    def __init__(self, access: AccessPolicy) -> None:
        self._access = access
        self._base = (access.base_scope,)
        self.tools = self._listed_in(access.tools)
        self.prompts = self._listed_in(access.prompts)
        self.resources = self._listed_in(access.resources)
        self._methods = self._listed_in(access.methods)
        self.unmatched = {
            (block, name)
            for block, listed in (("tools", self.tools), ("prompts", self.prompts), ("resources", self.resources))
            for name in listed.keys() - {OTHERS}
        }
        self._added: set[tuple[str, str]] = set()
        self._templates = {uri: _parse_template(uri) for uri in self.resources.keys() - {OTHERS}}
        self._by_method: dict[str, Callable[[dict[str, Any]], tuple[str, ...]]] = {
            "tools/call": self._of_tool,
            "prompts/get": self._of_prompt,
            "completion/complete": lambda params: self._for_reference(params.get("ref")),
            SUBSCRIPTIONS_LISTEN: lambda params: self._for_subscription(params.get("notifications")),
            **dict.fromkeys(_BY_URI, lambda params: self._for_uris([params.get("uri")])),
            **dict.fromkeys(_UNNAMED, lambda _params: self._base),
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
        return self._add("tools", name, scope, self.tools, self._access.tools)

    def add_prompt(self, name: str, scope: ScopeSpec) -> ScopeRequirement:
        """Adds a prompt; otherwise as `add_tool`."""
        return self._add("prompts", name, scope, self.prompts, self._access.prompts)

    def add_resource(self, uri: str, scope: ScopeSpec) -> ScopeRequirement:
        """Adds a resource or a resource template (RFC 6570); otherwise as `add_tool`."""
        self._templates[uri] = UriTemplate.parse(uri)
        return self._add("resources", uri, scope, self.resources, self._access.resources)

    def for_message(self, message: Mapping[str, Any], also: Iterable[tuple[str, str]] = ()) -> tuple[str, ...]:
        """Returns all scopes that a JSON-RPC message requires.

        Args:
            message: the message. One that names nothing known here requires the base scope only, unless the access file
                lists what may be requested; the application responds to it.
            also: further names of what the message runs, such as that of a tool behind an alias, each with its method.
                What they require is added. They need not be listed.

        Raises:
            ScopeResolutionError: see `ScopeRequirement.scopes`; or a subscription names more than
                `MAX_SUBSCRIPTION_URIS`.
            NotListed, ToolNotListed: the access file lists what may be requested, and what the message names is neither
                listed there nor added here.
        """
        method, params = message.get("method"), message.get("params")
        if not isinstance(method, str):
            return self._base
        resolver = self._by_method.get(method)
        if resolver is None:
            return self._of_other(method)
        required = resolver(params if isinstance(params, dict) else {})
        more = [scope for kind, name in also for scope in self._static_scopes(kind, name)]
        return tuple(dict.fromkeys((*required, *more))) if more else required

    def _static_scopes(self, method: str, name: str) -> tuple[str, ...]:
        """Returns the static scopes of the tool, prompt or resource that `method` requests by this name, if any."""
        if method in _BY_URI:
            return tuple(scope for each in self._matching(name) for scope in self.resources[each].static_scopes)
        requirement = (self.tools if method == "tools/call" else self.prompts).get(name)
        return () if requirement is None else requirement.static_scopes

    def _of_other(self, method: str) -> tuple[str, ...]:
        """Returns the scopes of a method that MCP does not define, such as that of an extension."""
        requirement = self._methods.get(method) or self._methods.get(OTHERS)
        return self._unlisted("methods", method) if requirement is None else requirement.static_scopes

    def _unlisted(self, block: str, name: object) -> tuple[str, ...]:
        """Returns the base scope for what is neither listed nor added here, or rejects it if the file is strict."""
        if self._access.is_strict:
            raise ToolNotListed(name) if block == "tools" else NotListed(block, name)
        return self._base

    def _of_tool(self, params: Mapping[str, Any]) -> tuple[str, ...]:
        """Compares names exactly, because the application might accept other spellings of a name for the same tool."""
        return self._for_named("tools", self.tools, params)

    def _of_prompt(self, params: Mapping[str, Any]) -> tuple[str, ...]:
        return self._for_named("prompts", self.prompts, params)

    def _for_named(
        self, block: str, known: Mapping[str, ScopeRequirement], params: Mapping[str, Any]
    ) -> tuple[str, ...]:
        name, arguments = params.get("name"), params.get("arguments")
        requirement = known.get(name) or known.get(OTHERS) if isinstance(name, str) else None
        if requirement is None:
            return self._unlisted(block, name)
        return requirement.scopes(arguments if isinstance(arguments, dict) else {})

    def _for_uris(self, uris: Iterable[object]) -> tuple[str, ...]:
        """If several templates match a URI, requires the scopes of all: the application may serve any of them."""
        required = dict.fromkeys(self._base)
        for uri in uris:
            matching = self._matching(uri) if isinstance(uri, str) else {}
            if not matching and OTHERS in self.resources and isinstance(uri, str):
                matching = {OTHERS: {}}
            if not matching:
                self._unlisted("resources", uri)
            for written, arguments in matching.items():
                required |= dict.fromkeys(self.resources[written].scopes(arguments))
        return tuple(required)

    def _matching(self, uri: str) -> dict[str, Mapping[str, Any]]:
        """Returns the known resources and templates that a URI may mean, each with its arguments."""
        found: dict[str, Mapping[str, Any]] = {}
        for written, template in self._templates.items():
            arguments = template.match(uri)
            if uri == written or arguments is not None:
                found[written] = arguments or {}
        return found

    def _for_reference(self, reference: object) -> tuple[str, ...]:
        """A completion reveals the prompt or resource that it is for, so it requires the same static scopes."""
        if not isinstance(reference, dict):
            return self._base
        required, is_known = dict.fromkeys(self._base), False
        for known, name in ((self.prompts, reference.get("name")), (self.resources, reference.get("uri"))):
            requirement = known.get(name) or known.get(OTHERS) if isinstance(name, str) else None
            if requirement is not None:
                required |= dict.fromkeys(requirement.static_scopes)
                is_known = True
        if not is_known:
            self._unlisted("prompts or resources", reference.get("name", reference.get("uri")))
        return tuple(required)

    def _for_subscription(self, notifications: object) -> tuple[str, ...]:
        lists = [notifications.get(spelling) for spelling in _SUBSCRIBED] if isinstance(notifications, dict) else []
        uris = [uri for named in lists if isinstance(named, list) for uri in named]
        if len(uris) > MAX_SUBSCRIPTION_URIS:
            raise ScopeResolutionError(SUBSCRIPTIONS_LISTEN)
        return self._for_uris(uris)

    def _add(
        self,
        block: str,
        name: str,
        scope: ScopeSpec,
        known: dict[str, ScopeRequirement],
        listed: Mapping[str, Iterable[str]],
    ) -> ScopeRequirement:
        """Rejects a duplicate name: the SDK would serve the first function with the requirement of the second."""
        if (block, name) in self._added:
            kind = block.removesuffix("s")
            raise AccessFileError(f"{name}: a {kind} of this name already exists; rename this one")
        self._added.add((block, name))
        self.unmatched.discard((block, name))
        known[name] = requirement = self._requirement(name, scope, listed.get(name, ()))
        return requirement

    def _listed_in(self, block: Mapping[str, tuple[str, ...]]) -> dict[str, ScopeRequirement]:
        return {name: self._requirement(name, scopes) for name, scopes in block.items()}

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


def _parse_template(uri: str) -> UriTemplate:
    try:
        return UriTemplate.parse(uri)
    except ValueError as error:
        raise AccessFileError(f"resources.{uri}: is not a URI template (RFC 6570): {error}") from error


def _listed(scope: str | Iterable[str]) -> tuple[str, ...]:
    return (scope,) if isinstance(scope, str) else tuple(scope)
