"""The settings of a run for the registration proxy of Entra, read from the environment under the server's names."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from mcp_idp.access.policy import AccessPolicy, load_access
from mcp_idp.cli.bootstrap.env import access_file, load_from_env, public_url
from mcp_idp.cli.bootstrap.errors import ConfigError
from mcp_idp.cli.common.installation import provider_files
from mcp_idp.config.stack_settings import names_read_by, read_setting
from mcp_idp.providers import PROFILES
from mcp_idp.util.urls import is_loopback

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from mcp_idp.config.env import EnvReader

NAMES = names_read_by("entra")
FOLDER = "FRONT_FILES"
_PROFILES = ("open-dev", "loopback-only", "closed")
# The URLs are inserted into the Caddyfile, so they must not contain blanks, quotes, braces or escapes.
_SAFE_URL = re.compile(r"https?://[A-Za-z0-9.\[\]:-]+(/[A-Za-z0-9._~@/-]*)?", re.ASCII)
_CLIENT_ID = re.compile(r"[A-Za-z0-9-]{1,100}", re.ASCII)
_VERSION = "/v2.0"


@dataclass(frozen=True, slots=True, kw_only=True)
class EntraSettings:
    """The settings of one run.

    Attributes:
        proxy_url: The proxy's origin, which is the authorization server that the MCP server names.
        issuer: The issuer of the tokens: Entra's own, for one tenant, version 2.
        client_id: The public client that is registered at Entra for all MCP clients.
        folder: The output folder; files are written to `front/` in it.
        sources: The folder with the templates.
        access: The access policy.
    """

    proxy_url: str
    issuer: str
    client_id: str
    folder: Path
    sources: Path
    access: AccessPolicy

    @property
    def tenant_url(self) -> str:
        """The common prefix of the tenant's endpoints."""
        return self.issuer.removesuffix(_VERSION)

    @property
    def is_secure(self) -> bool:
        """Whether browsers reach the proxy over TLS."""
        return self.proxy_url.startswith("https://")

    @classmethod
    def load(cls, variables: Mapping[str, str]) -> EntraSettings:
        """Reads the environment and the access file that it names.

        Raises:
            ConfigError: A value is invalid; the message is one line that says what to change.
        """
        settings, resource = load_from_env(variables, lambda env: (_read(env), public_url(env)))
        _check_provider(settings)
        _check_proxy(settings, resource)
        return settings


def _read(env: EnvReader) -> EntraSettings:
    access = access_file(env)
    return EntraSettings(
        proxy_url=env.get_url("OAUTH_SERVER_URL") or "",
        issuer=env.get_url("JWT_ISSUER") or "",
        client_id=read_setting(env, "FRONT_CLIENT_ID"),
        folder=read_setting(env, FOLDER),
        sources=provider_files(access, "entra"),
        access=load_access(access),
    )


def _check_provider(settings: EntraSettings) -> None:
    fault = PROFILES["entra"].issuer_error(settings.issuer)
    if fault is not None or not settings.issuer.endswith(_VERSION) or not _SAFE_URL.fullmatch(settings.issuer):
        raise ConfigError(
            f"JWT_ISSUER={settings.issuer}: {fault or 'write https://login.microsoftonline.com/<tenant id>/v2.0'}"
        )
    if not _CLIENT_ID.fullmatch(settings.client_id):
        raise ConfigError(
            f"FRONT_CLIENT_ID={settings.client_id}: write the application id of the public client at Entra"
        )
    if not settings.access.scope_prefix:
        raise ConfigError("scope_prefix: Entra requires full scope names: write api://<application id of the API>/")


def _check_proxy(settings: EntraSettings, resource: str) -> None:
    parts = urlsplit(settings.proxy_url)
    if not _SAFE_URL.fullmatch(settings.proxy_url) or parts.path:
        raise ConfigError(
            f"OAUTH_SERVER_URL={settings.proxy_url}: write the origin of the registration proxy, such as https://login.example.com"
        )
    if settings.access.registration.profile not in _PROFILES:
        raise ConfigError(f"registration.profile: the registration proxy supports {', '.join(_PROFILES)} only")
    for name, url in (("OAUTH_SERVER_URL", settings.proxy_url), ("MCP_PUBLIC_URL", resource)):
        if is_loopback(urlsplit(url).hostname or ""):
            continue
        if url.startswith("http://"):
            raise ConfigError(f"{name}={url}: use https; tokens would cross the network unencrypted")
        if settings.access.registration.profile == "open-dev":
            raise ConfigError(f"registration.profile: {name} is not on this machine: write loopback-only or closed")
