"""`access.yaml`, typed: the one parser, for the server and the bootstrap alike.

`load_access(path)` returns a consistent `AccessPolicy`: every scope that is named exists, the hierarchy has
no cycle, every scope implies the base scope. Whatever is wrong is said in one `AccessFileError` line with the place.

What must fit together in `access.yaml`: each check says, in one line, the place and what to write.
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
)
from mcp_idp.util import strict_yaml

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

_USER_NAME = re.compile(r"^[a-z0-9._-]{3,60}$")  # Keycloak wants three characters and lower-cases them


def validate_policy(access: AccessPolicy) -> None:
    """Let through a file whose parts fit together.

    Raises:
        ValueError: they do not; the text has the place, and what to change.
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
    """Where the file names scopes, and which."""
    yield "base_scope", [access.base_scope]
    yield "login_scopes", access.login_scopes
    yield "introspect_for", access.introspect_for
    yield from ((f"tools.{tool}", scopes) for tool, scopes in access.tools.items())
    yield from ((f"scopes.{name}.implies", scope.implies) for name, scope in access.scopes.items())


def _named_roles(access: AccessPolicy) -> Iterator[tuple[str, Iterable[str]]]:
    """Where the file names roles that have to bring a scope, and which."""
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
    """Else a login of whoever holds the broader role could not bring the narrower scope by its name."""
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
    """Else a login here would bring what is meant for there."""
    seen = dict.fromkeys(access.scopes, "scopes")
    for audience, api in access.upstreams.items():
        where = f"upstreams.{audience}"
        for name in api.scopes:
            if seen.setdefault(name, where) != where:
                raise ValueError(f"{where}.scopes.{name}: the name is already used in {seen[name]}")


class AccessFileError(ValueError):
    """The file cannot be used; the text says where and what to change."""


class AccessPolicy(StrictModel):
    """The whole file.

    Attributes:
        scope_prefix: what the provider puts before the names of scopes, where it does (Entra ID, Cognito).
        tools: the scopes that a call of a tool needs, for tools that do not say so themselves; see `lists_tools`.
        groups: the roles that a group of the provider stands for. Empty, a group is the role of its own name.
        claims: those of a token that tools may read, besides what every principal has.
        upstreams: the APIs for which this server may exchange its callers' tokens, by their audience.
        machine_clients: by client id; their tokens of the first issuer need no person.
    """

    version: Literal[1]
    resource: ProtectedResource
    base_scope: ScopeName
    scopes: dict[ScopeName, ScopeDefinition]
    login_scopes: tuple[ScopeName, ...] = ()
    scope_prefix: ScopeName | Literal[""] = ""
    introspect_for: tuple[ScopeName, ...] = ()
    tools: dict[str, tuple[ScopeName, ...]] = Field(default_factory=dict)
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
        if not self.login_scopes:  # frozen for everyone else; this is still construction
            chosen = tuple(name for name, scope in self.scopes.items() if not scope.privileged)
            object.__setattr__(self, "login_scopes", chosen)
        return self

    @property
    def lists_tools(self) -> bool:
        """Whether the file has `tools`: a tool that is neither there nor registered with `@tool` is then refused."""
        return "tools" in self.model_fields_set

    def transitive_scopes(self, name: str, path: tuple[str, ...] = ()) -> frozenset[str]:
        """All scopes that `name` implies, itself included.

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
        """For each scope, all that a token with it is good for (itself included)."""
        return {name: self.transitive_scopes(name) for name in self.scopes}

    @cached_property
    def roles(self) -> tuple[str, ...]:
        """Every role that brings a scope, here or at an upstream, in the file's order."""
        return tuple(dict.fromkeys(role for roles in self.roles_by_scope.values() for role in roles))

    @cached_property
    def roles_by_scope(self) -> Mapping[str, tuple[str, ...]]:
        """For each scope, those of upstreams included, the roles that bring it."""
        there = {name: scope.roles for api in self.upstreams.values() for name, scope in api.scopes.items()}
        return {name: scope.roles for name, scope in self.scopes.items()} | there

    def with_scope_prefix(self, names: Iterable[str]) -> list[str]:
        """Scopes as clients have to ask the provider for them."""
        return [self.scope_prefix + name for name in names]

    def effective_scopes(self, granted: Iterable[str]) -> frozenset[str]:
        """What a token with the `granted` scopes is good for. A scope the file does not know counts for nothing."""
        implied = self.effective_scopes_by_scope
        return frozenset().union(*(implied[name] for name in granted if name in implied))

    def roles_for_groups(self, groups: Iterable[str]) -> frozenset[str]:
        """The roles that `groups` stand for: those of the file's `groups`, or, where it has none, of the same names.

        Once groups are named here, no other counts: some providers let anybody make a group, of any name.
        """
        return (
            frozenset(role for group in groups for role in self.groups.get(group, ()))
            if self.groups
            else frozenset(groups)
        )

    def roles_of_demo_user(self, user: DemoUser) -> tuple[str, ...]:
        """The roles of a demo user, those of its groups after its own."""
        by_groups = (role for group in user.groups for role in self.groups[group])
        return tuple(dict.fromkeys((*user.roles, *by_groups)))

    def groups_granting(self, roles: Iterable[str]) -> tuple[str, ...]:
        """The groups that stand for one of `roles`."""
        required = frozenset(roles)
        return tuple(group for group, granted in self.groups.items() if not required.isdisjoint(granted))

    def scopes_granted_by(self, roles: frozenset[str]) -> frozenset[str]:
        """Every scope that one of `roles` brings."""
        return frozenset(name for name, scope in self.scopes.items() if not roles.isdisjoint(scope.roles))


def load_access(path: Path) -> AccessPolicy:
    """Read and check the file at `path`.

    Raises:
        AccessFileError: it is missing, is not YAML or does not fit; the text names the file and what to change.
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
