"""What the bootstrap made or took over, so that what the files no longer name is found and removed.

Two things have to agree before anything is removed: the object is known here, and it still carries our mark. Whoever
takes the mark off (an attribute of the client, scope, role or group) makes the object their own.

- Client scopes and roles are read as a whole list with their attributes: the mark finds them.
- Clients are too many to read, because they register themselves, and groups may be: the ids of our clients and the
  names of our groups stand in a record, an attribute of the realm, written before the first of them is made. Client
  profiles and policies, and the texts of pages, have no attributes: the record is their mark.
- Demo users have an address at demo.example, a domain that is nobody's (RFC 2606): `users.py`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mcp_idp.cli.bootstrap.changes import Change, Json, field_diff

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

STATE_ATTRIBUTE = "mcp-bootstrap"  # of the realm
_KINDS = ("clients", "policies", "profiles", "messages", "groups")
MANAGED_MARKER: Json = {"kept.by": "bootstrap_idp"}


@dataclass(frozen=True, slots=True, kw_only=True)
class ManagedState:
    """Names of what cannot be found by its mark alone."""

    clients: frozenset[str] = frozenset()
    policies: frozenset[str] = frozenset()
    profiles: frozenset[str] = frozenset()
    messages: frozenset[str] = frozenset()
    groups: frozenset[str] = frozenset()

    @classmethod
    def of(cls, realm: Mapping[str, object]) -> ManagedState:
        """What the realm's attribute says; nothing if it is missing or not ours."""
        attributes = realm.get("attributes")
        text = attributes.get(STATE_ATTRIBUTE) if isinstance(attributes, dict) else None
        try:
            content = json.loads(str(text))
        except ValueError:
            return cls()
        names = content if isinstance(content, dict) else {}
        return cls(**{kind: _texts(names.get(kind)) for kind in _KINDS})

    def union(self, other: ManagedState) -> ManagedState:
        """What stands in either."""
        return ManagedState(
            clients=self.clients | other.clients,
            policies=self.policies | other.policies,
            profiles=self.profiles | other.profiles,
            messages=self.messages | other.messages,
            groups=self.groups | other.groups,
        )

    @property
    def names(self) -> dict[str, frozenset[str]]:
        """All of it by kind."""
        return {kind: getattr(self, kind) for kind in _KINDS}

    @property
    def text(self) -> str:
        """As it is written into the attribute."""
        return json.dumps({kind: sorted(names) for kind, names in self.names.items()}, separators=(",", ":"))


def is_managed(found: Mapping[str, object]) -> bool:
    """Whether an object (a representation of the admin API) still carries our mark."""
    attributes = found.get("attributes")
    if not isinstance(attributes, dict):
        return False
    # An attribute of a role or group is a list, one of a client or scope a text.
    return all(attributes.get(name) in (value, [value]) for name, value in MANAGED_MARKER.items())


def record_changes(realm: Mapping[str, object], desired: ManagedState) -> Iterator[Change]:
    """Before anything is made: what is about to be ours, together with what is ours already."""
    yield from _write(realm, ManagedState.of(realm), ManagedState.of(realm).union(desired), "record")


def forget_changes(realm: Mapping[str, object], desired: ManagedState) -> Iterator[Change]:
    """After the removals: what is no longer ours."""
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
