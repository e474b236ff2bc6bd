"""Records which objects the bootstrap manages, so that objects that the files no longer name can be found and removed.

An object is removed only if it is known here and still has the managed marker, an attribute of the client, scope, role
or group. An administrator who deletes the attribute takes the object out of the bootstrap's control.

- Client scopes and roles are read as complete lists with their attributes: the marker finds them.
- Clients are too many to read, because they register themselves, and groups may be too many. The ids of managed clients
  and the names of managed groups are recorded in an attribute of the realm, written before the first of them is
  created. Client profiles, client policies and localization texts have no attributes; for them the record alone counts.
- Demo users have an address at demo.example, a reserved domain (RFC 2606): see `resources/users.py`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mcp_idp.cli.bootstrap.changes import Change, Json, field_diff

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

STATE_ATTRIBUTE = "mcp-bootstrap"  # an attribute of the realm
_KINDS = ("clients", "policies", "profiles", "messages", "groups")
MANAGED_MARKER: Json = {"kept.by": "bootstrap_idp"}


@dataclass(frozen=True, slots=True, kw_only=True)
class ManagedState:
    """The names of managed objects that the managed marker alone cannot find.

    Attributes:
        clients: client ids.
        policies: names of client policies.
        profiles: names of client profiles.
        messages: localization texts, as "language/key".
        groups: names of top-level groups.
    """

    clients: frozenset[str] = frozenset()
    policies: frozenset[str] = frozenset()
    profiles: frozenset[str] = frozenset()
    messages: frozenset[str] = frozenset()
    groups: frozenset[str] = frozenset()

    @classmethod
    def of(cls, realm: Mapping[str, object]) -> ManagedState:
        """Parses the realm's attribute; the result is empty if the attribute is missing or invalid."""
        attributes = realm.get("attributes")
        text = attributes.get(STATE_ATTRIBUTE) if isinstance(attributes, dict) else None
        try:
            content = json.loads(str(text))
        except ValueError:
            return cls()
        names = content if isinstance(content, dict) else {}
        return cls(**{kind: _texts(names.get(kind)) for kind in _KINDS})

    def union(self, other: ManagedState) -> ManagedState:
        """Returns the union with another managed state, kind by kind."""
        return ManagedState(
            clients=self.clients | other.clients,
            policies=self.policies | other.policies,
            profiles=self.profiles | other.profiles,
            messages=self.messages | other.messages,
            groups=self.groups | other.groups,
        )

    @property
    def names(self) -> dict[str, frozenset[str]]:
        """The names by kind: "clients", "policies", "profiles", "messages" and "groups"."""
        return {kind: getattr(self, kind) for kind in _KINDS}

    @property
    def text(self) -> str:
        """The attribute's value: JSON with sorted lists, so equal states give equal text."""
        return json.dumps({kind: sorted(names) for kind, names in self.names.items()}, separators=(",", ":"))


def is_managed(found: Mapping[str, object]) -> bool:
    """Checks whether an object (a representation of the admin API) has the managed marker."""
    attributes = found.get("attributes")
    if not isinstance(attributes, dict):
        return False
    # Attributes of roles and groups are lists of strings, those of clients and scopes are strings.
    return all(attributes.get(name) in (value, [value]) for name, value in MANAGED_MARKER.items())


def record_changes(realm: Mapping[str, object], desired: ManagedState) -> Iterator[Change]:
    """Yields the change, if any, that records the desired objects in addition to those already recorded.

    It is written before any of them is created.
    """
    yield from _write(realm, ManagedState.of(realm), ManagedState.of(realm).union(desired), "record")


def forget_changes(realm: Mapping[str, object], desired: ManagedState) -> Iterator[Change]:
    """Yields the change, if any, that reduces the record to the desired objects.

    It is written after the removals.
    """
    yield from _write(realm, ManagedState.of(realm).union(desired), desired, "forget")


def _write(realm: Mapping[str, object], before: ManagedState, after: ManagedState, action: str) -> Iterator[Change]:
    if before == after:
        return
    attributes = realm.get("attributes")
    # A write replaces all attributes of the realm.
    body = {"attributes": {**(attributes if isinstance(attributes, dict) else {}), STATE_ATTRIBUTE: after.text}}
    fields = tuple(
        field_diff(f"record of {kind}", sorted(before.names[kind]) or None, sorted(after.names[kind]))
        for kind in _KINDS
        if before.names[kind] != after.names[kind]
    )
    yield Change("realm", f"{action} which objects are kept from here", "PUT", (), body, fields=fields)


def _texts(value: object) -> frozenset[str]:
    return frozenset(text for text in value if isinstance(text, str)) if isinstance(value, list) else frozenset()
