"""Loads and validates `access.yaml`, for the server and the bootstrap alike.

`load_access(path)` returns a consistent `AccessPolicy`: every scope that is referenced exists, the scope hierarchy has
no cycle, every scope implies the base scope. Otherwise it raises one `AccessFileError` with a line for each problem:
where it is and what to write.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Literal, Self

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from mcp_idp.access.consistency import find_contradictions
from mcp_idp.access.diagnostics import CONTRADICTION, Problem, find_schema_problems, format_problems
from mcp_idp.access.models import (
    Audience,
    ClaimName,
    ClientId,
    DemoUser,
    DownstreamApi,
    HttpUrlStr,
    IssuerOverrides,
    ProtectedResource,
    PublicClient,
    RegistrationPolicy,
    RoleName,
    ScopeDefinition,
    ScopeName,
    ServiceClient,
    SharedRealm,
    StrictModel,
    TimeoutSeconds,
    ToolLimit,
)
from mcp_idp.util import strict_yaml

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path


class AccessFileError(ValueError):
    """The access file cannot be used.

    The message names the file and says what to change: in one line if there is one problem, otherwise in one line for
    each.
    """


class AccessPolicy(StrictModel):
    """The content of the access file.

    Attributes:
        version: the version of the file format.
        resource: the protected resource.
        base_scope: the scope that every request requires and every other scope implies.
        scopes: the scopes of this server, by name.
        login_scopes: the scopes that the first challenge asks for; by default all that are not privileged.
        scope_prefix: the prefix that the provider puts before scope names, if any (Entra ID, Cognito).
        introspect_for: tokens with one of these scopes are introspected (RFC 7662) in token mode `jwt` too.
        tools: the scopes that a call requires, by tool, in addition to those in its `@tool` decorator; see
            `is_strict`. The name `*` stands for all that are not listed, here and in the next three.
        prompts: the same for prompts.
        resources: the same for resources, by URI or URI template (RFC 6570).
        methods: the same for JSON-RPC methods that the MCP specification does not define.
        tool_limits: how often, and how often at the same time, each user may call a tool, by tool.
        tool_timeouts: the seconds after which a call is cancelled, by tool, instead of the timeout in its `@tool`
            decorator and TOOL_TIMEOUT; 0 for no limit.
        groups: the roles that each group of the provider grants. If empty, a group grants the role of the same name.
        issuers: rules for the tokens of each issuer, by issuer URL.
        claims: token claims that tools may read, besides the fields of every principal.
        upstreams: the APIs for which this server may exchange its callers' tokens, by audience.
        roles_claim: the claim that lists the user's roles, unless the provider profile or the issuer's rules name
            another.
        registration: who may register a client.
        realm: how several servers share one realm.
        clients: public clients that are registered at the provider in advance, by client id.
        machine_clients: service clients, by client id. Their tokens, if of the first issuer, are accepted without a
            user.
        demo_users: users for demos and tests, by user name.
    """

    version: Literal[1]
    resource: ProtectedResource
    base_scope: ScopeName
    scopes: dict[ScopeName, ScopeDefinition]
    login_scopes: tuple[ScopeName, ...] = ()
    scope_prefix: ScopeName | Literal[""] = ""
    introspect_for: tuple[ScopeName, ...] = ()
    tools: dict[str, tuple[ScopeName, ...]] = Field(default_factory=dict)
    prompts: dict[str, tuple[ScopeName, ...]] = Field(default_factory=dict)
    resources: dict[str, tuple[ScopeName, ...]] = Field(default_factory=dict)
    methods: dict[str, tuple[ScopeName, ...]] = Field(default_factory=dict)
    tool_limits: dict[str, ToolLimit] = Field(default_factory=dict)
    tool_timeouts: dict[str, TimeoutSeconds] = Field(default_factory=dict)
    groups: dict[str, tuple[RoleName, ...]] = Field(default_factory=dict)
    issuers: dict[HttpUrlStr, IssuerOverrides] = Field(default_factory=dict)
    claims: tuple[ClaimName, ...] = Field(default=(), max_length=20)
    upstreams: dict[Audience, DownstreamApi] = Field(default_factory=dict)
    roles_claim: str = Field(default="mcp_roles", pattern=r"^[A-Za-z0-9_-]+$")
    registration: RegistrationPolicy
    realm: SharedRealm = Field(default_factory=SharedRealm)
    clients: dict[str, PublicClient] = Field(default_factory=dict)
    machine_clients: dict[ClientId, ServiceClient] = Field(default_factory=dict)
    demo_users: dict[str, DemoUser] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        for problem in find_contradictions(self.model_dump(exclude_unset=True)):
            where = ".".join(map(str, problem.path))
            raise PydanticCustomError(CONTRADICTION, "{problem}", {"problem": f"{where}: {problem.message}"})
        if not self.login_scopes:  # the model is frozen, but this is still part of its construction
            chosen = tuple(name for name, scope in self.scopes.items() if not scope.privileged)
            object.__setattr__(self, "login_scopes", chosen)
        return self

    @property
    def is_strict(self) -> bool:
        """Whether the file has one of the blocks `tools`, `prompts`, `resources` and `methods`.

        If so, requests for what is neither listed there nor registered with a decorator are rejected.
        """
        return not self.model_fields_set.isdisjoint(("tools", "prompts", "resources", "methods"))

    def transitive_scopes(self, name: str) -> frozenset[str]:
        """Returns all scopes that a scope implies directly or indirectly, itself included."""
        return frozenset({name}).union(*(self.transitive_scopes(narrower) for narrower in self.scopes[name].implies))

    @cached_property
    def effective_scopes_by_scope(self) -> Mapping[str, frozenset[str]]:
        """The effective scopes of each scope: those that it implies directly or indirectly, itself included."""
        return {name: self.transitive_scopes(name) for name in self.scopes}

    @cached_property
    def roles(self) -> tuple[str, ...]:
        """Every role that grants a scope of this server or of a downstream API, in the order of the file."""
        return tuple(dict.fromkeys(role for roles in self.roles_by_scope.values() for role in roles))

    @cached_property
    def roles_by_scope(self) -> Mapping[str, tuple[str, ...]]:
        """The roles that grant each scope, scopes of downstream APIs included."""
        there = {name: scope.roles for api in self.upstreams.values() for name, scope in api.scopes.items()}
        return {name: scope.roles for name, scope in self.scopes.items()} | there

    def with_scope_prefix(self, names: Iterable[str]) -> list[str]:
        """Returns scopes with the provider's prefix, as clients must request them."""
        return [self.scope_prefix + name for name in names]

    def effective_scopes(self, granted: Iterable[str]) -> frozenset[str]:
        """Returns the granted scopes and all that they imply. Scopes that the file does not define are dropped."""
        implied = self.effective_scopes_by_scope
        return frozenset().union(*(implied[name] for name in granted if name in implied))

    def roles_for_groups(self, groups: Iterable[str]) -> frozenset[str]:
        """Returns the roles that the provider's `groups` grant: those listed in the file's `groups` block.

        If the file has no such block, each group grants the role of the same name. If it has one, unlisted groups grant
        nothing, because some providers let any user create a group with any name.
        """
        return (
            frozenset(role for group in groups for role in self.groups.get(group, ()))
            if self.groups
            else frozenset(groups)
        )

    def roles_of_demo_user(self, user: DemoUser) -> tuple[str, ...]:
        """Returns the roles of a demo user: the direct ones first, then those of its groups, each once."""
        by_groups = (role for group in user.groups for role in self.groups[group])
        return tuple(dict.fromkeys((*user.roles, *by_groups)))

    def groups_granting(self, roles: Iterable[str]) -> tuple[str, ...]:
        """Returns the groups in the file that grant at least one of `roles`."""
        required = frozenset(roles)
        return tuple(group for group, granted in self.groups.items() if not required.isdisjoint(granted))

    def scopes_granted_by(self, roles: frozenset[str]) -> frozenset[str]:
        """Returns every scope of this server that at least one of `roles` grants."""
        return frozenset(name for name, scope in self.scopes.items() if not roles.isdisjoint(scope.roles))


def load_access(path: Path) -> AccessPolicy:
    """Reads and validates an access file.

    Raises:
        AccessFileError: the file cannot be read, is not YAML or is not valid. The message names the file and says what
            to change.
    """
    try:
        text = path.read_text(encoding="utf-8")
        document, duplicates = strict_yaml.loads_with_duplicates(text)
    except OSError as error:
        raise AccessFileError(f"{path}: cannot be read ({error.strerror})") from error
    except (strict_yaml.StrictYamlError, UnicodeDecodeError) as error:
        raise AccessFileError(f"{path}: {error}") from error
    problems, corrected = find_schema_problems(document, AccessPolicy)
    problems += [Problem((), message, line) for line, message in duplicates]
    problems += find_contradictions(corrected)
    if problems:
        raise AccessFileError(_describe(path, format_problems(problems, text)))
    return AccessPolicy.model_validate(document)


def _describe(path: Path, lines: Sequence[str]) -> str:
    """Returns the message of an `AccessFileError`."""
    if len(lines) == 1:
        return f"{path}: {lines[0]}"
    return "\n  ".join([f"{path}: {len(lines)} problems", *lines])
