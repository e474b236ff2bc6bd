"""The files of the front: Caddy's configuration, and what it serves."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mcp_idp.cli.bootstrap.caddy import CLOSED, FOLDER, REGISTRATION, as_json, fill, origins_listed, redirects_taken
from mcp_idp.cli.bootstrap.dex.static_clients import registration_policy

if TYPE_CHECKING:
    from mcp_idp.cli.bootstrap.dex.settings import DexSettings
    from mcp_idp.cli.bootstrap.dex.templates import Json, Source

# Types of connectors whose page asks for a password. All others send people away, and get them back at /callback.
_PASSWORD_TYPES = frozenset({"ldap", "keystone", "atlassian-crowd"})

_CALLBACK = """
		# Where a connector's provider sends people back to: SAML posts, the others redirect.
		@callback path /callback%%{connectors}
		handle @callback {
			import methods callback "GET, POST" GET POST
			import page
			import dex
		}
"""


def front_files(settings: DexSettings, source: Source) -> dict[str, str]:
    """The front's files, by name.

    Raises:
        SettingsFailure: a web origin is none.
    """
    return {
        "Caddyfile": _caddyfile(settings, source),
        "metadata.json": as_json(metadata(settings, source)),
        "policy.json": as_json(registration_policy(settings.access, source.front)),
        "register.json": source.register,
    }


def metadata(settings: DexSettings, source: Source) -> Json:
    """What clients are told of this provider (RFC 8414 section 2)."""
    told = source.metadata
    endpoints = {name: settings.server_url + path for name, path in told.endpoints.items()}
    if settings.access.registration.profile == "closed":
        endpoints.pop("registration_endpoint", None)
    scopes = dict.fromkeys([*told.scopes, *settings.access.scopes])
    lists = {name: list(values) for name, values in told.members.items()}
    return {"issuer": settings.server_url, **endpoints, "scopes_supported": list(scopes), **lists}


def dex_scope(settings: DexSettings) -> str:
    """What the front asks Dex for, whatever a client asked for; the last one puts the resource into `aud`."""
    return f"openid profile groups audience:server:client_id:{settings.public_url}"


def _caddyfile(settings: DexSettings, source: Source) -> str:
    registration = settings.access.registration
    local = ["local"] if settings.access.demo_users else []
    asking = [c["id"] for c in source.connectors if c.get("type") in _PASSWORD_TYPES]
    sending = [c["id"] for c in source.connectors if c.get("type") not in _PASSWORD_TYPES]
    callback = fill(_CALLBACK, connectors=_paths("/callback/{}", sending)) if sending else ""
    return fill(
        source.caddyfile,
        upstream=settings.upstream,
        folder=FOLDER,
        scope=dex_scope(settings),
        web_origins=origins_listed(registration),
        registration=CLOSED if registration.profile == "closed" else fill(REGISTRATION, folder=FOLDER),
        connector_starts=_paths("/auth/{}", [*local, *asking, *sending]),
        connector_pages=_paths("/auth/{}/login", [*local, *asking]),
        callback=callback,
        redirects_taken=redirects_taken(registration),
    )


def _paths(form: str, connectors: list[str]) -> str:
    return "".join(f" {form.format(name)}" for name in connectors)
