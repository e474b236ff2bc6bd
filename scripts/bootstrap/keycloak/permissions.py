"""What a client that registered itself may keep in Keycloak's database, beside itself.

Whoever registers with the grant of permission tickets (User-Managed Access 2.0) is made a resource server of
Keycloak's own. With a token of its own it stores resources and policies there, as many as it likes, and is told of any
name whether a person is called so. No client policy of 26.7.5 can refuse that to strangers alone
(docs/decisions/keycloak-machine-clients.md): only where Keycloak is started can it be switched off.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from scripts.bootstrap.keycloak.holes import refuses
from scripts.bootstrap.keycloak.machines import MACHINE_GRANT
from scripts.bootstrap.proof import get_json
from scripts.bootstrap.registration import ADMISSIONS

if TYPE_CHECKING:
    import httpx

    from scripts.bootstrap.keycloak.actual import Actual
    from scripts.bootstrap.settings import BootstrapSettings

UMA_GRANT = "urn:ietf:params:oauth:grant-type:uma-ticket"
WITHOUT = "KC_FEATURES_DISABLED=authorization,admin-fine-grained-authz"


def strangers_keep_permissions(settings: BootstrapSettings, actual: Actual, http: httpx.Client) -> bool:
    """Whether clients register themselves, get tokens of their own, and Keycloak has such permissions."""
    if not ADMISSIONS[settings.access.registration.profile].invited or refuses(actual, MACHINE_GRANT):
        return False
    metadata = get_json(http, f"{settings.internal_url}/.well-known/openid-configuration") or {}
    return UMA_GRANT in (metadata.get("grant_types_supported") or [])
