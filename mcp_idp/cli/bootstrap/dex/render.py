"""Renders Dex's configuration and the files of the registration proxy."""

from __future__ import annotations

import hashlib
import json
import secrets
from typing import TYPE_CHECKING

import yaml

from mcp_idp.cli.bootstrap.dex.proxy_files import proxy_files
from mcp_idp.cli.bootstrap.dex.static_clients import public_clients, resource_client
from mcp_idp.cli.bootstrap.dex.static_passwords import static_passwords
from mcp_idp.cli.bootstrap.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mcp_idp.cli.bootstrap.dex.settings import DexSettings
    from mcp_idp.cli.bootstrap.dex.templates import DexTemplates, Json

CONFIG = "dex/config.yaml"
_MARKER_PREFIX = "rendered-"
_HEADER = """\
# Written by scripts/bootstrap_idp.py from idp-config/access.yaml and idp-config/dex: change those.
# Nothing here is secret except `hash` and secrets of connectors. No one uses the client rendered-…: its id shows
# whether a running Dex has read this version of the file.
"""
_BYTES = 32


def render(settings: DexSettings, source: DexTemplates, current: Mapping[str, str], cost: int) -> dict[str, str]:
    """Renders the files.

    Args:
        settings: The settings of the run.
        source: The templates and Dex's own configuration.
        current: The files of an earlier run; random values in them are kept while they are valid.
        cost: The bcrypt cost of password hashes.

    Returns:
        Path relative to the output folder, to content.

    Raises:
        ConfigError: The configuration is inconsistent, for example because no user could log in.
    """
    config = _config(settings, source, read_config(current.get(CONFIG, "")), cost)
    config["staticClients"].append(
        {"id": _MARKER_PREFIX + digest(config), "name": "configuration marker", "secret": _of_resource(config)}
    )
    text = _HEADER + yaml.safe_dump(config, sort_keys=False, allow_unicode=True, width=120)
    return {CONFIG: text, **{f"front/{name}": body for name, body in proxy_files(settings, source).items()}}


def config_marker(config: Json) -> str:
    """Returns the id of the marker client, by which a running Dex shows that it has read `config`; else ""."""
    ids = [str(client.get("id")) for client in config.get("staticClients") or [] if isinstance(client, dict)]
    return next((name for name in ids if name.startswith(_MARKER_PREFIX)), "")


def digest(config: Json) -> str:
    """Returns a hash that identifies this configuration: 16 hexadecimal digits of its SHA-256."""
    return hashlib.sha256(json.dumps(config, sort_keys=True).encode()).hexdigest()[:16]


def read_config(text: str) -> Json:
    """Parses an earlier configuration; returns an empty one if it is unreadable, so that it is rewritten."""
    try:
        config = yaml.safe_load(text)
    except yaml.YAMLError:
        return {}
    return config if isinstance(config, dict) else {}


def _config(settings: DexSettings, source: DexTemplates, current: Json, cost: int) -> Json:
    access = settings.access
    if not access.demo_users and not source.connectors:
        raise ConfigError("no user could log in: add demo_users to the access file or connectors to DEX_CONFIG")
    clients = public_clients(access, source.proxy)
    ids = [str(client["id"]) for client in clients]
    resources = {settings.public_url: access.resource.name, **settings.further}
    for url in resources:
        if url in ids:
            raise ConfigError(f"clients.{url}: choose another id; this is the resource's own")
    return {
        "issuer": settings.server_url,
        "web": {"http": "0.0.0.0:5556"},
        "telemetry": {"http": "127.0.0.1:5558"},  # health and metrics, on loopback only
        "frontend": {"issuer": access.resource.name},
        **source.dex,
        "enablePasswordDB": bool(access.demo_users),
        "staticPasswords": static_passwords(access, settings.server_url, _hashes(current), cost),
        "staticClients": [
            *(resource_client(name, url, _secret(current, url), ids) for url, name in resources.items()),
            *clients,
        ],
    }


def _secret(current: Json, resource: str) -> str:
    """Returns the resource's client secret; it is kept between runs, so that a second run changes nothing."""
    for client in _mappings(current.get("staticClients")):
        secret = client.get("secret")
        if client.get("id") == resource and isinstance(secret, str) and secret:
            return secret
    return secrets.token_urlsafe(_BYTES)


def _of_resource(config: Json) -> str:
    secret: str = config["staticClients"][0]["secret"]
    return secret


def _hashes(current: Json) -> dict[str, str]:
    return {str(user.get("email")): str(user.get("hash")) for user in _mappings(current.get("staticPasswords"))}


def _mappings(value: object) -> list[Json]:
    return [entry for entry in value if isinstance(entry, dict)] if isinstance(value, list) else []
