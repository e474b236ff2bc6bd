"""Authorizes what runs inside an application, where it may differ from what the request names.

A tool may have several names (an alias, a prefix, the name on a mounted server), and a tool may run another one (a
search or code-mode transform, a resource or prompt as a tool). The adapters in `mcp_idp/adapters` find out what runs:

- before the application runs, the auth middleware resolves the name in the request and adds the scopes of all names of
  the component, so the caller gets an HTTP 403 with a challenge;
- before a component runs, `InvocationGuard.check` authorizes it, unless the request is already authorized for it.

Names must match the access file exactly: once the file lists anything, the name that is called must be listed. The
other names of the component can only add scopes.
"""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import structlog

from mcp_idp.auth.context import current_principal
from mcp_idp.auth.scopes import require_scopes
from mcp_idp.errors import AuthError, MissingCredentials, ScopeResolutionError

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Iterator, Mapping

    from mcp_idp.access.policy import AccessPolicy
    from mcp_idp.auth.decisions import DecisionRecorder
    from mcp_idp.auth.rate_limiting.by_user import UserLimits
    from mcp_idp.auth.scopes import ScopeRequirements
    from mcp_idp.principal import Principal

log = structlog.get_logger(__name__)
CALL, READ, GET_PROMPT = "tools/call", "resources/read", "prompts/get"
_KINDS = {
    CALL: (CALL, "name"),
    GET_PROMPT: (GET_PROMPT, "name"),
    READ: (READ, "uri"),
    "resources/subscribe": (READ, "uri"),
    "resources/unsubscribe": (READ, "uri"),
}


@dataclass(frozen=True, slots=True)
class Resolved:
    """A resolved name: what runs if it is called.

    Attributes:
        also: the other names of what runs, each with the method that requests it, such as `("tools/call", "delete")`.
        keys: identifiers of the steps from the name to what runs; the adapter chooses them.
    """

    also: tuple[tuple[str, str], ...] = ()
    keys: frozenset[Hashable] = frozenset()

    @property
    def all(self) -> frozenset[Hashable]:
        """Everything that a request may run once it is authorized for this name."""
        return self.keys.union(self.also)


class ServerAdapter(Protocol):
    """Resolves the names of one MCP server, and calls an `InvocationGuard` where components run."""

    async def resolve(self, method: str, name: str) -> Resolved:
        """Resolves `name`; the result is empty if the server does not know it.

        Args:
            method: `tools/call`, `resources/read` or `prompts/get`.
            name: the name or URI.
        """


@dataclass(frozen=True, slots=True)
class _Request:
    """The current request: its correlation id in the audit log, the name in it, and what it is authorized for."""

    correlation_id: str | None
    target: str | None
    authorized: frozenset[Hashable]


_request: ContextVar[_Request | None] = ContextVar("request", default=None)


async def resolve_message(adapters: Iterable[ServerAdapter], message: Mapping[str, Any]) -> Resolved:
    """Resolves the name in a JSON-RPC message, on all servers together.

    Args:
        adapters: the servers' adapters.
        message: the message; its members are not validated.

    Raises:
        ScopeResolutionError: the lookup failed on a server.
    """
    target = _named_component(message)
    if target is None:
        return Resolved()
    try:
        found = [await adapter.resolve(*target) for adapter in adapters]
    except Exception as error:
        log.exception("component_resolution_failed", method=target[0], name=target[1])
        raise ScopeResolutionError(target[1]) from error
    also = dict.fromkeys(each for resolved in found for each in resolved.also if each != target)
    return Resolved(tuple(also), frozenset().union(*(resolved.keys for resolved in found)))


def _named_component(message: Mapping[str, Any]) -> tuple[str, str] | None:
    method, params = message.get("method"), message.get("params")
    if not isinstance(method, str) or not isinstance(params, dict):
        return None
    if method == "completion/complete":
        reference = params.get("ref")
        params = reference if isinstance(reference, dict) else {}
        kind, member = (GET_PROMPT, "name") if "name" in params else (READ, "uri")
    elif method in _KINDS:
        kind, member = _KINDS[method]
    else:
        return None
    name = params.get(member)
    return (kind, name) if isinstance(name, str) else None


@contextmanager
def authorized_request(
    resolved: Resolved, correlation_id: str | None, message: Mapping[str, Any] | None
) -> Iterator[None]:
    """Stores what the current request is authorized for, while the application runs.

    Args:
        resolved: what the request runs.
        correlation_id: that of the request's line in the audit log, if there is one.
        message: the JSON-RPC message of the request, if it has one.
    """
    target = _named_component(message) if message is not None else None
    token = _request.set(_Request(correlation_id, target[1] if target else None, resolved.all))
    try:
        yield
    finally:
        _request.reset(token)


class InvocationGuard:
    """Authorizes what is about to run in an application, for the adapters.

    Args:
        requirements: the scopes that each name requires.
        access: the access policy.
        decisions: records what ran and what was rejected.
        limits: the limits of single tools, which also count a tool that another one runs.
    """

    def __init__(
        self,
        requirements: ScopeRequirements,
        access: AccessPolicy,
        decisions: DecisionRecorder,
        limits: UserLimits | None = None,
    ) -> None:
        self._requirements = requirements
        self._access = access
        self._decisions = decisions
        self._limits = limits

    def is_authorized(self, key: Hashable) -> bool:
        """Whether the current request is already authorized for this step."""
        request = _request.get()
        return request is not None and key in request.authorized

    @contextmanager
    def check(self, method: str, name: str, resolved: Resolved) -> Iterator[None]:
        """Requires that the current principal may run this, and marks it as authorized while the block runs.

        Args:
            method: `tools/call`, `resources/read` or `prompts/get`.
            name: the name or URI by which it is called.
            resolved: the resolved name.

        Raises:
            AuthError: the principal may not, the decision cannot be recorded, or a limit of the tool is used up.
        """
        request = _request.get() or _Request(None, None, frozenset())
        with ExitStack() as acquired:
            if not resolved.all <= request.authorized:
                message = {"method": method, "params": {"uri" if method == READ else "name": name}}
                principal = self._authorize(message, resolved, request)
                if self._limits is not None:
                    acquired.enter_context(self._limits.nested_call(principal, message, resolved.also))
            token = _request.set(_Request(request.correlation_id, request.target, request.authorized | resolved.all))
            try:
                yield
            finally:
                _request.reset(token)

    def _authorize(self, message: Mapping[str, Any], resolved: Resolved, request: _Request) -> Principal:
        principal = None
        try:
            principal = _principal()
            required = self._requirements.for_message(message, resolved.also)
            require_scopes(principal, required, self._access)
        except AuthError as error:
            self._decisions.record_nested(
                principal,
                message,
                resolved.also,
                within=request.target,
                correlation_id=request.correlation_id,
                error=error,
            )
            raise
        self._decisions.record_nested(
            principal, message, resolved.also, within=request.target, correlation_id=request.correlation_id
        )
        return principal


def _principal() -> Principal:
    try:
        return current_principal()
    except LookupError as error:
        raise MissingCredentials from error
