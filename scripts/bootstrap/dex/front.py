"""The files of the front: Caddy's configuration, and what it serves."""

from __future__ import annotations

import json
import re
import string
from typing import TYPE_CHECKING

from scripts.bootstrap.dex.clients import registration_policy
from scripts.bootstrap.failures import SettingsFailure

if TYPE_CHECKING:
    from mcp_server.access_parts import Registration
    from scripts.bootstrap.dex.settings import DexSettings
    from scripts.bootstrap.dex.source import Json, Source

FOLDER = "/run/idp/front"  # where Caddy finds the files, whatever this process calls it

# Types of connectors whose page asks for a password. All others send people away, and get them back at /callback.
_PASSWORD_TYPES = frozenset({"ldap", "keystone", "atlassian-crowd"})
_ORIGIN = re.compile(r"https?://([a-z0-9.-]+|\[[0-9a-f:]+\])(:[0-9]{1,5})?", re.ASCII)

_REGISTRATION = """\
			route {
				root * %%{folder}
				method GET
				rewrite * /register.json
				templates {
					mime application/json
				}
				file_server {
					status 201
				}
			}"""
_CLOSED = "\t\t\terror 403"
_CALLBACK = """
		# Where a connector's provider sends people back to: SAML posts, the others redirect.
		@callback path /callback%%{connectors}
		handle @callback {
			import methods callback "GET, POST" GET POST
			import page
			import dex
		}
"""


class _Template(string.Template):
    """With a mark of its own: `$` and `{` are Caddy's."""

    delimiter = "%%"


def front_files(settings: DexSettings, source: Source) -> dict[str, str]:
    """The front's files, by name.

    Raises:
        SettingsFailure: a web origin is none.
    """
    return {
        "Caddyfile": _caddyfile(settings, source),
        "metadata.json": _json(metadata(settings, source)),
        "policy.json": _json(registration_policy(settings.access, source.front)),
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
    callback = _fill(_CALLBACK, connectors=_paths("/callback/{}", sending)) if sending else ""
    return _fill(
        source.caddyfile,
        upstream=settings.upstream,
        folder=FOLDER,
        scope=dex_scope(settings),
        web_origins=_origins(registration),
        registration=_CLOSED if registration.profile == "closed" else _fill(_REGISTRATION, folder=FOLDER),
        connector_starts=_paths("/auth/{}", [*local, *asking, *sending]),
        connector_pages=_paths("/auth/{}/login", [*local, *asking]),
        callback=callback,
        redirects_taken=_redirects_taken(registration),
    )


def _fill(template: str, **values: str) -> str:
    try:
        return _Template(template).substitute(values)
    except (KeyError, ValueError) as error:
        raise SettingsFailure(f"Caddyfile: a placeholder that is not known: {error}") from error


def _paths(form: str, connectors: list[str]) -> str:
    return "".join(f" {form.format(name)}" for name in connectors)


def _origins(registration: Registration) -> str:
    """Lines of a matcher, any of which may fit."""
    if registration.profile == "closed" or not registration.web_origins:
        return "\t\texpression `false`"
    for origin in registration.web_origins:
        if not _ORIGIN.fullmatch(origin):
            raise SettingsFailure(f"registration.web_origins: '{origin}' is no origin such as http://localhost:6274")
    return "\n".join(f"\t\theader Origin {origin}" for origin in registration.web_origins)


def _redirects_taken(registration: Registration) -> str:
    """For people whose program was refused."""
    loopback = "http on localhost, 127.0.0.1 or [::1], at any port, with a plain path"
    if registration.profile != "open-dev" or not registration.vendors:
        return f"1 to 10 redirect_uris, each {loopback}."
    vendors = ", ".join(name for name in registration.vendors if re.fullmatch(r"[A-Za-z0-9 ._-]+", name))
    return f"1 to 10 redirect_uris: each {loopback}; or each one of those of one vendor: {vendors}."


def _json(document: Json) -> str:
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"
