"""Renders the files of the registration proxy in front of Entra: Caddy's configuration, and the files it serves."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from mcp_idp.access.redirect_uris import LOOPBACK_PATTERN
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
from mcp_idp.cli.bootstrap.errors import ConfigError

if TYPE_CHECKING:
    from mcp_idp.cli.bootstrap.changes import Json
    from mcp_idp.cli.bootstrap.entra.settings import EntraSettings

TEMPLATES = ("Caddyfile", "register.json", "consent.html")


def proxy_files(settings: EntraSettings) -> dict[str, str]:
    """Renders the proxy's files.

    Returns:
        Path relative to the output folder, to content.

    Raises:
        ConfigError: A template cannot be read, or a web origin is invalid.
    """
    templates = {name: _read(settings, name) for name in TEMPLATES}
    return {
        "front/Caddyfile": _caddyfile(settings, templates["Caddyfile"]),
        "front/metadata.json": as_json(metadata(settings)),
        "front/policy.json": as_json(policy(settings)),
        "front/register.json": templates["register.json"],
        "front/consent.html": templates["consent.html"],
    }


def metadata(settings: EntraSettings) -> Json:
    """Returns the metadata of the proxy as an authorization server (RFC 8414 section 2).

    The issuer is the proxy, because it serves the document (section 3.3). Tokens name Entra as issuer; JWT_ISSUER tells
    the server so, and `jwks_uri` refers to Entra's own keys. `openid` is not offered: an ID token would name Entra, not
    this issuer.
    """
    registers = settings.access.registration.profile != "closed"
    return {
        "issuer": settings.proxy_url,
        "authorization_endpoint": f"{settings.proxy_url}/authorize",
        "token_endpoint": f"{settings.proxy_url}/token",
        "jwks_uri": f"{settings.tenant_url}/discovery/v2.0/keys",
        **({"registration_endpoint": f"{settings.proxy_url}/register"} if registers else {}),
        "scopes_supported": [*settings.access.with_scope_prefix(settings.access.scopes), "offline_access"],
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "grant_types_supported": ["authorization_code", "refresh_token"],
        "code_challenge_methods_supported": ["S256"],
        "token_endpoint_auth_methods_supported": ["none"],
    }


def policy(settings: EntraSettings) -> Json:
    """Returns the data for the templates: which clients receive the client id, and the name on the consent page."""
    registration = settings.access.registration
    vendors = registration.vendors if registration.profile == "open-dev" else {}
    return {
        "client_id": settings.client_id,
        "resource": settings.access.resource.name,
        "loopback": LOOPBACK_PATTERN,
        "vendors": {name: list(uris) for name, uris in vendors.items()},
    }


def _caddyfile(settings: EntraSettings, template: str) -> str:
    registration = settings.access.registration
    tenant = urlsplit(settings.tenant_url)
    return render_template(
        template,
        folder=FOLDER,
        client_id=settings.client_id,
        tenant_url=settings.tenant_url,
        tenant_origin=f"{tenant.scheme}://{tenant.netloc}",
        tenant_host=tenant.netloc,
        tenant_path=tenant.path,
        cookie="__Host-consent" if settings.is_secure else "consent",
        secure="; Secure" if settings.is_secure else "",
        web_origins=origin_matchers(registration),
        registration=CLOSED if registration.profile == "closed" else render_template(REGISTRATION, folder=FOLDER),
        redirect_help=redirect_help(registration),
        not_plain_query=not_plain("{http.request.uri.query}"),
        not_plain_form=not_plain("{vars.form}"),
    )


def _read(settings: EntraSettings, name: str) -> str:
    path = settings.sources / name
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read ({type(error).__name__})") from error
