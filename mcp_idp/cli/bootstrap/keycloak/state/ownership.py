"""Whose each object of a realm is: one resource's, another one's, or the realm's own."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

from mcp_idp.cli.bootstrap.errors import ConfigError
from mcp_idp.cli.bootstrap.keycloak.lookups import carries_audience
from mcp_idp.cli.bootstrap.keycloak.state.managed import FORMER_OWNER, ManagedState, Records, marks_of
from mcp_idp.util.urls import is_http_url

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from mcp_idp.cli.bootstrap.keycloak.lookups import Object
    from mcp_idp.cli.bootstrap.keycloak.state.current import CurrentState

RESOURCE_URL = "resource_url"  # client attribute that only an MCP server's own client has
ROLES_MAPPER = "roles for this resource"  # the mapper that only a base scope has


@dataclass(frozen=True, kw_only=True)
class Ownership:
    """The realm's records as one resource sees them.

    Attributes:
        resource: the URL of the resource.
        records: the records of the realm.
        read: the records before that of `moved_from` was renamed.
        moved_from: the former URL of the resource; empty if it did not move.
    """

    resource: str
    records: Records
    read: Records
    moved_from: str = ""

    @classmethod
    def of(cls, actual: CurrentState, resource: str, moved_from: str = "") -> Ownership:
        """Returns the ownership in a realm.

        Args:
            actual: the current state of the realm.
            resource: the URL of the resource.
            moved_from: the former URL of the resource, whose record becomes that of `resource`; empty if it did not
                move.

        Raises:
            ConfigError: it cannot be said whose the record of an earlier release is.
        """
        records = _converted(actual, resource, moved_from)
        renamed = _renamed(records, moved_from, resource)
        return cls(resource=resource, records=renamed, read=records, moved_from=moved_from)

    @cached_property
    def own(self) -> ManagedState:
        """What the resource owns."""
        return self.records.resources.get(self.resource, ManagedState())

    @cached_property
    def others(self) -> Mapping[str, ManagedState]:
        """What the other resources own."""
        return {url: record for url, record in self.records.resources.items() if url != self.resource}

    @property
    def recorded_clients(self) -> frozenset[str]:
        """The client ids that any resource owns."""
        return frozenset().union(*(record.clients for record in self.records.resources.values()))

    def other_owner(self, kind: str, name: str) -> str | None:
        """Returns another resource that owns the object of this kind and name, or None.

        Args:
            kind: "clients", "scopes", "roles", "groups" or "users"; "scopes" includes the scopes of upstreams.
            name: the object's name.
        """
        return next((url for url, record in sorted(self.others.items()) if name in _names(record, kind)), None)

    def is_ours(self, kind: str, name: str, found: Mapping[str, object]) -> bool:
        """Checks whether an object may be changed and removed for this resource.

        No other resource may own it, and it must have a marker: that of this resource, or, if the record names the
        object, that of an earlier release or of the resource's former URL.
        """
        marks = marks_of(found)
        if not marks or self.other_owner(kind, name) is not None:
            return False
        return self.resource in marks or (name in _names(self.own, kind) and not marks & self.others.keys())

    def other_marks(self, found: Mapping[str, object]) -> frozenset[str]:
        """Returns the other resources that an object's marker names; they need not have been applied yet."""
        return marks_of(found) - {self.resource, self.moved_from, FORMER_OWNER}

    def marked_owner(self, kind: str, name: str, found: Mapping[str, object]) -> str | None:
        """Returns another resource whose marker a scope or role has, or None.

        Only administrators can create these, so the marker counts even if the record was lost. A client can set its
        own attributes at Keycloak's registration endpoints (weakness S2).
        """
        if self.is_ours(kind, name, found):
            return None
        return min(self.other_marks(found), default=None)


def _names(record: ManagedState, kind: str) -> frozenset[str]:
    return record.scopes | record.upstream_scopes if kind == "scopes" else record.names[kind]


def _renamed(records: Records, former: str, resource: str) -> Records:
    if not former or former == resource or former not in records.resources:
        return records
    moved = records.resources[former].union(records.resources.get(resource, ManagedState()))
    rest = {url: record for url, record in records.resources.items() if url != former}
    owner = resource if records.realm.owner == former else records.realm.owner
    return replace(
        records,
        realm=replace(records.realm, owner=owner),
        resources={**rest, resource: replace(moved, base_scope=records.resources[former].base_scope)},
    )


def _converted(actual: CurrentState, resource: str, moved_from: str) -> Records:
    """Returns the records; that of an earlier release becomes the record of the resource whose client it lists."""
    records = Records.of(actual.realm)
    if not records.former:
        return records
    owner = _former_resource(actual, records.former.get("clients", frozenset()), (resource, moved_from))
    return Records(
        realm=replace(records.realm, owner=owner),
        resources={owner: _former_record(actual, records.former, owner)},
        former=records.former,
    )


def _former_resource(actual: CurrentState, clients: Iterable[str], ours: tuple[str, str]) -> str:
    """Returns the resource of an earlier release's record: ours if the record lists it, or no resource at all."""
    listed = [url for url in ours if url in clients]
    if listed:
        return listed[0]
    urls = [
        name
        for name in sorted(clients)
        if is_http_url(name)
        and (name not in actual.clients or (actual.clients[name].get("attributes") or {}).get(RESOURCE_URL) == name)
    ]
    if len(urls) > 1:
        raise ConfigError(
            f"the realm's record is of an earlier release and names {', '.join(urls)}: run apply for the server that "
            "was there first, then for this one"
        )
    return urls[0] if urls else ours[0]


def _former_record(actual: CurrentState, former: Mapping[str, frozenset[str]], owner: str) -> ManagedState:
    marked = {name: found for name, found in actual.scopes.items() if FORMER_OWNER in marks_of(found)}
    own = {name: found for name, found in marked.items() if carries_audience(found, owner)}
    bases = [name for name, found in own.items() if ROLES_MAPPER in _mapper_names(found)]
    return ManagedState(
        clients=former.get("clients", frozenset()),
        scopes=frozenset(own),
        upstream_scopes=frozenset(marked) - frozenset(own),
        roles=frozenset(name for name, found in actual.roles.items() if FORMER_OWNER in marks_of(found)),
        groups=former.get("groups", frozenset()),
        users=frozenset(actual.demo_users),
        base_scope=min(bases, default=""),
    )


def _mapper_names(found: Object) -> set[str]:
    return {str(mapper.get("name")) for mapper in found.get("protocolMappers") or []}
