"""Dex's static clients: a pool for native clients, the vendors' clients, those of the access file, and the resource.

All except the resource are public. The registration profile determines which exist, so that Dex itself enforces it:
where registration is closed, there is no pool or vendor client whose id could be guessed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from mcp_idp.access.redirect_uris import LOOPBACK_HOSTS, LOOPBACK_PATTERN
from mcp_idp.cli.bootstrap.errors import ConfigError

if TYPE_CHECKING:
    from mcp_idp.access.models import PublicClient
    from mcp_idp.access.policy import AccessPolicy
    from mcp_idp.cli.bootstrap.dex.templates import Json, ProxyConfig

_NOTHING = r"^\b$"  # matches no redirect URI


def public_clients(access: AccessPolicy, proxy: ProxyConfig) -> list[Json]:
    """Returns all clients that users log in with.

    Args:
        access: The access policy.
        proxy: The proxy's configuration.

    Raises:
        ConfigError: Two clients have the same id, or front.yaml names an unknown vendor.
    """
    clients = [*_pool(access, proxy), *_vendors(access, proxy), *(_known(i, c) for i, c in access.clients.items())]
    ids = [client["id"] for client in clients]
    for name in access.clients:
        if ids.count(name) > 1:
            raise ConfigError(f"clients.{name}: choose another id; registrations use this one")
    return clients


def _pool(access: AccessPolicy, proxy: ProxyConfig) -> list[Json]:
    if access.registration.profile == "closed":
        return []
    # Without redirectURIs, Dex allows a public client any port and path of http loopback, and nothing else.
    name = _display_name("A program on your computer", access)
    return [{"id": f"mcp-native-{n:02d}", "name": name, "public": True} for n in range(proxy.pool)]


def _display_name(name: str, access: AccessPolicy) -> str:
    """Returns the client's name for the consent page, including the resource, which Dex does not show."""
    return f"{name} (for {access.resource.name})"


def vendor_redirects(access: AccessPolicy, proxy: ProxyConfig) -> dict[str, list[str]]:
    """Returns the redirect URIs of each vendor whose clients may register, by client id.

    Args:
        access: The access policy.
        proxy: The proxy's configuration.

    Raises:
        ConfigError: front.yaml names an unknown vendor.
    """
    vendors = access.registration.vendors
    for name in proxy.vendor_loopback:
        if name not in vendors:
            raise ConfigError(f"front.yaml: vendor_loopback.{name}: the access file has no such vendor")
    if access.registration.profile != "open-dev":
        return {}
    return {f"mcp-vendor-{name}": [*uris, *proxy.vendor_loopback.get(name, ())] for name, uris in vendors.items()}


def _vendors(access: AccessPolicy, proxy: ProxyConfig) -> list[Json]:
    found = vendor_redirects(access, proxy)
    return [
        {
            "id": client_id,
            "name": _display_name(client_id.removeprefix("mcp-vendor-"), access),
            "public": True,
            "redirectURIs": uris,
        }
        for client_id, uris in found.items()
    ]


def _known(client_id: str, client: PublicClient) -> Json:
    """Returns a client of the access file.

    Loopback redirect URIs without a port stand for any port, which Dex expresses by omitting the list.
    """
    known: Json = {"id": client_id, "name": client.name, "public": True}
    if all(_any_port(uri) for uri in client.redirect_uris):
        return known
    return {**known, "redirectURIs": list(client.redirect_uris)}


def _any_port(uri: str) -> bool:
    parts = urlsplit(uri)
    return parts.scheme == "http" and parts.netloc in LOOPBACK_HOSTS


def resource_client(name: str, resource: str, secret: str, trusted: list[str]) -> Json:
    """Returns the client that represents the resource, so that it can be an audience.

    It is confidential and has no redirect URIs: no user logs in with it, and its secret is never used.

    Args:
        name: The display name of the resource.
        resource: The resource identifier, which is the client id.
        secret: The client secret.
        trusted: The ids of the clients that may request this audience.
    """
    return {"id": resource, "name": name, "secret": secret, "trustedPeers": trusted}


def registration_policy(access: AccessPolicy, proxy: ProxyConfig) -> Json:
    """Returns the data for the proxy's registration template."""
    closed = access.registration.profile == "closed"
    return {
        "loopback": _NOTHING if closed else LOOPBACK_PATTERN,
        "pool": proxy.pool,
        "vendors": vendor_redirects(access, proxy),
    }
