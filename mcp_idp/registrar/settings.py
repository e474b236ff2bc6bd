"""The settings of the registrar, read from environment variables. `docs/registrar.md` documents them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from mcp_idp.config.env import EnvReader
from mcp_idp.config.setting_declaration import read_fields
from mcp_idp.config.settings import Settings
from mcp_idp.config.stack_settings import KNOWN_NAMES, default_of, names_read_by, read_setting

if TYPE_CHECKING:
    from collections.abc import Mapping

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
_DEFAULT_PORT = 3001
HOME_HOSTS: tuple[str, ...] = default_of("REGISTRAR_CLIENT_URI_HOSTS")
"""Hosts that known clients have in `client_uri`; the same as `client_uri_hosts` of Keycloak's realm.yaml."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistrarSettings:
    """The settings of one registrar.

    Attributes:
        upstream_url: the provider's registration endpoint, as reachable from here.
        rate_limit: registrations of one address in a minute; 0 for no limit.
        home_hosts: hosts that `client_uri` may have, in addition to those of the redirect URIs.
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
    env.reject_typos((*names_read_by("registrar"), *_SHARED), KNOWN_NAMES)
    shared = EnvReader({name: variables[name] for name in _SHARED if name in variables})
    server = Settings(**read_fields(Settings, shared))
    issuer = server.internal_url or server.server_url
    return RegistrarSettings(
        upstream_url=read_setting(env, "REGISTRAR_UPSTREAM_URL") or issuer.rstrip("/") + _KEYCLOAK_PATH,
        rate_limit=read_setting(env, "REGISTRAR_RATE_LIMIT"),
        home_hosts=frozenset(read_setting(env, "REGISTRAR_CLIENT_URI_HOSTS")),
        server=server if shared.get_str("PORT") else replace(server, port=_DEFAULT_PORT),
    )
