"""The order of it all, and the writing.

No moment of an apply is more open than the realm was before or is afterwards:

1. a new realm is created disabled, an existing one lets nobody register while its rules change;
2. rules come before what they bind, roles before the scopes bound to them, scopes before who may ask for them;
3. then the realm is enabled, and last of all registration is let in as its profile says: Keycloak 26.7.5 takes
   registrations in a disabled realm too, and shuts them out of a new one by itself.

An apply that breaks off leaves the realm shut; the next one goes on from there.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from scripts.bootstrap.keycloak.actual import Actual, read_actual
from scripts.bootstrap.keycloak.client_policies import client_policy_changes
from scripts.bootstrap.keycloak.clients import client_changes
from scripts.bootstrap.keycloak.files import load_client_policies_file, load_realm_file
from scripts.bootstrap.keycloak.policies import letting_in, policy_changes, shutting, wanted_policies
from scripts.bootstrap.keycloak.realm import new_realm, opening, realm_changes
from scripts.bootstrap.keycloak.redirects import redirect_patterns
from scripts.bootstrap.keycloak.roles import role_changes
from scripts.bootstrap.keycloak.scopes import advertising_changes, list_changes, scope_changes
from scripts.bootstrap.keycloak.users import user_changes
from scripts.bootstrap.keycloak.write import Writer

if TYPE_CHECKING:
    from collections.abc import Callable

    from mcp_server.access import Access
    from scripts.bootstrap.keycloak.files import ClientPoliciesFile, RealmFile
    from scripts.bootstrap.keycloak.session import Session
    from scripts.bootstrap.plan import Change
    from scripts.bootstrap.settings import BootstrapSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class Desired:
    """What the realm shall be: the access file, Keycloak's two files, and what is known only at run time."""

    realm: str
    resource: str
    access: Access
    realm_file: RealmFile
    client_policies_file: ClientPoliciesFile
    secret: str | None = None

    @classmethod
    def load(cls, settings: BootstrapSettings, secret: str | None) -> Desired:
        """Put it together.

        Raises:
            SettingsFailure: one of the files does not fit.
        """
        return cls(
            realm=settings.realm,
            resource=settings.public_url,
            access=settings.access,
            realm_file=load_realm_file(settings.provider_folder),
            client_policies_file=load_client_policies_file(settings.provider_folder),
            secret=secret,
        )


def read(session: Session, desired: Desired) -> Actual:
    """The realm as it is, as far as we own it."""
    access = desired.access
    return read_actual(
        session,
        scopes=access.scopes,
        clients=(desired.resource, *access.clients),
        users=access.demo_users,
    )


def plan(desired: Desired, actual: Actual) -> list[Change]:
    """The changes that make `actual` what is desired, in the order in which they may be written."""
    access = desired.access
    policies = wanted_policies(access, desired.realm_file.client_uri_hosts)
    profiles = desired.client_policies_file.profiles_with(redirect_patterns(access.registration))
    client_policies = [policy.model_dump() for policy in desired.client_policies_file.policies]
    realm = {**desired.realm_file.realm, "displayName": access.resource.name}
    rules = [
        *realm_changes(realm, actual),
        *client_policy_changes(profiles, client_policies, actual),
        *role_changes(access, actual),
        *scope_changes(access, desired.resource, actual),
        *advertising_changes(access, actual),
        *policy_changes(policies, actual),
        *list_changes(access, actual),
        *client_changes(access, desired.resource, desired.secret, actual),
        *user_changes(access, actual),
    ]
    shut = list(shutting(actual)) if rules else []
    return [*shut, *rules, *opening(actual), *letting_in(policies, actual, shut=bool(shut))]


def apply(session: Session, desired: Desired, say: Callable[[str], None]) -> int:
    """Make the realm as desired and tell each change before it is written; the number of changes.

    Raises:
        ProviderRefused: Keycloak refused a change; those before it are written, those after it are not.
    """
    created = 0
    actual = read(session, desired)
    if not actual.realm:
        say(f"realm {desired.realm}: create, disabled until all is written")
        session.create_realm(new_realm(desired.realm, desired.access.resource.name))
        actual = read(session, desired)
        created = 1
    changes = plan(desired, actual)
    writer = Writer(session, actual)
    for change in changes:
        say(change.text)
        writer.write(change)
    return created + len(changes)
