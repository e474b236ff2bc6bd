"""Loads and validates `access.yaml`, for the server and the bootstrap alike.

`load_access(path)` returns a consistent `AccessPolicy`: every scope that is referenced exists, the scope hierarchy has
no cycle, every scope implies the base scope. Any error is one `AccessFileError` line that says where it is and what to
write.
"""

from __future__ import annotations

import re
from functools import cached_property
from typing import TYPE_CHECKING, Literal, Self

from pydantic import Field, ValidationError, model_validator

from mcp_idp.access.diagnostics import format_validation_error, suggest
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
    StrictModel,
    TimeoutSeconds,
)
from mcp_idp.util import strict_yaml

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

_USER_NAME = re.compile(r"^[a-z0-9._-]{3,60}$")  # Keycloak requires three characters and lower-cases them


def validate_policy(access: AccessPolicy) -> None:
    """Validates that the blocks of the access file are consistent with each other.

    Raises:
        ValueError: they are not. The message says where, and what to change.
    """
    for where, names in _named_scopes(access):
        _validate_scopes(access, names, where)
    _validate_base_scope_implied(access)
    _validate_role_hierarchy(access)
    for where, names in _named_roles(access):
        _validate_roles(access, names, where)
    _validate_demo_user_groups(access)
    _validate_client_ids_unique(access)
    _validate_scope_names_unique(access)
    if access.roles_claim in access.claims:
        raise ValueError(f"claims: '{access.roles_claim}' is already in every principal as its roles: remove it")
    for user in access.demo_users:
        if not _USER_NAME.match(user):
            raise ValueError(f"demo_users.{user}: use 3 to 60 characters of a-z, 0-9, '.', '_', '-'")


def _named_scopes(access: AccessPolicy) -> Iterator[tuple[str, Iterable[str]]]:
    """Yields each place in the file that references scopes, with those scopes."""
    yield "base_scope", [access.base_scope]
    yield "login_scopes", access.login_scopes
    yield "introspect_for", access.introspect_for
    yield from ((f"tools.{tool}", scopes) for tool, scopes in access.tools.items())
    yield from ((f"scopes.{name}.implies", scope.implies) for name, scope in access.scopes.items())


def _named_roles(access: AccessPolicy) -> Iterator[tuple[str, Iterable[str]]]:
    """Yields each place in the file that references roles that must grant a scope, with those roles."""
    yield from ((f"groups.{group}", roles) for group, roles in access.groups.items())
    yield from (
        (f"machine_clients.{name}.roles", service_client.roles)
        for name, service_client in access.machine_clients.items()
    )
    yield from ((f"demo_users.{user}.roles", demo_user.roles) for user, demo_user in access.demo_users.items())


def _validate_scopes(access: AccessPolicy, names: Iterable[str], where: str) -> None:
    for name in names:
        if name not in access.scopes:
            raise ValueError(f"{where}: '{name}' is not one of the scopes{suggest(name, access.scopes)}")


def _validate_roles(access: AccessPolicy, names: Iterable[str], where: str) -> None:
    for name in names:
        if name not in access.roles:
            raise ValueError(f"{where}: '{name}' grants no scope{suggest(name, access.roles)}")


def _validate_base_scope_implied(access: AccessPolicy) -> None:
    for name in access.scopes:
        implied = access.transitive_scopes(name)
        if name != access.base_scope and access.base_scope not in implied:
            raise ValueError(f"scopes.{name}.implies: must imply the base scope '{access.base_scope}'")


def _validate_role_hierarchy(access: AccessPolicy) -> None:
    """Requires that every role that grants a scope also grants the scopes that it implies.

    Otherwise a user with that role could not obtain the narrower scope by requesting it by name.
    """
    for broader, scope in access.scopes.items():
        for narrower in sorted(access.transitive_scopes(broader)):
            for role in sorted({*scope.roles} - {*access.scopes[narrower].roles}):
                raise ValueError(
                    f"scopes.{narrower}.roles: must have '{role}' too, which grants the broader scope '{broader}'"
                )


def _validate_demo_user_groups(access: AccessPolicy) -> None:
    for user, demo_user in access.demo_users.items():
        for name in demo_user.groups:
            if name not in access.groups:
                known = suggest(name, access.groups) if access.groups else ""
                raise ValueError(f"demo_users.{user}.groups: '{name}' is not one of the groups{known}")


def _validate_client_ids_unique(access: AccessPolicy) -> None:
    for client_id in sorted(access.machine_clients.keys() & access.clients.keys()):
        raise ValueError(f"machine_clients.{client_id}: is also a login client: use another id")
    for audience in sorted(access.upstreams.keys() & (access.clients.keys() | access.machine_clients.keys())):
        raise ValueError(f"upstreams.{audience}: is also a login client: use another id")


def _validate_scope_names_unique(access: AccessPolicy) -> None:
    """Requires scope names to be unique across this server and the downstream APIs.

    Otherwise a login at this server would grant a scope that is meant for a downstream API.
    """
    seen = dict.fromkeys(access.scopes, "scopes")
    for audience, api in access.upstreams.items():
        where = f"upstreams.{audience}"
        for name in api.scopes:
            if seen.setdefault(name, where) != where:
                raise ValueError(f"{where}.scopes.{name}: the name is already used in {seen[name]}")


class AccessFileError(ValueError):
    """The access file cannot be used. The message says where the error is and what to change."""


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
            `lists_tools`.
        tool_timeouts: the seconds after which a call is cancelled, by tool, in place of its `@tool` decorator's and of
            TOOL_TIMEOUT; 0 for no limit.
        groups: the roles that each group of the provider grants. If empty, a group grants the role of the same name.
        issuers: rules for the tokens of each issuer, by issuer URL.
        claims: token claims that tools may read, besides the fields of every principal.
        upstreams: the APIs for which this server may exchange its callers' tokens, by audience.
        roles_claim: the claim that lists the user's roles, unless the provider profile or the issuer's rules name
            another.
        registration: who may register a client.
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
    tool_timeouts: dict[str, TimeoutSeconds] = Field(default_factory=dict)
    groups: dict[str, tuple[RoleName, ...]] = Field(default_factory=dict)
    issuers: dict[HttpUrlStr, IssuerOverrides] = Field(default_factory=dict)
    claims: tuple[ClaimName, ...] = Field(default=(), max_length=20)
    upstreams: dict[Audience, DownstreamApi] = Field(default_factory=dict)
    roles_claim: str = Field(default="mcp_roles", pattern=r"^[A-Za-z0-9_-]+$")
    registration: RegistrationPolicy
    clients: dict[str, PublicClient] = Field(default_factory=dict)
    machine_clients: dict[ClientId, ServiceClient] = Field(default_factory=dict)
    demo_users: dict[str, DemoUser] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        validate_policy(self)
        if not self.login_scopes:  # the model is frozen, but this is still part of its construction
            chosen = tuple(name for name, scope in self.scopes.items() if not scope.privileged)
            object.__setattr__(self, "login_scopes", chosen)
        return self

    @property
    def lists_tools(self) -> bool:
        """Whether the file has a `tools` block.

        If so, calls of tools that are neither listed there nor registered with `@tool` are rejected.
        """
        return "tools" in self.model_fields_set

    def transitive_scopes(self, name: str, path: tuple[str, ...] = ()) -> frozenset[str]:
        """Returns all scopes that a scope implies directly or indirectly, itself included.

        Args:
            name: the scope.
            path: the scopes that led to `name` in the recursion, to detect cycles.

        Raises:
            ValueError: the hierarchy has a cycle.
        """
        if name in path:
            raise ValueError(f"scopes.{name}.implies: is circular: {' > '.join((*path, name))}")
        implied = {name}
        for narrower in self.scopes[name].implies:
            implied |= self.transitive_scopes(narrower, (*path, name))
        return frozenset(implied)

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
    text = ""
    try:
        text = path.read_text(encoding="utf-8")
        return AccessPolicy.model_validate(strict_yaml.loads(text))
    except OSError as error:
        raise AccessFileError(f"{path}: cannot be read ({error.strerror})") from error
    except ValidationError as error:
        raise AccessFileError(f"{path}: {format_validation_error(error, AccessPolicy, text)}") from error
    except (strict_yaml.StrictYamlError, UnicodeDecodeError) as error:
        raise AccessFileError(f"{path}: {error}") from error
