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

from typing import TYPE_CHECKING

from mcp_idp.cli.bootstrap.changes import Change
from mcp_idp.cli.bootstrap.errors import ConfigError, PermissionDenied
from mcp_idp.cli.bootstrap.keycloak.client_authentication import BY_KEY, ClientAuthentication
from mcp_idp.cli.bootstrap.keycloak.desired import DesiredState
from mcp_idp.cli.bootstrap.keycloak.executor import PlanExecutor
from mcp_idp.cli.bootstrap.keycloak.resources.client_policies import client_policy_changes
from mcp_idp.cli.bootstrap.keycloak.resources.client_scopes import (
    advertising_changes,
    default_scope_list_changes,
    scope_changes,
    scope_removals,
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
from mcp_idp.cli.bootstrap.keycloak.state.managed import forget_changes, record_changes

if TYPE_CHECKING:
    from collections.abc import Callable

    from mcp_idp.cli.bootstrap.keycloak.admin_client import AdminClient

__all__ = ["DesiredState", "apply", "plan", "read_state"]


def read_state(session: AdminClient, desired: DesiredState) -> CurrentState:
    """Reads the current state of the realm, as far as the bootstrap manages it.

    Args:
        session: admin client of the realm.
        desired: the desired state; it names the objects to read.
    """
    access = desired.access
    query = StateQuery(
        audience=desired.resource,
        scopes=access.roles_by_scope,
        roles=access.roles,
        clients=managed_client_ids(access, desired.resource),
        service_clients=access.machine_clients,
        users=access.demo_users,
        groups=access.groups,
        languages=desired.realm_file.messages,
    )
    return read_current_state(session, query)


def plan(desired: DesiredState, actual: CurrentState) -> list[Change]:
    """Plans the changes to an existing realm.

    Args:
        desired: the desired state.
        actual: the current state.

    Returns:
        The changes, in the order in which they must be written; empty if nothing differs.
    """
    access = desired.access
    policies = desired_policies(access, desired.realm_file.client_uri_hosts)
    client_policies = desired.client_policies
    rules = [
        *adopt_changes(access, desired.resource, actual),
        *record_changes(actual.realm, desired.managed_state),
        *key_changes(desired.realm_file.signing_keys, actual),
        *realm_changes(desired.realm_members, actual),
        *message_changes(desired.realm_file.messages, actual),
        *client_policy_changes(client_policies, actual),
        *default_role_changes(access, actual),
        *decomposition_changes(access, actual),
        *default_group_changes(access, actual),
        *group_revocations(access, actual),
        *membership_removals(access, actual),
        *user_revocations(access, actual),
        *service_client_role_revocations(access, actual),
        *client_removals(access, desired.resource, actual),
        *role_changes(access, actual),
        *scope_changes(access, desired.resource, actual),
        *advertising_changes(access, actual),
        *policy_changes(policies, actual),
        *default_scope_list_changes(access, desired.resource, actual),
        *client_changes(access, desired.resource, desired.credentials, actual),
        *service_client_changes(access, desired.service_clients, actual),
        *group_changes(access, actual),
        *user_changes(access, actual),
        *membership_changes(access, actual),
        *scope_removals(access, actual),
        *role_removals(access, actual),
        *message_removals(desired.realm_file.messages, actual),
        *forget_changes(actual.realm, desired.managed_state),
    ]
    closing = list(close_registration(policies, actual)) if rules else []
    return [*closing, *rules, *enable_changes(actual), *open_registration(policies, actual, closed=bool(closing))]


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
        log: receives one line about each thing that could not be read and is therefore left unchanged.

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
    for change in changes:
        on_change(change)
        writer.write(change)
    return created + len(changes)


def require_writable(desired: DesiredState, actual: CurrentState) -> None:
    """Rejects a desired state that cannot be compared with the realm or would take over unmanaged objects.

    Raises:
        PermissionDenied: the state has demo users, groups or service clients, and the admin client may not read users.
        ConfigError: a scope of an upstream, a service client or a group exists and is unmanaged; everyone has one of
            the access file's roles by another role; or neither this run nor the provider knows the server's key.
    """
    require_no_unmanaged_scopes(desired.access, actual)
    require_no_unmanaged_clients(desired.access, actual)
    require_known_key(desired.resource, desired.credentials, actual)
    require_no_unmanaged_groups(desired.access, actual)
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
    if not actual.groups.known and (desired.access.groups or actual.managed_state.groups):
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
