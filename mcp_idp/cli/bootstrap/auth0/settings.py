"""The settings of a run for Auth0, read from the environment.

Shared settings have the server's names, so that one `.env` serves both.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from mcp_idp.access.policy import AccessPolicy, load_access
from mcp_idp.cli.bootstrap.env import access_file, load_from_env, public_url
from mcp_idp.cli.bootstrap.errors import ConfigError
from mcp_idp.cli.common.installation import provider_files
from mcp_idp.config.stack_settings import names_read_by, read_setting
from mcp_idp.util.urls import is_loopback

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from mcp_idp.config.env import EnvReader

NAMES = names_read_by("auth0")
FOLDER = "AUTH0_FILES"
_AUTH0_DOMAIN = ".auth0.com"


@dataclass(frozen=True, slots=True, kw_only=True)
class Auth0Settings:
    """The settings of one run.

    Attributes:
        server_url: The issuer as in the tokens, with its trailing slash.
        public_url: The resource: the identifier of the API at Auth0, and the audience of the tokens.
        folder: Where the files are written.
        sources: The folder with Auth0's files next to the access file.
        access: The access policy.
    """

    server_url: str
    public_url: str
    folder: Path
    sources: Path
    access: AccessPolicy

    @property
    def tenant_domain(self) -> str | None:
        """The tenant's own domain; None for a custom domain, which does not serve the management API."""
        host = urlsplit(self.server_url).hostname or ""
        return host if host.endswith(_AUTH0_DOMAIN) else None

    @classmethod
    def load(cls, variables: Mapping[str, str]) -> Auth0Settings:
        """Reads the environment and the access file that it names.

        Raises:
            ConfigError: A value is invalid; the message is one line that says what to change.
        """
        settings = load_from_env(variables, _read)
        _check(settings)
        return settings


def _read(env: EnvReader) -> Auth0Settings:
    access = access_file(env)
    return Auth0Settings(
        server_url=env.get_url("OAUTH_SERVER_URL") or "",
        public_url=public_url(env),
        folder=read_setting(env, FOLDER),
        sources=provider_files(access, "auth0"),
        access=load_access(access),
    )


def _check(settings: Auth0Settings) -> None:
    issuer, access = urlsplit(settings.server_url), settings.access
    if issuer.scheme != "https" or issuer.path != "/":
        raise ConfigError(
            f"OAUTH_SERVER_URL={settings.server_url}: write the tenant's issuer with its trailing slash, such as "
            "https://acme.eu.auth0.com/"
        )
    public = urlsplit(settings.public_url)
    if public.scheme == "http" and not is_loopback(public.hostname or ""):
        raise ConfigError(f"MCP_PUBLIC_URL={settings.public_url}: tokens would cross the network unencrypted")
    if access.scope_prefix:
        raise ConfigError("scope_prefix: remove it; Auth0 does not prefix scope names")
    if {*access.resource.name} & {"<", ">"}:
        raise ConfigError("resource.name: remove < and >; Auth0 rejects them in the name of an API")
