"""Who owns the realm's settings, and what an apply records; rejects what another resource owns.

The owner of the realm's settings is the resource that was applied first, or the one that an access file names as
`realm.owner`. It passes them on by naming another resource there; nobody can take them.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from mcp_idp.cli.bootstrap.changes import Change, field_diffs
from mcp_idp.cli.bootstrap.errors import ConfigError
from mcp_idp.cli.bootstrap.keycloak.resources.client_policies import without_grants
from mcp_idp.cli.bootstrap.keycloak.resources.realm import enable_changes, key_changes, message_changes, realm_changes
from mcp_idp.cli.bootstrap.keycloak.resources.registration_policies import desired_policies, policy_differences
from mcp_idp.cli.bootstrap.keycloak.resources.service_clients import CLIENT_CREDENTIALS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mcp_idp.cli.bootstrap.keycloak.desired import DesiredState
    from mcp_idp.cli.bootstrap.keycloak.state.current import CurrentState
    from mcp_idp.cli.bootstrap.keycloak.state.managed import Records
    from mcp_idp.cli.bootstrap.keycloak.state.ownership import Ownership


def realm_owner(desired: DesiredState, ownership: Ownership) -> str:
    """Returns the resource that owns the realm's settings after this run; possibly one that was never applied."""
    recorded, named = ownership.records.realm.owner, desired.access.realm.owner
    if recorded in {"", desired.resource}:
        return named or desired.resource
    return recorded


def owns_realm(desired: DesiredState, ownership: Ownership) -> bool:
    """Checks whether the desired state's resource owns the realm's settings."""
    return realm_owner(desired, ownership) == desired.resource


def require_realm_owner(desired: DesiredState, ownership: Ownership) -> None:
    """Rejects a run that would take the realm's settings from their owner, or leave them to nobody.

    Raises:
        ConfigError: the access file and the realm name different owners, the owner was not applied yet, or the access
            file requires a grant that the owner keeps closed.
    """
    resource, recorded, named = desired.resource, ownership.records.realm.owner, desired.access.realm.owner
    if recorded not in {"", resource} and named == resource:
        raise ConfigError(
            f"realm.owner: {recorded} owns the settings of this realm: write realm.owner: {resource} into the access "
            "file of that server and apply it first"
        )
    owner = realm_owner(desired, ownership)
    if owner not in {resource, *ownership.others}:
        raise ConfigError(f"realm.owner: {owner} has not been applied to this realm yet: apply it first")
    if owner == resource:
        return
    if desired.access.machine_clients and CLIENT_CREDENTIALS not in ownership.records.realm.grants:
        raise ConfigError(
            f"machine_clients: the realm rejects the grant {CLIENT_CREDENTIALS}: {owner} owns the realm's settings: "
            f"write realm.grants: [{CLIENT_CREDENTIALS}] into the access file of that server and apply it first"
        )
    if desired.access.upstreams:
        raise ConfigError(
            f"upstreams: only {owner} can exchange tokens in this realm, because it owns the realm's settings"
        )


def require_no_clash(desired: DesiredState, ownership: Ownership, actual: CurrentState) -> None:
    """Rejects an access file with a scope, client id or role of another resource.

    Raises:
        ConfigError: another resource owns an object of the same name; or the resource moved from a URL that the realm
            does not know.
    """
    _require_known_url(desired.moved_from, ownership)
    state = desired.managed_state
    named = {
        "scopes": ("scope", state.scopes | state.upstream_scopes, actual.scopes),
        "clients": ("client", state.clients, {}),
        "roles": ("role", state.roles, actual.roles),
    }
    for kind, (noun, names, there) in named.items():
        for name in sorted(names):
            owner = ownership.other_owner(kind, name) or ownership.marked_owner(kind, name, there.get(name, {}))
            if owner is not None:
                raise ConfigError(
                    f"{noun} {name}: belongs to {owner} in this realm: use another name, or, if that is this server's "
                    f"former URL, run apply --moved-from {owner}"
                )


def _require_known_url(moved_from: str, ownership: Ownership) -> None:
    if moved_from and moved_from not in ownership.read.resources and ownership.resource not in ownership.read.resources:
        known = ", ".join(sorted(ownership.read.resources)) or "none"
        raise ConfigError(f"--moved-from {moved_from}: the realm has no such resource; it has {known}")


def recorded_first(desired: DesiredState, ownership: Ownership) -> Records:
    """Returns the records to write before the first change: the desired objects in addition to those recorded."""
    records = ownership.records
    realm = replace(records.realm, owner=realm_owner(desired, ownership))
    if owns_realm(desired, ownership):
        realm = records.realm.union(desired.realm_record)
    own = ownership.own.union(desired.managed_state)
    return replace(records, realm=realm, former={}).with_resource(desired.resource, own)


def recorded_last(desired: DesiredState, ownership: Ownership, *, users_known: bool) -> Records:
    """Returns the records to write after the removals: the desired objects alone.

    Users that could not be read were not removed, and stay recorded.
    """
    records = recorded_first(desired, ownership)
    realm = desired.realm_record if owns_realm(desired, ownership) else records.realm
    state = desired.managed_state
    if not users_known:
        state = replace(state, users=state.users | ownership.own.users)
    return replace(records, realm=realm).with_resource(desired.resource, state)


def realm_differences(desired: DesiredState, ownership: Ownership, actual: CurrentState) -> Iterator[Change]:
    """Yields how the realm's settings differ from the files of a resource that does not own them.

    The changes are for output; nothing writes them. The realm's display name is the owner's. Grants that the owner
    opened are no difference, as far as its record says so.
    """
    owner = ownership.records.realm.owner
    if owns_realm(desired, ownership) or not actual.realm:
        return
    policies = desired_policies(desired.access, desired.realm_file.client_uri_hosts)
    found = [
        *key_changes(desired.realm_file.signing_keys, actual),
        *realm_changes(desired.realm_file.realm, actual),
        *enable_changes(actual),
        *message_changes(desired.realm_file.messages, actual),
        *_client_policy_differences(desired, ownership, actual),
        *policy_differences(policies, actual),
    ]
    yield from (replace(change, owner=owner) for change in found)


def _client_policy_differences(desired: DesiredState, ownership: Ownership, actual: CurrentState) -> Iterator[Change]:
    client_policies, grants = desired.client_policies, ownership.records.realm.grants
    kinds = {
        "profiles": (client_policies.profiles, actual.client_profiles),
        "policies": ([without_grants(policy, grants) for policy in client_policies.policies], actual.client_policies),
    }
    for kind, (entries, there) in kinds.items():
        before = {entry["name"]: entry for entry in there}
        wrong = [entry for entry in entries if entry != before.get(entry["name"])]
        fields = [
            field
            for entry in wrong
            for field in field_diffs({entry["name"]: entry}, {entry["name"]: before.get(entry["name"])})
        ]
        if fields:
            names = ", ".join(entry["name"] for entry in wrong)
            yield Change(f"client {kind}", f"set {names}", "PUT", ("client-policies", kind), fields=tuple(fields))
