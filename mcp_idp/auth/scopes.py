"""What a request needs: the scopes of the tool, resource or prompt that it names.

MCP 2026-07-28, authorization, "Scope Challenge Handling": all that an operation needs is told in one challenge, and
may follow from its arguments. The gate asks by the message that was sent, before the application sees it; `registry.py`
asks once more with the arguments that the function is about to get.

Whether a principal may: RFC 6750 section 3.1, MCP authorization 2026-07-28 "Step-Up Authorization Flow".
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
    """What is written beside a tool: one scope, several, or a function of the arguments that names them."""


def require_scopes(principal: Principal, required: tuple[str, ...], access: AccessPolicy) -> None:
    """Let a principal pass whose token is good for all of `required`; a broader scope is good for what it implies.

    Raises:
        InsufficientScope: a login could bring what is missing; names all of `required`, not the missing part.
        InsufficientRole: the token lists the person's roles, and none of them brings it.
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
"""How many a subscription may name: each is held against each template, while all others wait."""

_BY_URI = ("resources/read", "resources/subscribe", "resources/unsubscribe")
_SUBSCRIBED = ("resourceSubscriptions", "resource_subscriptions")  # the SDK reads either


@dataclass(frozen=True, slots=True)
class ScopeRequirement:
    """What one tool, resource or prompt needs.

    Attributes:
        name: the tool's, resource's or prompt's.
        static_scopes: the scopes that are needed whatever the arguments say; the base scope comes first.
        dynamic_scopes: names the further ones, from the arguments.
    """

    name: str
    static_scopes: tuple[str, ...]
    dynamic_scopes: ScopeResolver | None
    access: AccessPolicy

    def scopes(self, arguments: Mapping[str, Any]) -> tuple[str, ...]:
        """All that a use with these arguments needs, each once.

        Raises:
            ScopeResolutionError: the resolver raised, or returned something that is no scope of the access file.
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
    """What each request needs.

    Args:
        access: the scopes there are; its `tools` are added to what is written beside a tool, never taken off it. Once
            it has any, no other tool may be called: what runs under a name that says nothing here is not known.

    Attributes:
        unmatched_tools: tools of the access file that nobody has added so far.
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
        """Note what a tool needs.

        Raises:
            AccessFileError: it names a scope that the access file does not have, or there is one of this name already.
        """
        self._reject_duplicate("tool", name)
        self.unmatched_tools.discard(name)
        self.tools[name] = requirement = self._requirement(name, scope, self._access.tools.get(name, ()))
        return requirement

    def add_prompt(self, name: str, scope: ScopeSpec) -> ScopeRequirement:
        """The same for a prompt."""
        self._reject_duplicate("prompt", name)
        self.prompts[name] = requirement = self._requirement(name, scope)
        return requirement

    def add_resource(self, uri: str, scope: ScopeSpec) -> ScopeRequirement:
        """The same for a resource, or for all of a template (RFC 6570)."""
        self._reject_duplicate("resource", uri)
        self.resources[uri] = requirement = self._requirement(uri, scope)
        self._templates[uri] = UriTemplate.parse(uri)
        return requirement

    def for_message(self, message: Mapping[str, Any]) -> tuple[str, ...]:
        """The scopes that a JSON-RPC message needs, all of them.

        What names nothing we know needs the base scope: it is the application that answers it.

        Raises:
            ScopeResolutionError: see `ScopeRequirement.scopes`.
            ToolNotListed: it calls a tool that the access file, which lists the tools, does not have.
        """
        method, params = message.get("method"), message.get("params")
        resolver = self._by_method.get(method) if isinstance(method, str) else None
        return self._base if resolver is None else resolver(params if isinstance(params, dict) else {})

    def _of_tool(self, params: Mapping[str, Any]) -> tuple[str, ...]:
        """Names count as they are written: which other spellings the application takes for a tool is not known here."""
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
        """Where several templates fit, all that any of them needs: the application serves one of them."""
        required = dict.fromkeys(self._base)
        for uri in (each for each in uris if isinstance(each, str)):
            for written, template in self._templates.items():
                arguments = template.match(uri)
                if uri == written or arguments is not None:
                    required |= dict.fromkeys(self.resources[written].scopes(arguments or {}))
        return tuple(required)

    def _for_reference(self, reference: object) -> tuple[str, ...]:
        """A completion tells about the prompt or the resource that it is for."""
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
        """The SDK serves the first of two; what the second needs must not stand beside it."""
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
