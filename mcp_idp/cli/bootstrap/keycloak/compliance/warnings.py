"""What a check warns of: what will be a problem later, what cannot be judged, and what others may have meant.

What a client that registered itself may keep in Keycloak's database, beside itself.

Whoever registers with the grant of permission tickets (User-Managed Access 2.0) is made a resource server of
Keycloak's own. With a token of its own it stores resources and policies there, as many as it likes, and is told of any
name whether a person is called so. No client policy of 26.7.5 can refuse that to strangers alone
(docs/decisions/keycloak-machine-clients.md): only where Keycloak is started can it be switched off.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx

from mcp_idp.access.registration_profiles import ADMISSIONS
from mcp_idp.cli.bootstrap.errors import NotProven, ProviderUnreachable
from mcp_idp.cli.bootstrap.keycloak.compliance.weaknesses import refuses
from mcp_idp.cli.bootstrap.keycloak.resources.client_policies import ANNOUNCED
from mcp_idp.cli.bootstrap.keycloak.resources.groups import strange_roles
from mcp_idp.cli.bootstrap.keycloak.resources.roles import strange_parts
from mcp_idp.cli.bootstrap.keycloak.resources.service_clients import MACHINE_GRANT, service_accounts
from mcp_idp.cli.bootstrap.keycloak.state.groups import groups_besides
from mcp_idp.cli.bootstrap.keycloak.verification import ONE_SUBJECT, splits_people
from mcp_idp.cli.bootstrap.output import some_of
from mcp_idp.cli.bootstrap.verification import Note, documents_are_announced

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mcp_idp.cli.bootstrap.keycloak.admin_client import Session
    from mcp_idp.cli.bootstrap.keycloak.lookups import Object
    from mcp_idp.cli.bootstrap.keycloak.settings import BootstrapSettings
    from mcp_idp.cli.bootstrap.keycloak.state.current import Actual

_OFF = 501  # what Keycloak answers where the feature is off
WITHOUT = "KC_FEATURES_DISABLED=authorization,admin-fine-grained-authz"


def strangers_keep_permissions(settings: BootstrapSettings, actual: Actual, http: httpx.Client) -> bool:
    """Whether clients register themselves, get tokens of their own, and Keycloak has such permissions.

    Raises:
        ProviderUnreachable: nothing answers.
    """
    if not ADMISSIONS[settings.access.registration.profile].invited or refuses(actual, MACHINE_GRANT):
        return False
    try:
        # The metadata names the grant in either case.
        status = http.get(f"{settings.internal_url}/authz/protection/resource_set").status_code
    except httpx.TransportError as error:
        raise ProviderUnreachable(f"nothing answers at {settings.internal_url}") from error
    return status != _OFF


_NEARLY_FULL = 0.8  # of the clients that may be there


def warnings_of(
    settings: BootstrapSettings, session: Session, actual: Actual, clients: list[Object], http: httpx.Client
) -> Iterator[str]:
    """A line for each.

    Args:
        settings: of the run.
        session: for what is still to be read.
        actual: the realm.
        clients: all of it.
        http: for what Keycloak tells everybody.
    """
    if actual.users is None and settings.access.demo_users:
        yield "users may not be read with this account, so demo users were not compared: give it the role view-users"
    if actual.machine_roles is None:
        yield "the roles of machine clients may not be read with this account: give it the role view-users"
    yield from _strange_machines(settings, clients, actual)
    yield from strange_parts(settings.access, actual)
    yield from _strange_groups(settings, session, actual)
    if splits_people(session):
        yield (
            "a registered client may have subjects of its own, so one person can be several here: start Keycloak with "
            f"{ONE_SUBJECT}"
        )
    if strangers_keep_permissions(settings, actual, http):
        yield (
            "with machine_clients a client that registered itself may store permissions in Keycloak's database, and is "
            f"told which user names there are: start Keycloak with {WITHOUT}"
        )
    most = settings.access.registration.max_clients
    if len(clients) >= most * _NEARLY_FULL:
        yield (
            f"the realm has {len(clients)} clients, and registration ends at {most}: "
            "`bootstrap_idp.py prune` shows which of them nobody uses"
        )
    try:
        documents_are_announced(settings, http, ANNOUNCED)
    except (Note, NotProven) as finding:
        yield str(finding)


def _strange_machines(settings: BootstrapSettings, clients: list[Object], actual: Actual) -> Iterator[str]:
    """Where a rule refuses the grant to everybody there is none."""
    names = [] if refuses(actual, MACHINE_GRANT) else service_accounts(clients, settings.access)
    if names:
        yield (
            f"{len(names)} clients besides machine_clients may get tokens without a person ({some_of(names)}): switch "
            "their service accounts off, or name them in the access file; without a role of ours they get none for us"
        )


def _strange_groups(settings: BootstrapSettings, session: Session, actual: Actual) -> Iterator[str]:
    """What brings people roles besides the access file, where it says that groups do."""
    access = settings.access
    if not actual.groups.known:
        yield (
            "groups may not be read with this account, so neither ours nor those that everybody joins were compared: "
            "give it the role view-users"
        )
    elif access.groups:
        yield from strange_roles(access, actual)
        ours = [found["id"] for found in actual.groups.by_name.values()]
        if paths := groups_besides(session, access.roles, ours):
            yield f"groups that the access file does not name bring its roles: {some_of(paths)}"
