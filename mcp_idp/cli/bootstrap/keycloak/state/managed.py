"""Records which objects each MCP server of the realm owns, so that an apply changes and removes no other server's.

An object is removed only if the record names it for the server and it still has the server's marker, an attribute of
the client, scope, role or group. An administrator who deletes the attribute takes the object out of the bootstrap's
control.

- One attribute of the realm holds all records: one for each resource (the server's public URL) and one of what belongs
  to the realm itself, which one resource owns. It is written before the first of the objects is created.
- Clients are too many to search, because they register themselves, and groups may be too many. Client profiles, client
  policies, localization texts and demo users have no marker; for them the record alone counts.

Earlier releases wrote one record for the whole realm and the same marker on every object: `ownership.py` reads those.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any, Self, TypeVar

from mcp_idp.cli.bootstrap.changes import Change, Json, field_diff
from mcp_idp.util.urls import is_http_url

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from mcp_idp.cli.bootstrap.changes import FieldDiff

STATE_ATTRIBUTE = "mcp-bootstrap"  # an attribute of the realm
MARKER = "kept.by"
FORMER_OWNER = "bootstrap_idp"  # the marker's value on objects of earlier releases, and on objects without a resource
MANAGED_MARKER: Json = {MARKER: FORMER_OWNER}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Record:
    """Names by kind, compared and combined kind by kind."""

    @property
    def names(self) -> dict[str, frozenset[str]]:
        """The names by kind."""
        found = {kind.name: getattr(self, kind.name) for kind in fields(self)}
        return {kind: value for kind, value in found.items() if isinstance(value, frozenset)}

    def union(self, other: Self) -> Self:
        """Returns the union with another record; what is not a set of names is that of `other`."""
        return replace(other, **{kind: self.names[kind] | names for kind, names in other.names.items()})


@dataclass(frozen=True, slots=True, kw_only=True)
class ManagedState(_Record):
    """What one resource owns, by name.

    Attributes:
        clients: client ids.
        scopes: names of client scopes that clients may request.
        upstream_scopes: names of client scopes that only the MCP server's own client may request.
        roles: names of realm roles that grant one of the scopes.
        groups: names of top-level groups.
        users: names of demo users.
        base_scope: the scope that every request requires; empty if unknown.
    """

    clients: frozenset[str] = frozenset()
    scopes: frozenset[str] = frozenset()
    upstream_scopes: frozenset[str] = frozenset()
    roles: frozenset[str] = frozenset()
    groups: frozenset[str] = frozenset()
    users: frozenset[str] = frozenset()
    base_scope: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RealmRecord(_Record):
    """What belongs to the realm itself.

    Attributes:
        owner: the resource that owns the realm's settings; empty if none does.
        policies: names of client policies.
        profiles: names of client profiles.
        messages: localization texts, as "language/key".
        grants: grant types that the owner opened for all clients.
    """

    owner: str = ""
    policies: frozenset[str] = frozenset()
    profiles: frozenset[str] = frozenset()
    messages: frozenset[str] = frozenset()
    grants: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Records:
    """The records of a realm.

    Attributes:
        realm: what belongs to the realm itself.
        resources: what each resource owns, by its URL.
        former: the names in the single record of an earlier release, by kind; empty in a record of this release.
    """

    realm: RealmRecord = field(default_factory=RealmRecord)
    resources: Mapping[str, ManagedState] = field(default_factory=dict)
    former: Mapping[str, frozenset[str]] = field(default_factory=dict)

    @classmethod
    def of(cls, realm: Mapping[str, object]) -> Records:
        """Parses the realm's attribute; the result is empty if the attribute is missing or invalid."""
        content = _content(realm)
        resources = content.get("resources")
        if not isinstance(resources, dict):
            former = {kind: _texts(value) for kind, value in content.items()}
            return cls(realm=_parse(RealmRecord(), content), former=former)
        return cls(
            realm=_parse(RealmRecord(), content.get("realm")),
            resources={url: _parse(ManagedState(), record) for url, record in resources.items()},
        )

    @property
    def text(self) -> str:
        """The attribute's value: JSON with sorted members and lists, so equal records give equal text."""
        resources = {url: _plain(record) for url, record in self.resources.items()}
        content = {"version": 2, "realm": _plain(self.realm), "resources": resources}
        return json.dumps(content, separators=(",", ":"), sort_keys=True)

    def with_resource(self, resource: str, record: ManagedState) -> Records:
        """Returns the records with that of one resource replaced."""
        return replace(self, resources={**self.resources, resource: record})

    def without_resource(self, resource: str) -> Records:
        """Returns the records without that of one resource; if it owned the realm's settings, nobody does."""
        realm = replace(self.realm, owner="") if self.realm.owner == resource else self.realm
        return replace(self, realm=realm, resources={u: r for u, r in self.resources.items() if u != resource})


def marks_of(found: Mapping[str, object]) -> frozenset[str]:
    """Returns the owners that an object's marker names: resources, or `FORMER_OWNER`; other values do not count.

    Attributes of roles and groups are lists of strings, those of clients and scopes are strings.
    """
    attributes = found.get("attributes")
    value = attributes.get(MARKER) if isinstance(attributes, dict) else None
    values = value if isinstance(value, list) else [value]
    texts = [mark for mark in values if isinstance(mark, str)]
    return frozenset(mark for mark in texts if mark == FORMER_OWNER or is_http_url(mark))


def is_managed(found: Mapping[str, object]) -> bool:
    """Checks whether an object (a representation of the admin API) has a managed marker of any owner."""
    return bool(marks_of(found))


def recorded_text(realm: Mapping[str, object]) -> str:
    """Returns the value of the realm's attribute with the records; empty if it is missing."""
    return str(_attributes(realm).get(STATE_ATTRIBUTE, ""))


def record_change(
    realm: Mapping[str, object], current: str, before: Records, after: Records, action: str
) -> Iterator[Change]:
    """Yields the change, if any, that writes the records.

    Args:
        realm: the realm's representation.
        current: the attribute's value before this change.
        before: the records in it, for output.
        after: the records to write.
        action: what the change does, for output.
    """
    if after.text != current:
        # A write replaces all attributes of the realm.
        body = {"attributes": {**_attributes(realm), STATE_ATTRIBUTE: after.text}}
        what = f"{action} which objects are kept from here"
        yield Change("realm", what, "PUT", (), body, fields=tuple(_differences(before, after)))


def _differences(before: Records, after: Records) -> Iterator[FieldDiff]:
    if before.former:
        yield field_diff("record", "of an earlier release", "by resource")
    yield from _record_differences(before.realm, after.realm, "")
    if before.realm.owner != after.realm.owner:
        yield field_diff("record of the owner", before.realm.owner or None, after.realm.owner or None)
    urls = sorted({*before.resources, *after.resources})
    for url in urls:
        old, new = before.resources.get(url, ManagedState()), after.resources.get(url, ManagedState())
        yield from _record_differences(old, new, f" of {url}" if len(urls) > 1 else "")


def _record_differences(old: _Record, new: _Record, suffix: str) -> Iterator[FieldDiff]:
    for kind, names in new.names.items():
        if old.names[kind] != names:
            label = f"record of {kind.replace('_', ' ')}{suffix}"
            yield field_diff(label, sorted(old.names[kind]) or None, sorted(names))


def _attributes(realm: Mapping[str, object]) -> dict[str, object]:
    attributes = realm.get("attributes")
    return attributes if isinstance(attributes, dict) else {}


def _content(realm: Mapping[str, object]) -> dict[str, object]:
    try:
        content = json.loads(str(_attributes(realm).get(STATE_ATTRIBUTE)))
    except ValueError:
        return {}
    return content if isinstance(content, dict) else {}


_Kind = TypeVar("_Kind", ManagedState, RealmRecord)


def _parse(empty: _Kind, value: object) -> _Kind:
    """Parses a record; unknown members and values of the wrong type are dropped."""
    members = value if isinstance(value, dict) else {}
    known: dict[str, Any] = {kind: _texts(members.get(kind)) for kind in empty.names}
    for name in ("owner", "base_scope"):
        if hasattr(empty, name) and isinstance(members.get(name), str):
            known[name] = members[name]
    return replace(empty, **known)


def _plain(record: _Record) -> dict[str, object]:
    values = {kind.name: getattr(record, kind.name) for kind in fields(record)}
    return {name: sorted(value) if isinstance(value, frozenset) else value for name, value in values.items() if value}


def _texts(value: object) -> frozenset[str]:
    return frozenset(text for text in value if isinstance(text, str)) if isinstance(value, list) else frozenset()
