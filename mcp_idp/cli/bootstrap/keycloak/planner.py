"""Plans the changes that bring a realm to its desired state, and applies them in a safe order.

At no point during an apply is the realm more permissive than it was before or will be afterwards:

1. A new realm is created disabled. In an existing one, client registration is disabled while its rules change.
2. Policies precede what they restrict, roles precede the scopes bound to them, scopes precede the clients and scope
   lists that offer them, and removals follow their replacements. Exceptions: clients are removed, roles of groups and
   accounts are revoked, and demo users are taken out of groups before any scope is bound to a role; the corresponding
   grants follow the binding.
3. Then the realm is enabled. Last of all, registration is opened as far as the registration profile allows: Keycloak
   26.7.5 accepts registrations in a disabled realm too, but rejects them in a new one by default.

An apply that fails midway leaves registration disabled, and a new realm disabled too; the next apply continues from
there.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from mcp_idp.cli.bootstrap.changes import Change
from mcp_idp.cli.bootstrap.errors import ConfigError, PermissionDenied
from mcp_idp.cli.bootstrap.keycloak.client_authentication import BY_KEY, ClientAuthentication
from mcp_idp.cli.bootstrap.keycloak.desired import DesiredState
from mcp_idp.cli.bootstrap.keycloak.executor import PlanExecutor
from mcp_idp.cli.bootstrap.keycloak.lookups import all_clients, default_holders
from mcp_idp.cli.bootstrap.keycloak.realm_ownership import (
    owns_realm,
    realm_differences,
    recorded_first,
    recorded_last,
    require_no_clash,
    require_realm_owner,
)
from mcp_idp.cli.bootstrap.keycloak.resources.client_policies import client_policy_changes
from mcp_idp.cli.bootstrap.keycloak.resources.client_scopes import (
    advertising_changes,
    base_scope_changes,
    default_scope_list_changes,
    has_other_resources,
    scope_changes,
    scope_removals,
    scopes_of_others,
)
from mcp_idp.cli.bootstrap.keycloak.resources.clients import (
    adopt_changes,
    client_changes,
    client_removals,
    managed_client_ids,
)
from mcp_idp.cli.bootstrap.keycloak.resources.groups import (
    default_group_changes,
    group_changes,
    group_revocations,
    membership_changes,
    membership_removals,
    require_no_unmanaged_groups,
    unreadable_warnings,
)
from mcp_idp.cli.bootstrap.keycloak.resources.realm import (
    enable_changes,
    key_changes,
    message_changes,
    message_removals,
    new_realm,
    realm_changes,
)
from mcp_idp.cli.bootstrap.keycloak.resources.registration_policies import (
    allowed_scope_changes,
    close_registration,
    desired_policies,
    open_registration,
    policy_changes,
)
from mcp_idp.cli.bootstrap.keycloak.resources.roles import (
    decomposition_changes,
    default_role_changes,
    require_no_default_roles,
    role_changes,
    role_removals,
)
from mcp_idp.cli.bootstrap.keycloak.resources.service_clients import (
    require_no_unmanaged_clients,
    service_client_changes,
    service_client_role_revocations,
)
from mcp_idp.cli.bootstrap.keycloak.resources.token_exchange import require_no_unmanaged_scopes
from mcp_idp.cli.bootstrap.keycloak.resources.users import user_changes, user_revocations
from mcp_idp.cli.bootstrap.keycloak.state.current import CurrentState, StateQuery, read_current_state
from mcp_idp.cli.bootstrap.keycloak.state.managed import record_change, recorded_text
from mcp_idp.cli.bootstrap.keycloak.state.ownership import Ownership
from mcp_idp.cli.bootstrap.output import difference_lines

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mcp_idp.cli.bootstrap.keycloak.admin_client import AdminClient

__all__ = ["DesiredState", "apply", "plan", "read_state"]

SHARED = "shared"  # the owner of what every resource of the realm writes alike


def read_state(session: AdminClient, desired: DesiredState) -> CurrentState:
    """Reads the current state of the realm, as far as the bootstrap manages it.

    Args:
        session: admin client of the realm.
        desired: the desired state; it names the objects to read.
    """
    access = desired.access
    query = StateQuery(
        audience=desired.resource,
        moved_from=desired.moved_from,
        scopes=access.roles_by_scope,
        roles=access.roles,
        clients=managed_client_ids(access, desired.resource),
        service_clients=access.machine_clients,
        users=access.demo_users,
        groups=access.groups,
        languages=desired.realm_file.messages,
    )
    actual = read_current_state(session, query)
    if not has_other_resources(access, ownership_of(desired, actual), actual):
        return actual
    # Only then are all clients read, page by page: there may be thousands.
    bases = base_scopes(desired, actual)
    return replace(actual, default_holders=default_holders(all_clients(session), bases))


def base_scopes(desired: DesiredState, actual: CurrentState) -> frozenset[str]:
    """Returns the base scopes of all resources of the realm."""
    others = ownership_of(desired, actual).others.values()
    return frozenset({desired.access.base_scope, *(record.base_scope for record in others)} - {""})


def ownership_of(desired: DesiredState, actual: CurrentState) -> Ownership:
    """Returns whose the objects of the realm are, as the desired state's resource sees it."""
    return Ownership.of(actual, desired.resource, desired.moved_from)


def plan(desired: DesiredState, actual: CurrentState) -> list[Change]:
    """Plans the changes to an existing realm.

    Args:
        desired: the desired state.
        actual: the current state.

    Returns:
        The changes, in the order in which they must be written; empty if nothing differs.
    """
    ownership = ownership_of(desired, actual)
    if owns_realm(desired, ownership):
        return _plan_as_owner(desired, ownership, actual)
    resource_plan = _plan_of_resource(desired, ownership, actual)
    shared = [
        *allowed_scope_changes({*desired.access.scopes, *scopes_of_others(ownership, actual)}, actual),
        *default_scope_list_changes(desired.access, ownership, actual),
        *base_scope_changes(actual),
    ]
    own = [
        [*_record(desired, ownership, actual), *resource_plan.restrictions],
        [*resource_plan.grants, *_forget(desired, ownership, actual)],
    ]
    return [*_owned(own[0], desired.resource), *_owned(shared, SHARED), *_owned(own[1], desired.resource)]


def _plan_as_owner(desired: DesiredState, ownership: Ownership, actual: CurrentState) -> list[Change]:
    """Plans the changes of the resource that owns the realm's settings: they surround and precede its own."""
    access, recorded = desired.access, ownership.records.realm
    policies = desired_policies(access, desired.realm_file.client_uri_hosts, scopes_of_others(ownership, actual))
    resource_plan = _plan_of_resource(desired, ownership, actual)
    own, shared = (desired.resource, SHARED) if ownership.others else ("", "")
    settings = [
        *key_changes(desired.realm_file.signing_keys, actual),
        *realm_changes(desired.realm_members, actual),
        *message_changes(desired.realm_file.messages, actual),
        *client_policy_changes(desired.client_policies, recorded, actual),
    ]
    for_clients = [
        *advertising_changes(access, actual),
        *policy_changes(policies, actual),
        *default_scope_list_changes(access, ownership, actual),
        *base_scope_changes(actual),
    ]
    removals = message_removals(desired.realm_file.messages, recorded.messages, actual)
    rules = [
        *_owned([*_record(desired, ownership, actual), *settings, *resource_plan.restrictions], own),
        *_owned(for_clients, shared),
        *_owned([*resource_plan.grants, *removals, *_forget(desired, ownership, actual)], own),
    ]
    closing = list(close_registration(policies, actual)) if rules else []
    return [*closing, *rules, *enable_changes(actual), *open_registration(policies, actual, closed=bool(closing))]


@dataclass(frozen=True, slots=True)
class _ResourcePlan:
    """The changes to the objects of one resource.

    Attributes:
        restrictions: what precedes the lists of scopes for clients.
        grants: what follows them.
    """

    restrictions: list[Change]
    grants: list[Change]


def _plan_of_resource(desired: DesiredState, ownership: Ownership, actual: CurrentState) -> _ResourcePlan:
    access, resource = desired.access, desired.resource
    return _ResourcePlan(
        restrictions=[
            *default_role_changes(access, actual),
            *decomposition_changes(access, actual),
            *default_group_changes(access, actual),
            *group_revocations(access, ownership, actual),
            *membership_removals(access, ownership, actual),
            *user_revocations(access, ownership, actual),
            *service_client_role_revocations(access, actual),
            *client_removals(access, ownership, actual),
            *role_changes(access, ownership, actual),
            *scope_changes(access, resource, actual),
        ],
        grants=[
            *client_changes(access, resource, desired.credentials, actual),
            *service_client_changes(access, resource, desired.service_clients, actual),
            *group_changes(access, ownership, actual),
            *user_changes(access, actual),
            *membership_changes(access, ownership, actual),
            *scope_removals(access, ownership, actual),
            *role_removals(access, ownership, actual),
        ],
    )


def _record(desired: DesiredState, ownership: Ownership, actual: CurrentState) -> Iterator[Change]:
    """Yields what precedes all other changes: adopted clients' tokens end, and the new objects are recorded."""
    yield from adopt_changes(desired.access, ownership, actual)
    recorded = recorded_first(desired, ownership)
    yield from record_change(actual.realm, recorded_text(actual.realm), ownership.read, recorded, "record")


def _forget(desired: DesiredState, ownership: Ownership, actual: CurrentState) -> Iterator[Change]:
    """Yields what follows the removals: the record is reduced to the desired objects."""
    before = recorded_first(desired, ownership)
    after = recorded_last(desired, ownership, users_known=actual.users is not None)
    yield from record_change(actual.realm, before.text, before, after, "forget")


def _owned(changes: list[Change], owner: str) -> list[Change]:
    return [replace(change, owner=owner) for change in changes]


def full_plan(desired: DesiredState, actual: CurrentState) -> list[Change]:
    """Returns `plan`, preceded by the creation of the realm if it does not exist."""
    return [*([_creation(desired)] if not actual.realm else []), *plan(desired, actual)]


def apply(
    session: AdminClient, desired: DesiredState, on_change: Callable[[Change], None], log: Callable[[str], None]
) -> int:
    """Brings the realm to the desired state.

    Args:
        session: admin client of the realm.
        desired: the desired state.
        on_change: called with each change before it is written.
        log: receives one line about each thing that could not be read, or is another resource's and differs, and is
            therefore left unchanged.

    Returns:
        The number of changes written, the creation of the realm included.

    Raises:
        PermissionDenied, ConfigError: the desired state cannot be written. Nothing is written, except that a missing
            realm may have been created.
        ProviderRequestError, PermissionDenied: Keycloak rejected a change; the changes before it are written, those
            after it are not.
    """
    created = 0
    actual = read_state(session, desired)
    require_writable(desired, actual)
    if not actual.realm:
        on_change(_creation(desired))
        session.create_realm(new_realm(desired.realm, desired.access.resource.name))
        actual = read_state(session, desired)
        require_writable(desired, actual)
        created = 1
    changes = plan(desired, actual)
    writer = PlanExecutor(session, actual)
    for line in unreadable_warnings(actual):
        log(f"note: {line}")
    for line in difference_lines(realm_differences(desired, ownership_of(desired, actual), actual)):
        log(line)
    for change in changes:
        on_change(change)
        writer.write(change)
    return created + len(changes)


def require_writable(desired: DesiredState, actual: CurrentState) -> None:
    """Rejects a desired state that cannot be compared with the realm or would take over unmanaged objects.

    Raises:
        PermissionDenied: the state has demo users, groups or service clients, and the admin client may not read users.
        ConfigError: another resource owns the realm's settings or an object of the same name; a scope of an upstream, a
            service client or a group exists and is unmanaged; everyone has one of the access file's roles by another
            role; or neither this run nor the provider knows the server's key.
    """
    ownership = ownership_of(desired, actual)
    require_realm_owner(desired, ownership)
    require_no_clash(desired, ownership, actual)
    require_no_unmanaged_scopes(desired.access, actual)
    require_no_unmanaged_clients(desired.access, ownership, actual)
    require_known_key(desired.resource, desired.credentials, actual)
    require_no_unmanaged_groups(desired.access, ownership, actual)
    require_no_default_roles(desired.access, actual)
    if actual.users is None and desired.access.demo_users:
        raise PermissionDenied(
            "the admin client may not read users, so demo users cannot be compared: give it manage-users (plan: "
            "view-users)"
        )
    if actual.service_client_roles is None:
        raise PermissionDenied(
            "the admin client may not read the roles of machine clients: give it manage-users (check: view-users)"
        )
    if not actual.groups.known and (desired.access.groups or ownership.own.groups):
        raise PermissionDenied("the admin client may not read groups: give it manage-users (check: view-users)")


def _creation(desired: DesiredState) -> Change:
    body = new_realm(desired.realm, desired.access.resource.name)
    return Change(
        f"realm {desired.realm}", "create, disabled until the apply is complete", "POST", (), body, action="create"
    )


def require_known_key(resource: str, credentials: ClientAuthentication, actual: CurrentState) -> None:
    """Rejects a run without the MCP server's key if the provider does not have one either.

    A key that this run does not know can stay at the provider, but cannot be written to a client that has none.

    Args:
        resource: client id of the MCP server's own client.
        credentials: its credentials, as far as this run knows them.
        actual: the current state.

    Raises:
        ConfigError: the provider has no key for the client.
    """
    found = actual.clients.get(resource) or {}
    if credentials.key_unknown_here and found.get("clientAuthenticatorType") != BY_KEY:
        raise ConfigError(
            "OAUTH_CLIENT_AUTH=private_key_jwt: the provider does not have this server's key yet: set "
            "OAUTH_CLIENT_KEY_FILE to the file with the key"
        )
