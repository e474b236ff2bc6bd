"""What a client that registered itself may keep in Keycloak's database, beside itself.

Whoever registers with the grant of permission tickets (User-Managed Access 2.0) is made a resource server of
Keycloak's own. With a token of its own it stores resources and policies there, as many as it likes, and is told of any
name whether a person is called so. No client policy of 26.7.5 can refuse that to strangers alone
(docs/decisions/keycloak-machine-clients.md): only where Keycloak is started can it be switched off.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx

from scripts.bootstrap.failures import ProviderUnreachable
from scripts.bootstrap.keycloak.holes import refuses
from scripts.bootstrap.keycloak.machines import MACHINE_GRANT
from scripts.bootstrap.registration import ADMISSIONS

if TYPE_CHECKING:
    from scripts.bootstrap.keycloak.actual import Actual
    from scripts.bootstrap.settings import BootstrapSettings

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
