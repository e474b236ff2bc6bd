"""Renders the files of the registration proxy: Caddy's configuration, and the files it serves."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mcp_idp.cli.bootstrap.caddy import (
    CLOSED,
    FOLDER,
    REGISTRATION,
    as_json,
    not_plain,
    origin_matchers,
    redirect_help,
    render_template,
)
from mcp_idp.cli.bootstrap.dex.static_clients import registration_policy

if TYPE_CHECKING:
    from mcp_idp.cli.bootstrap.dex.settings import DexSettings
    from mcp_idp.cli.bootstrap.dex.templates import DexTemplates, Json

# Connector types with a password form. All others redirect users to another provider, which returns them to /callback.
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


def proxy_files(settings: DexSettings, source: DexTemplates) -> dict[str, str]:
    """Renders the proxy's files.

    Args:
        settings: The settings of the run.
        source: The templates.

    Returns:
        File name to content.

    Raises:
        ConfigError: A web origin is invalid.
    """
    return {
        "Caddyfile": _caddyfile(settings, source),
        "metadata.json": as_json(metadata(settings, source)),
        "policy.json": as_json(registration_policy(settings.access, source.proxy)),
        "register.json": source.register,
    }


def metadata(settings: DexSettings, source: DexTemplates) -> Json:
    """Returns the provider's metadata for clients (RFC 8414 section 2)."""
    metadata_config = source.metadata
    endpoints = {name: settings.server_url + path for name, path in metadata_config.endpoints.items()}
    if settings.access.registration.profile == "closed":
        endpoints.pop("registration_endpoint", None)
    scopes = dict.fromkeys([*metadata_config.scopes, *settings.access.scopes])
    lists = {name: list(values) for name, values in metadata_config.members.items()}
    return {"issuer": settings.server_url, **endpoints, "scopes_supported": list(scopes), **lists}


def dex_scope(resource: str) -> str:
    """Returns the scope that the proxy always requests from Dex; its last part puts the resource into `aud`."""
    return f"openid profile groups audience:server:client_id:{resource}"


def _resource_choice(settings: DexSettings) -> str:
    """Renders the choice of the audience: the resource that the login names (RFC 8707 section 2), else the first."""
    lines = []
    for number, url in enumerate(settings.further):
        lines += [
            f'@resource{number} expression `{{query.resource}} == "{url}"`',
            f'vars @resource{number} dex_scope "{dex_scope(url)}"',
        ]
    return "".join(f"\t\t\t\t{line}\n" for line in lines)


def _caddyfile(settings: DexSettings, source: DexTemplates) -> str:
    registration = settings.access.registration
    local = ["local"] if settings.access.demo_users else []
    password_connectors = [c["id"] for c in source.connectors if c.get("type") in _PASSWORD_TYPES]
    sending = [c["id"] for c in source.connectors if c.get("type") not in _PASSWORD_TYPES]
    callback = render_template(_CALLBACK, connectors=_paths("/callback/{}", sending)) if sending else ""
    return render_template(
        source.caddyfile,
        upstream=settings.upstream,
        folder=FOLDER,
        scope=dex_scope(settings.public_url),
        resource_choice=_resource_choice(settings),
        web_origins=origin_matchers(registration),
        registration=CLOSED if registration.profile == "closed" else render_template(REGISTRATION, folder=FOLDER),
        connector_starts=_paths("/auth/{}", [*local, *password_connectors, *sending]),
        connector_pages=_paths("/auth/{}/login", [*local, *password_connectors]),
        callback=callback,
        redirect_help=redirect_help(registration),
        not_plain_query=not_plain("{http.request.uri.query}"),
    )


def _paths(form: str, connectors: list[str]) -> str:
    return "".join(f" {form.format(name)}" for name in connectors)
