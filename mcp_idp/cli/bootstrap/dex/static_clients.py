"""Dex's static clients: a pool for programs on people's machines, the vendors', those of the access file, the resource.

All but the last are public. Which exist follows from the registration profile, so that Dex itself holds to it: where
nobody may register, there is no client to be had by guessing an id either.
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

_NOTHING = r"^\b$"  # what no redirect URI fits


def public_clients(access: AccessPolicy, proxy: ProxyConfig) -> list[Json]:
    """Every client that people log in with.

    Raises:
        ConfigError: two would have one id, or a vendor of front.yaml is unknown.
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
    # Without a list a public client may go to http on any loopback port and path, and nowhere else.
    name = _display_name("A program on your computer", access)
    return [{"id": f"mcp-native-{n:02d}", "name": name, "public": True} for n in range(proxy.pool)]


def _display_name(name: str, access: AccessPolicy) -> str:
    """What the page that asks for consent calls a client: Dex would not say what for."""
    return f"{name} (for {access.resource.name})"


def vendor_redirects(access: AccessPolicy, proxy: ProxyConfig) -> dict[str, list[str]]:
    """By client id, the redirect URIs of each vendor whose programs may register."""
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
    """A client of the access file. Loopback without a port stands for any port there: Dex's word for it is no list."""
    known: Json = {"id": client_id, "name": client.name, "public": True}
    if all(_any_port(uri) for uri in client.redirect_uris):
        return known
    return {**known, "redirectURIs": list(client.redirect_uris)}


def _any_port(uri: str) -> bool:
    parts = urlsplit(uri)
    return parts.scheme == "http" and parts.netloc in LOOPBACK_HOSTS


def resource_client(access: AccessPolicy, resource: str, secret: str, trusted: list[str]) -> Json:
    """The resource, so that it can be an audience; `trusted` are the clients that may ask for it.

    Confidential and without redirect URIs: nobody logs in with it, and its secret is used by nobody.
    """
    return {"id": resource, "name": access.resource.name, "secret": secret, "trustedPeers": trusted}


def registration_policy(access: AccessPolicy, proxy: ProxyConfig) -> Json:
    """What the front's template looks at to answer a registration."""
    closed = access.registration.profile == "closed"
    return {
        "loopback": _NOTHING if closed else LOOPBACK_PATTERN,
        "pool": proxy.pool,
        "vendors": vendor_redirects(access, proxy),
    }
