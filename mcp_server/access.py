"""`access.yaml`, typed: the one parser, for the server and the bootstrap alike.

`load_access(path)` gives an `Access` whose parts are consistent: every scope that is named exists, the hierarchy has
no cycle, every scope implies the base scope. Whatever is wrong is said in one `AccessFileError` line with the place.
"""

from __future__ import annotations

import re
from functools import cached_property
from typing import TYPE_CHECKING, Literal, Self

import yaml
from pydantic import Field, ValidationError, model_validator

from mcp_server.access_faults import meant, told
from mcp_server.access_parts import Client, DemoUser, Part, Registration, Resource, RoleName, Scope, ScopeName
from mcp_server.issuers import IssuerRules, Url

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Mapping
    from pathlib import Path

_USER_NAME = re.compile(r"^[a-z0-9._-]{3,60}$")  # Keycloak wants three characters and lower-cases them


class AccessFileError(ValueError):
    """The file cannot be used; the text says where and what to change."""


class Access(Part):
    """The whole file.

    Attributes:
        scope_prefix: what the provider puts before the names of scopes, where it does (Entra ID, Cognito).
        tools: the scopes that a call of a tool needs, for tools that do not say so themselves.
        groups: the roles that a group of the provider stands for. Empty, a group is the role of its own name.
    """

    version: Literal[1]
    resource: Resource
    base_scope: ScopeName
    scopes: dict[ScopeName, Scope]
    login_scopes: tuple[ScopeName, ...] = ()
    scope_prefix: ScopeName | Literal[""] = ""
    introspect_for: tuple[ScopeName, ...] = ()
    tools: dict[str, tuple[ScopeName, ...]] = Field(default_factory=dict)
    groups: dict[str, tuple[RoleName, ...]] = Field(default_factory=dict)
    issuers: dict[Url, IssuerRules] = Field(default_factory=dict)
    roles_claim: str = Field(default="mcp_roles", pattern=r"^[A-Za-z0-9_-]+$")
    registration: Registration
    clients: dict[str, Client] = Field(default_factory=dict)
    demo_users: dict[str, DemoUser] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        self._known([self.base_scope], "base_scope")
        self._known(self.login_scopes, "login_scopes")
        self._known(self.introspect_for, "introspect_for")
        for tool, needed in self.tools.items():
            self._known(needed, f"tools.{tool}")
        for name, scope in self.scopes.items():
            self._known(scope.implies, f"scopes.{name}.implies")
        self._every_scope_implies_the_base()
        self._broader_roles_bring_the_narrower()
        for group, roles in self.groups.items():
            self._known_roles(roles, f"groups.{group}")
        for user, person in self.demo_users.items():
            if not _USER_NAME.match(user):
                raise ValueError(f"demo_users.{user}: a user name is 3 to 60 of a-z, 0-9, '.', '_', '-'")
            self._known_roles(person.roles, f"demo_users.{user}.roles")
        if not self.login_scopes:
            # Frozen for everyone else; this is still construction.
            chosen = tuple(name for name, scope in self.scopes.items() if not scope.privileged)
            object.__setattr__(self, "login_scopes", chosen)
        return self

    def _known(self, names: Iterable[str], where: str) -> None:
        for name in names:
            if name not in self.scopes:
                raise ValueError(f"{where}: '{name}' is not one of the scopes{meant(name, self.scopes)}")

    def _every_scope_implies_the_base(self) -> None:
        for name in self.scopes:
            reached = self._reach(name)
            if name != self.base_scope and self.base_scope not in reached:
                raise ValueError(f"scopes.{name}.implies: must lead to the base scope '{self.base_scope}'")

    def _broader_roles_bring_the_narrower(self) -> None:
        """Else a login of whoever holds the broader role could not bring the narrower scope by its name."""
        for broader, scope in self.scopes.items():
            for narrower in sorted(self._reach(broader)):
                for role in sorted({*scope.roles} - {*self.scopes[narrower].roles}):
                    raise ValueError(
                        f"scopes.{narrower}.roles: must have '{role}' too, which brings the wider '{broader}'"
                    )

    def _known_roles(self, names: Iterable[str], where: str) -> None:
        for name in names:
            if name not in self.roles:
                raise ValueError(f"{where}: '{name}' brings no scope{meant(name, self.roles)}")

    def _reach(self, name: str, path: tuple[str, ...] = ()) -> frozenset[str]:
        """All scopes that `name` implies, itself included."""
        if name in path:
            raise ValueError(f"scopes.{name}.implies: goes round in a circle: {' > '.join((*path, name))}")
        reached = {name}
        for narrower in self.scopes[name].implies:
            reached |= self._reach(narrower, (*path, name))
        return frozenset(reached)

    @cached_property
    def implied(self) -> Mapping[str, frozenset[str]]:
        """For each scope, all that a token with it is good for (itself included)."""
        return {name: self._reach(name) for name in self.scopes}

    @cached_property
    def roles(self) -> tuple[str, ...]:
        """Every role that brings a scope, in the file's order."""
        return tuple(dict.fromkeys(role for scope in self.scopes.values() for role in scope.roles))

    def asked_as(self, names: Iterable[str]) -> list[str]:
        """Scopes as clients have to ask the provider for them."""
        return [self.scope_prefix + name for name in names]

    def expand(self, granted: Iterable[str]) -> frozenset[str]:
        """What a token with the `granted` scopes is good for. A scope the file does not know counts for nothing."""
        implied = self.implied
        return frozenset().union(*(implied[name] for name in granted if name in implied))

    def roles_of(self, groups: Iterable[str]) -> frozenset[str]:
        """The roles that `groups` stand for: those of the file's `groups`, or, where it has none, of the same names.

        Once groups are named here, no other counts: some providers let anybody make a group, of any name.
        """
        return (
            frozenset(role for group in groups for role in self.groups.get(group, ()))
            if self.groups
            else frozenset(groups)
        )

    def groups_with(self, roles: Iterable[str]) -> tuple[str, ...]:
        """The groups that stand for one of `roles`."""
        wanted = frozenset(roles)
        return tuple(group for group, held in self.groups.items() if not wanted.isdisjoint(held))

    def scopes_of(self, roles: frozenset[str]) -> frozenset[str]:
        """Every scope that one of `roles` brings."""
        return frozenset(name for name, scope in self.scopes.items() if not roles.isdisjoint(scope.roles))


class _Loader(yaml.SafeLoader):
    """YAML without repeated keys: the second would silently win."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, object]:  # noqa: FBT001, FBT002 - PyYAML's own signature
        seen: set[object] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if key in seen:
                raise AccessFileError(f"line {key_node.start_mark.line + 1}: '{key}' is there twice")
            seen.add(key)
        return super().construct_mapping(node, deep)


def load_access(path: Path) -> Access:
    """Read and check the file at `path`.

    Raises:
        AccessFileError: it is missing, is not YAML or does not fit; the text names the file and what to change.
    """
    text = ""
    try:
        text = path.read_text(encoding="utf-8")
        content = yaml.load(text, _Loader)  # noqa: S506 - _Loader is a SafeLoader
        return Access.model_validate(content)
    except OSError as error:
        raise AccessFileError(f"{path}: cannot be read ({error.strerror})") from error
    except ValidationError as error:
        raise AccessFileError(f"{path}: {told(error, Access, text)}") from error
    except (yaml.YAMLError, AccessFileError, UnicodeDecodeError) as error:
        fault = str(error).replace('in "<unicode string>", ', "at ")
        raise AccessFileError(f"{path}: {' '.join(fault.split())}") from error
