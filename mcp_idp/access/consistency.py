"""Finds contradictions between the blocks of `access.yaml`.

The functions read the parsed YAML, not the validated models, and treat a malformed part as absent. A file with schema
errors can therefore be checked as well, so that all problems of a file are reported at once.
"""

from __future__ import annotations

import re
from functools import cached_property
from typing import TYPE_CHECKING, Any

from mcp_idp.access.diagnostics import Problem, suggest

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

_USER_NAME = re.compile(r"^[a-z0-9._-]{3,60}$")  # Keycloak requires three characters and lower-cases them
_DEFAULT_ROLES_CLAIM = "mcp_roles"
_Reference = tuple[tuple[str, ...], "Sequence[str]"]  # a place in the file, and the names that it references


class _Content:
    """The content of an access file: parts that are malformed read as empty."""

    def __init__(self, data: object) -> None:
        self._data = _mapping(data)

    def block(self, name: str) -> dict[str, dict[str, Any]]:
        """Returns the entries of a block that maps names to mappings."""
        return {str(key): _mapping(value) for key, value in self.mapping(name).items()}

    def mapping(self, name: str) -> dict[Any, Any]:
        return _mapping(self._data.get(name))

    def strings(self, name: str) -> list[str]:
        return _strings(self._data.get(name))

    def string(self, name: str, default: str = "") -> str:
        value = self._data.get(name, default)
        return value if isinstance(value, str) else default

    @cached_property
    def scopes(self) -> dict[str, dict[str, Any]]:
        return self.block("scopes")

    @cached_property
    def scope_roles(self) -> dict[str, list[str]]:
        """The roles of each scope of this server and of the downstream APIs. Malformed lists are empty."""
        entries = dict(self.scopes)
        for api in self.block("upstreams").values():
            entries |= {str(name): _mapping(scope) for name, scope in _mapping(api.get("scopes")).items()}
        return {name: _strings(scope.get("roles")) for name, scope in entries.items()}

    @cached_property
    def roles(self) -> dict[str, None]:
        """Every role that grants a scope, in the order of the file."""
        return dict.fromkeys(role for roles in self.scope_roles.values() for role in roles)

    def implied(self, name: str) -> frozenset[str] | None:
        """Returns the scopes that `name` implies, itself included; None if that is unknown or circular."""
        found: set[str] = set()
        pending = [name]
        while pending:
            scope = self.scopes.get(current := pending.pop())
            narrower = None if scope is None else scope.get("implies", [])
            if not isinstance(narrower, list | tuple) or name in narrower:
                return None
            found.add(current)
            pending += [each for each in _strings(narrower) if each not in found]
        return frozenset(found)


def find_contradictions(data: object) -> Iterator[Problem]:
    """Yields the contradictions between the blocks of an access file.

    Args:
        data: the parsed YAML document, valid or not.
    """
    content = _Content(data)
    yield from _unknown_scopes(content)
    yield from _circular_scopes(content)
    yield from _base_scope_not_implied(content)
    yield from _incomplete_role_hierarchy(content)
    yield from _unknown_roles(content)
    yield from _unknown_groups(content)
    yield from _repeated_client_ids(content)
    yield from _repeated_scope_names(content)
    claim = content.string("roles_claim", _DEFAULT_ROLES_CLAIM)
    if claim in content.strings("claims"):
        yield Problem(("claims",), f"'{claim}' is already in every principal as its roles: remove it")
    for user in content.block("demo_users"):
        if not _USER_NAME.match(user):
            yield Problem(("demo_users", user), "use 3 to 60 characters of a-z, 0-9, '.', '_', '-'")


def _unknown_scopes(content: _Content) -> Iterator[Problem]:
    references: list[_Reference] = [(("base_scope",), [content.string("base_scope")])]
    references += [((name,), content.strings(name)) for name in ("login_scopes", "introspect_for")]
    for block in ("tools", "prompts", "resources", "methods"):
        references += [((block, str(name)), _strings(scopes)) for name, scopes in content.mapping(block).items()]
    references += [(("scopes", name, "implies"), _strings(v.get("implies"))) for name, v in content.scopes.items()]
    for path, names in references:
        for name in names:
            if name and content.scopes and name not in content.scopes:
                yield Problem(path, f"'{name}' is not one of the scopes{suggest(name, content.scopes)}")


def _circular_scopes(content: _Content) -> Iterator[Problem]:
    """Yields each cycle of `implies` once, at the first of its scopes."""
    graph = {name: _strings(scope.get("implies")) for name, scope in content.scopes.items()}
    reported: set[str] = set()
    for name in graph:
        if name not in reported and (cycle := _cycle_through(name, graph)):
            reported |= set(cycle)
            yield Problem(("scopes", name, "implies"), f"is circular: {' > '.join(cycle)}")


def _cycle_through(name: str, graph: Mapping[str, Sequence[str]]) -> tuple[str, ...] | None:
    """Returns the scopes of a cycle that starts and ends with `name`, or None. Visits each scope once."""
    paths: list[tuple[str, ...]] = [(name,)]
    visited = {name}
    while paths:
        path = paths.pop()
        for narrower in graph.get(path[-1], ()):
            if narrower == name:
                return (*path, name)
            if narrower not in visited:
                visited.add(narrower)
                paths.append((*path, narrower))
    return None


def _base_scope_not_implied(content: _Content) -> Iterator[Problem]:
    """Yields a problem for each scope without the base scope, but not for those that imply such a scope."""
    base = content.string("base_scope")
    closures = {name: content.implied(name) for name in content.scopes} if base in content.scopes else {}
    without = {name for name, implied in closures.items() if implied is not None and base not in implied}
    for name in without:
        if not any(other in without for other in (closures[name] or ()) if other != name):
            yield Problem(("scopes", name, "implies"), f"must imply the base scope '{base}'")


def _incomplete_role_hierarchy(content: _Content) -> Iterator[Problem]:
    """Requires that every role that grants a scope also grants the scopes that it implies.

    Otherwise a user with that role could not obtain the narrower scope by requesting it by name.
    """
    missing: dict[tuple[str, str], str] = {}
    for broader in content.scopes:
        for narrower in sorted(content.implied(broader) or ()):
            granted = content.scope_roles[narrower]
            for role in sorted({*content.scope_roles[broader]} - {*granted} if granted else ()):
                missing.setdefault((narrower, role), broader)
    for (narrower, role), broader in missing.items():
        message = f"must have '{role}' too, which grants the broader scope '{broader}'"
        yield Problem(("scopes", narrower, "roles"), message)


def _unknown_roles(content: _Content) -> Iterator[Problem]:
    if not all(content.scope_roles.values()):
        return  # a scope whose roles are unknown may have any of them
    references: list[_Reference] = []
    references += [(("groups", str(group)), _strings(roles)) for group, roles in content.mapping("groups").items()]
    for block in ("machine_clients", "demo_users"):
        references += [((block, name, "roles"), _strings(v.get("roles"))) for name, v in content.block(block).items()]
    for path, names in references:
        for name in names:
            if name not in content.roles:
                yield Problem(path, f"'{name}' grants no scope{suggest(name, content.roles)}")


def _unknown_groups(content: _Content) -> Iterator[Problem]:
    groups = content.block("groups")
    for user, definition in content.block("demo_users").items():
        for name in _strings(definition.get("groups")):
            if name not in groups:
                known = suggest(name, groups) if groups else ""
                yield Problem(("demo_users", user, "groups"), f"'{name}' is not one of the groups{known}")


def _repeated_client_ids(content: _Content) -> Iterator[Problem]:
    clients, service_clients = content.block("clients"), content.block("machine_clients")
    for client_id in sorted(service_clients.keys() & clients.keys()):
        yield Problem(("machine_clients", client_id), "is also a login client: use another id")
    for audience in sorted(content.block("upstreams").keys() & (clients.keys() | service_clients.keys())):
        yield Problem(("upstreams", audience), "is also a login client: use another id")


def _repeated_scope_names(content: _Content) -> Iterator[Problem]:
    """Requires scope names to be unique across this server and the downstream APIs.

    Otherwise a login at this server would grant a scope that is meant for a downstream API.
    """
    seen = dict.fromkeys(content.scopes, "scopes")
    for audience, api in content.block("upstreams").items():
        where = f"upstreams.{audience}"
        for name in map(str, _mapping(api.get("scopes"))):
            if seen.setdefault(name, where) != where:
                yield Problem((*where.split(".", 1), "scopes", name), f"the name is already used in {seen[name]}")


def _mapping(value: object) -> dict[Any, Any]:
    return value if isinstance(value, dict) else {}


def _strings(value: object) -> list[str]:
    """Returns the strings of a list. A single string counts as a list of one, which people write by mistake."""
    if isinstance(value, str):
        return [value]
    return [entry for entry in value if isinstance(entry, str)] if isinstance(value, list | tuple) else []
