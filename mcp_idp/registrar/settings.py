"""The settings of the registrar, read from environment variables. `docs/registrar.md` documents them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mcp_idp.config.env import COMPOSE_ONLY_VARIABLES, EnvReader
from mcp_idp.config.settings import Settings
from mcp_idp.util.memory_plan import MIN_MAX_MEMORY

if TYPE_CHECKING:
    from collections.abc import Mapping

NAMES = (
    "REGISTRAR_UPSTREAM_URL",
    "REGISTRAR_RATE_LIMIT",
    "REGISTRAR_CLIENT_URI_HOSTS",
)
_SHARED = (
    "OAUTH_SERVER_URL",
    "OAUTH_INTERNAL_URL",
    "OAUTH_CA_FILE",
    "ACCESS_FILE",
    "HOST",
    "PORT",
    "TRUSTED_PROXIES",
    "MAX_MEMORY",
    "LOG_FORMAT",
    "LOG_LEVEL",
)
_KEYCLOAK_PATH = "/clients-registrations/openid-connect"
HOME_HOSTS = ("code.visualstudio.com", "github.com")
"""Hosts that known clients have in `client_uri`; the same as `client_uri_hosts` of Keycloak's realm.yaml."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistrarSettings:
    """The settings of one registrar.

    Attributes:
        upstream_url: the provider's registration endpoint, as reachable from here.
        rate_limit: registrations of one address in a minute; 0 for no limit.
        home_hosts: hosts that `client_uri` may have, besides those of the redirect URIs.
        server: the settings of the HTTP server, the log and the access file.
    """

    upstream_url: str
    rate_limit: int
    home_hosts: frozenset[str]
    server: Settings


def load_registrar_settings(variables: Mapping[str, str]) -> RegistrarSettings:
    """Reads the settings.

    Args:
        variables: the environment variables, such as `os.environ`.

    Raises:
        SettingsError: a value cannot work. The message is one line that says what to change.
    """
    env = EnvReader(variables)
    env.reject_typos((*NAMES, *_SHARED), COMPOSE_ONLY_VARIABLES)
    issuer = env.get_url("OAUTH_INTERNAL_URL") or env.get_url("OAUTH_SERVER_URL") or Settings().server_url
    ca_file = env.get_str("OAUTH_CA_FILE")
    return RegistrarSettings(
        upstream_url=env.get_url("REGISTRAR_UPSTREAM_URL") or issuer.rstrip("/") + _KEYCLOAK_PATH,
        rate_limit=env.get_int("REGISTRAR_RATE_LIMIT", 60, minimum=0, maximum=1_000_000),
        home_hosts=frozenset(env.get_list("REGISTRAR_CLIENT_URI_HOSTS") or HOME_HOSTS),
        server=Settings(
            host=env.get_str("HOST") or "127.0.0.1",
            port=env.port("PORT", 3001),
            trusted_proxies=env.get_networks("TRUSTED_PROXIES"),
            max_memory=env.get_bytes("MAX_MEMORY", minimum=MIN_MAX_MEMORY),
            ca_file=Path(ca_file) if ca_file else None,
            log_format=env.get_choice("LOG_FORMAT", ("auto", "text", "json"), "auto"),
            log_level=env.get_choice("LOG_LEVEL", ("debug", "info", "warning", "error"), "info"),
            access_file=Path(env.get_str("ACCESS_FILE") or "idp-config/access.yaml"),
        ),
    )
