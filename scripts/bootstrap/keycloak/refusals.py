"""What people read when Keycloak's admin API does not do as it was asked, and what they can change."""

from __future__ import annotations

from typing import TYPE_CHECKING

from requests.exceptions import SSLError

from scripts.bootstrap.failures import AdminRefused, ProviderUnreachable

if TYPE_CHECKING:
    from keycloak.exceptions import KeycloakConnectionError
    from requests import Response

    from scripts.bootstrap.settings import BootstrapSettings

MASTER = "master"  # the realm of those who may administer others


def unreachable(settings: BootstrapSettings, error: KeycloakConnectionError) -> ProviderUnreachable:
    """No connection, or none over TLS."""
    base = settings.admin_base
    if isinstance(error.__cause__, SSLError):
        return ProviderUnreachable(
            f"no TLS with {base}: where Keycloak has a certificate of your own authority, name its file in "
            "SSL_CERT_FILE and REQUESTS_CA_BUNDLE; where it speaks plain http, write http:// in OAUTH_INTERNAL_URL"
        )
    return ProviderUnreachable(
        f"nothing answers at {base}: start Keycloak (docker compose up keycloak), or set OAUTH_INTERNAL_URL to "
        "where this process reaches it"
    )


def refused(settings: BootstrapSettings) -> AdminRefused:
    """Keycloak is there and does not know the secret."""
    return AdminRefused(
        f"Keycloak does not take the secret of its admin client '{settings.admin_client_id}': it keeps the "
        "one of its first start. With docker compose: `docker compose down -v` starts afresh (and forgets all "
        "users and clients); elsewhere set KEYCLOAK_ADMIN_CLIENT_ID and KEYCLOAK_ADMIN_CLIENT_SECRET_FILE"
    )


def lacking(settings: BootstrapSettings, realm: str, method: str, path: tuple[str, ...]) -> str:
    """The roles that the admin client needs for a request below `realm`."""
    what = f"{method} {'/'.join(path) or 'the realm'}"
    if realm == MASTER:  # where accounts of a realm are made
        roles = "manage-clients and manage-users"
    elif method == "GET":
        roles = (
            "view-realm, view-clients, view-events (for apply manage-realm, manage-clients, view-events) and for "
            "people view-users (manage-users)"
        )
    else:
        roles = "manage-realm, manage-clients and, for demo users, machine clients and groups, manage-users"
    where = f"{realm}-realm" if settings.admin_realm == MASTER else "realm-management"
    return (
        f"the admin client '{settings.admin_client_id}' may not {what}: give its service account {roles}, "
        f"roles of the client '{where}' in the realm '{settings.admin_realm}'"
    )


def reason(response: Response) -> str:
    """What Keycloak says itself, in one line."""
    try:
        answer = response.json()
    except ValueError:
        return " ".join(response.text.split())[:200]
    names = ("errorMessage", "error_description", "error")
    return str(next((answer[name] for name in names if name in answer), answer))[:200]
