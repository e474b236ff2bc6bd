"""The order of it all, and the writing.

No moment of an apply is more open than the realm was before or is afterwards:

1. a new realm is created disabled, an existing one lets nobody register while its rules change;
2. rules come before what they bind, roles before the scopes bound to them, scopes before who may ask for them, and
   what goes comes after what takes its place; but clients that go, roles of groups and accounts, and groups of demo
   users are taken before a scope is bound to a role, and given after;
3. then the realm is enabled, and last of all registration is let in as its profile says: Keycloak 26.7.5 takes
   registrations in a disabled realm too, and shuts them out of a new one by itself.

An apply that breaks off leaves the realm shut; the next one goes on from there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mcp_idp.cli.bootstrap.changes import Change
from mcp_idp.cli.bootstrap.errors import Forbidden, SettingsFailure
from mcp_idp.cli.bootstrap.keycloak.client_credentials import BY_KEY, Credentials
from mcp_idp.cli.bootstrap.keycloak.desired import Desired
from mcp_idp.cli.bootstrap.keycloak.executor import Writer
from mcp_idp.cli.bootstrap.keycloak.resources.client_policies import client_policy_changes
from mcp_idp.cli.bootstrap.keycloak.resources.client_scopes import (
    advertising_changes,
    list_changes,
    scope_changes,
    scope_removals,
)
from mcp_idp.cli.bootstrap.keycloak.resources.clients import client_changes, client_removals, our_clients, taking_over
from mcp_idp.cli.bootstrap.keycloak.resources.groups import (
    default_group_changes,
    group_changes,
    group_takings,
    membership_changes,
    membership_takings,
    refuse_foreign_groups,
    unseen,
)
from mcp_idp.cli.bootstrap.keycloak.resources.realm import (
    key_changes,
    message_changes,
    message_removals,
    new_realm,
    opening,
    realm_changes,
)
from mcp_idp.cli.bootstrap.keycloak.resources.registration_policies import (
    letting_in,
    policy_changes,
    shutting,
    wanted_policies,
)
from mcp_idp.cli.bootstrap.keycloak.resources.roles import (
    default_role_changes,
    part_changes,
    refuse_everybodys_roles,
    role_changes,
    role_removals,
)
from mcp_idp.cli.bootstrap.keycloak.resources.service_clients import (
    machine_changes,
    machine_takings,
    refuse_foreign_clients,
)
from mcp_idp.cli.bootstrap.keycloak.resources.token_exchange import refuse_foreign_scopes
from mcp_idp.cli.bootstrap.keycloak.resources.users import user_changes, user_takings
from mcp_idp.cli.bootstrap.keycloak.state.current import Actual, Sought, read_actual
from mcp_idp.cli.bootstrap.keycloak.state.managed import forgetting, recording

if TYPE_CHECKING:
    from collections.abc import Callable

    from mcp_idp.cli.bootstrap.keycloak.admin_client import Session

__all__ = ["Desired", "apply", "plan", "read"]


def read(session: Session, desired: Desired) -> Actual:
    """The realm as it is, as far as we own it."""
    access = desired.access
    sought = Sought(
        audience=desired.resource,
        scopes=access.brought_by,
        roles=access.roles,
        clients=our_clients(access, desired.resource),
        machines=access.machine_clients,
        users=access.demo_users,
        groups=access.groups,
        languages=desired.realm_file.messages,
    )
    return read_actual(session, sought)


def plan(desired: Desired, actual: Actual) -> list[Change]:
    """The changes that make `actual` what is desired, in the order in which they may be written."""
    access = desired.access
    policies = wanted_policies(access, desired.realm_file.client_uri_hosts)
    client_policies = desired.client_policies
    rules = [
        *taking_over(access, desired.resource, actual),
        *recording(actual.realm, desired.ledger),
        *key_changes(desired.realm_file.signing_keys, actual),
        *realm_changes(desired.realm_members, actual),
        *message_changes(desired.realm_file.messages, actual),
        *client_policy_changes(client_policies, actual),
        *default_role_changes(access, actual),
        *part_changes(access, actual),
        *default_group_changes(access, actual),
        *group_takings(access, actual),
        *membership_takings(access, actual),
        *user_takings(access, actual),
        *machine_takings(access, actual),
        *client_removals(access, desired.resource, actual),
        *role_changes(access, actual),
        *scope_changes(access, desired.resource, actual),
        *advertising_changes(access, actual),
        *policy_changes(policies, actual),
        *list_changes(access, actual),
        *client_changes(access, desired.resource, desired.credentials, actual),
        *machine_changes(access, desired.machines, actual),
        *group_changes(access, actual),
        *user_changes(access, actual),
        *membership_changes(access, actual),
        *scope_removals(access, actual),
        *role_removals(access, actual),
        *message_removals(desired.realm_file.messages, actual),
        *forgetting(actual.realm, desired.ledger),
    ]
    shut = list(shutting(policies, actual)) if rules else []
    return [*shut, *rules, *opening(actual), *letting_in(policies, actual, shut=bool(shut))]


def whole_plan(desired: Desired, actual: Actual) -> list[Change]:
    """`plan`, beginning with the realm itself if it is not there."""
    return [*([_creation(desired)] if not actual.realm else []), *plan(desired, actual)]


def apply(session: Session, desired: Desired, tell: Callable[[Change], None], say: Callable[[str], None]) -> int:
    """Make the realm as desired and tell each change before it is written; the number of changes.

    Args:
        session: of the realm.
        desired: what it shall be.
        tell: takes each change.
        say: takes a line for people about what could not be seen, and is left.

    Raises:
        Forbidden, SettingsFailure: what is asked for cannot be written; nothing is.
        ProviderRefused: Keycloak refused a change; those before it are written, those after it are not.
    """
    created = 0
    actual = read(session, desired)
    refuse_what_cannot_be_written(desired, actual)
    if not actual.realm:
        tell(_creation(desired))
        session.create_realm(new_realm(desired.realm, desired.access.resource.name))
        actual = read(session, desired)
        refuse_what_cannot_be_written(desired, actual)
        created = 1
    changes = plan(desired, actual)
    writer = Writer(session, actual)
    for line in unseen(actual):
        say(f"note: {line}")
    for change in changes:
        tell(change)
        writer.write(change)
    return created + len(changes)


def refuse_what_cannot_be_written(desired: Desired, actual: Actual) -> None:
    """Demo users, groups, service accounts that cannot be compared are neither planned nor written; nor others' things.

    Raises:
        Forbidden: there are such, and the admin client may not see people.
        SettingsFailure: a scope of an upstream, a machine client or a group is another's; or the server's key is not
            known.
    """
    refuse_foreign_scopes(desired.access, actual)
    refuse_foreign_clients(desired.access, actual)
    refuse_unknown_key(desired.resource, desired.credentials, actual)
    refuse_foreign_groups(desired.access, actual)
    refuse_everybodys_roles(desired.access, actual)
    if actual.users is None and desired.access.demo_users:
        raise Forbidden(
            "the admin client may not see people, so demo users cannot be compared: give it manage-users "
            "(plan: view-users)"
        )
    if actual.machine_roles is None:
        raise Forbidden(
            "the admin client may not see the roles of machine clients: give it manage-users (check: view-users)"
        )
    if not actual.groups.known and (desired.access.groups or actual.ledger.groups):
        raise Forbidden("the admin client may not see groups: give it manage-users (check: view-users)")


def _creation(desired: Desired) -> Change:
    body = new_realm(desired.realm, desired.access.resource.name)
    return Change(f"realm {desired.realm}", "create, disabled until all is written", "POST", (), body, action="create")


def refuse_unknown_key(resource: str, credentials: Credentials, actual: Actual) -> None:
    """A key that this run was not told can stay where it is, and cannot be given to a client that has none.

    Raises:
        SettingsFailure: the provider has no key of the server's.
    """
    found = actual.clients.get(resource) or {}
    if credentials.by_key and found.get("clientAuthenticatorType") != BY_KEY:
        raise SettingsFailure(
            "OAUTH_CLIENT_AUTH=private_key_jwt: the provider has no key of this server's yet: set "
            "OAUTH_CLIENT_KEY_FILE to the file with the key"
        )
