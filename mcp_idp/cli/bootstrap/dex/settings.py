"""The settings of a run for Dex, read from the environment.

Shared settings have the server's names, so that one `.env` serves both.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from mcp_idp.access.policy import AccessPolicy, load_access
from mcp_idp.cli.bootstrap.env import access_file, load_from_env, public_url
from mcp_idp.cli.bootstrap.errors import ConfigError
from mcp_idp.cli.bootstrap.network_checks import check_internal_url, on_loopback, require_production_safe
from mcp_idp.cli.common.installation import provider_files
from mcp_idp.config.stack_settings import default_of, names_read_by, read_setting

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mcp_idp.config.env import EnvReader

NAMES = names_read_by("dex")
_ISSUER = "http://localhost:5556"  # of docker-compose.dex.yml
_PROFILES = ("open-dev", "loopback-only", "closed")
_HOST_AND_PORT = re.compile(r"([A-Za-z0-9.-]+|\[[0-9a-f:]+\]):[0-9]{1,5}", re.ASCII)
# Both URLs are inserted into the Caddyfile and into a scope, so they must not contain blanks, quotes, braces or escapes
# (RFC 3986 section 3.3 would allow some of these).
_SAFE_URL = re.compile(r"https?://[A-Za-z0-9.\[\]:-]+(/[A-Za-z0-9._~:@/-]*)?", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class DexSettings:
    """The settings of one run.

    Attributes:
        server_url: The issuer as in tokens and browsers, which is the proxy's address.
        internal_url: The proxy's URL as this process reaches it.
        public_url: The resource: the audience of the tokens, and the id of the client that represents it at Dex.
        upstream: Host and port at which the proxy and this process reach Dex itself.
        folder: The output folder; files are written to `dex/config.yaml` and `front/`.
        sources: The folder with Dex's files next to the access file.
        config: Names of files in `sources` with Dex's own configuration; members of later files replace earlier ones.
        access: The access policy.
        further: The display names of further resources behind the same Dex, by URL.
        in_container: Whether this process runs in a container (the image sets RUNNING_IN_CONTAINER).
    """

    server_url: str = _ISSUER
    internal_url: str = _ISSUER
    public_url: str = default_of("MCP_PUBLIC_URL")
    upstream: str = default_of("DEX_UPSTREAM")
    folder: Path = default_of("DEX_FILES")
    sources: Path = Path("idp-config/dex")
    config: tuple[str, ...] = default_of("DEX_CONFIG")
    access: AccessPolicy
    further: Mapping[str, str] = field(default_factory=dict)
    in_container: bool = False

    @property
    def on_loopback(self) -> bool:
        """Whether issuer and resource are both on loopback."""
        return on_loopback(self)

    @classmethod
    def load(cls, variables: Mapping[str, str]) -> DexSettings:
        """Reads the environment and the access file that it names.

        Raises:
            ConfigError: A value is invalid; the message is one line that says what to change.
        """
        settings = load_from_env(variables, _read)
        check_settings(settings)
        return settings


def _read(env: EnvReader) -> DexSettings:
    server_url = env.get_url("OAUTH_SERVER_URL") or _ISSUER
    access = access_file(env)
    return DexSettings(
        server_url=server_url,
        internal_url=env.get_url("OAUTH_INTERNAL_URL") or server_url,
        public_url=public_url(env),
        upstream=read_setting(env, "DEX_UPSTREAM"),
        folder=read_setting(env, "DEX_FILES"),
        sources=provider_files(access, "dex"),
        config=read_setting(env, "DEX_CONFIG"),
        access=load_access(access),
        in_container=read_setting(env, "RUNNING_IN_CONTAINER"),
    )


def check_settings(settings: DexSettings) -> None:
    """Validates settings that cannot be used with Dex or are unsafe.

    Raises:
        ConfigError: The message is one line that says what to change.
    """
    _check_urls(settings)
    if not _HOST_AND_PORT.fullmatch(settings.upstream):
        raise ConfigError(f"DEX_UPSTREAM={settings.upstream}: write where Dex listens, such as dex:5556")
    for name in settings.config:
        if Path(name).is_absolute() or ".." in Path(name).parts:
            raise ConfigError(f"DEX_CONFIG={name}: write names in {settings.sources}, such as dex.yaml,postgres.yaml")
    check_profile(settings.access.registration.profile)
    if not settings.on_loopback:
        require_production_safe(settings, "loopback-only or closed")


def check_profile(profile: str) -> None:
    """Rejects a registration profile that is not supported with Dex.

    Raises:
        ConfigError: The message names the supported profiles.
    """
    if profile not in _PROFILES:
        raise ConfigError(f"registration.profile: Dex does not support {profile}: write one of {', '.join(_PROFILES)}")


def _check_urls(settings: DexSettings) -> None:
    for name, url in (("OAUTH_SERVER_URL", settings.server_url), ("MCP_PUBLIC_URL", settings.public_url)):
        if not _SAFE_URL.fullmatch(url):
            raise ConfigError(f"{name}={url}: with Dex, use only letters, digits and . _ ~ - : @ /")
    if urlsplit(settings.server_url).path:
        raise ConfigError(
            f"OAUTH_SERVER_URL={settings.server_url}: the registration proxy serves Dex at the root of its own origin: "
            "write the issuer without a path and without a trailing slash"
        )
    check_internal_url(settings, "the registration proxy is reachable from here, such as http://front:5556")
