"""The settings that the compose files and the bootstrap read, and the server does not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mcp_idp.config.setting_declaration import (
    Section,
    Setting,
    declared_settings,
    read_flag,
    read_list,
    read_path,
    read_text,
    read_url,
    whole_number,
)
from mcp_idp.config.settings import Settings

if TYPE_CHECKING:
    from mcp_idp.config.env import EnvReader
    from mcp_idp.config.setting_declaration import Program

_STACK = (
    Section(
        "compose",
        "docker-compose.yml also reads these",
        (
            Setting(
                name="MCP_PORT",
                default="3000",
                read_by=("compose",),
                text=("The ports on the host. Public URL, issuer, audience and redirect URIs follow from them."),
            ),
            Setting(
                name="KEYCLOAK_PORT",
                default="8080",
                read_by=("compose",),
            ),
            Setting(
                name="NOTES_PORT",
                default="3100",
                read_by=("compose",),
                text=("The port of the second server in docker-compose.two-servers.yml."),
            ),
            Setting(
                name="MCP_USER",
                default="reader",
                read_by=("compose",),
                text=(
                    "The user that `docker compose run --rm login` logs in, and the password (a demo user's is the "
                    "user's name). The password is sent only to the issuer configured here, not to another one that a "
                    "server names."
                ),
            ),
            Setting(
                name="MCP_PASSWORD",
                default="reader",
                read_by=("compose", "login"),
            ),
            Setting(
                name="KC_FEATURES",
                example="cimd",
                read_by=("compose",),
                text=(
                    "Keycloak features to enable: the registration profile cimd needs the feature cimd. In production "
                    "they are built into the image: docker compose up --wait --build"
                ),
            ),
            Setting(
                name="KEYCLOAK_ADMIN_CLIENT_ID",
                parse=read_text,
                default="bootstrap",
                read_by=("compose", "keycloak"),
                text=(
                    "The client of Keycloak's master realm that the bootstrap uses. Its secret is generated at the "
                    "first start."
                ),
            ),
            Setting(
                name="QUIRK_ORIGIN_METADATA",
                parse=read_flag,
                default="true",
                read_by=("compose",),
                text=(
                    "Serve the realm's metadata at the origin of its issuer too, for clients that look for it there "
                    "(docs/clients/quirks.md). In production the default is false."
                ),
            ),
            Setting(
                name="REGISTRAR_RATE_LIMIT",
                parse=whole_number(0, 1_000_000),
                default="60",
                read_by=("compose", "registrar"),
                text="How many clients one address may register per minute; 0 for no limit (docs/registrar.md).",
            ),
            Setting(
                name="REGISTRAR_CLIENT_URI_HOSTS",
                parse=read_list,
                default="code.visualstudio.com github.com",
                read_by=("compose", "registrar"),
                text=(
                    "Hosts that clients may name in client_uri, in addition to those of redirect URIs. Keep them equal "
                    "to client_uri_hosts in realm.yaml."
                ),
            ),
        ),
    ),
    Section(
        "compose in production",
        "docker-compose.production.yml also reads these",
        (
            Setting(
                name="MCP_HOST",
                read_by=("compose",),
                text=("The host names of the MCP server and of the login pages, without https:// and port."),
            ),
            Setting(
                name="LOGIN_HOST",
                read_by=("compose",),
            ),
            Setting(
                name="CADDY_TLS",
                default="internal",
                read_by=("compose",),
                text=(
                    "How Caddy gets certificates: internal (Caddy's own CA, for trials), an e-mail address (Let's "
                    "Encrypt, or ZeroSSL as the fallback), or your own two files: "
                    "CADDY_TLS=/run/secrets/tls-certificate /run/secrets/tls-key"
                ),
            ),
            Setting(
                name="TLS_CERTIFICATE_FILE",
                read_by=("compose",),
            ),
            Setting(
                name="TLS_KEY_FILE",
                read_by=("compose",),
            ),
            Setting(
                name="ACME_CA",
                default="https://acme-v02.api.letsencrypt.org/directory",
                read_by=("compose",),
                text=("Another ACME CA instead of Let's Encrypt, and the file with its root certificate."),
            ),
            Setting(
                name="ACME_CA_ROOT_FILE",
                read_by=("compose",),
            ),
            Setting(
                name="HTTPS_PORT",
                default="443",
                read_by=("compose",),
                text=("The ports that Caddy publishes on the host, optionally with an address: 127.0.0.1:8443."),
            ),
            Setting(
                name="HTTP_PORT",
                default="80",
                read_by=("compose",),
            ),
            Setting(
                name="DATABASE_PASSWORD_FILE",
                default="./.secrets/database-password",
                read_by=("compose",),
                text=("The file with the database password, and the URL of the database, by default the stack's own."),
            ),
            Setting(
                name="KEYCLOAK_DB_URL",
                default="jdbc:postgresql://database:5432/keycloak",
                read_by=("compose",),
            ),
            Setting(
                name="KEYCLOAK_HEAP",
                default="-Xms128m -Xmx512m",
                read_by=("compose",),
                text=("The JVM heap of each of the two Keycloak nodes; the container's memory limit is 1 GiB."),
            ),
        ),
    ),
    Section(
        "compose with Dex",
        "docker-compose.dex.yml and docker-compose.dex.production.yml also read these",
        (
            Setting(
                name="DEX_PORT",
                default="5556",
                read_by=("compose",),
                text=(
                    "The port on the host of the registration proxy in front of Dex, and the files of idp-config/dex "
                    "from which Dex's configuration is rendered, later files overriding earlier ones: "
                    "dex.yaml,connectors/ldap.yaml adds a login by LDAP. Variables that a connector uses as $NAME "
                    "must be passed to the service dex in an override file; only OAUTH_SERVER_URL and the names below "
                    "are passed on by default (docs/dex.md)."
                ),
            ),
            Setting(
                name="DEX_CONFIG",
                parse=read_list,
                default="dex.yaml",
                read_by=("compose", "dex"),
            ),
            Setting(
                name="DEX_POSTGRES_PASSWORD",
                read_by=("compose",),
                text=("Dex's PostgreSQL database, in the production overlay."),
            ),
            Setting(
                name="DEX_POSTGRES_HOST",
                default="database",
                read_by=("compose",),
            ),
            Setting(
                name="DEX_POSTGRES_SSL",
                default="disable",
                read_by=("compose",),
            ),
        ),
    ),
    Section(
        "compose with the registration proxy for Entra ID",
        "docker-compose.entra.yml also reads these",
        (
            Setting(
                name="FRONT_PORT",
                default="5557",
                read_by=("compose",),
                text=(
                    "The port on the host of the registration proxy, and the application id of the public client at "
                    "Entra that it returns to every client that registers."
                ),
            ),
            Setting(
                name="FRONT_CLIENT_ID",
                parse=read_text,
                read_by=("compose", "entra"),
            ),
        ),
    ),
    Section(
        "the bootstrap without compose",
        "scripts/bootstrap_idp.py also reads these",
        (
            Setting(
                name="KEYCLOAK_ADMIN_REALM",
                parse=read_text,
                default="master",
                read_by=("keycloak",),
                text=(
                    "The client with which the bootstrap configures your own Keycloak: its realm and its secret, "
                    "given here or in a file (docs/providers/keycloak.md). The bootstrap service of compose does not "
                    "use these settings."
                ),
            ),
            Setting(
                name="KEYCLOAK_ADMIN_CLIENT_SECRET",
                file_example=".secrets/bootstrap",
                read_by=("keycloak",),
            ),
            Setting(
                name="KEYCLOAK_ACCOUNTS",
                parse=read_path,
                example=".secrets/accounts",
                read_by=("keycloak",),
                text=(
                    "The folder in which `replace-admin` stores the secrets of the service accounts that replace that "
                    "client."
                ),
            ),
        ),
    ),
)

# Set by the compose files and the images, not by users.
_INTERNAL = (
    Setting(name="RUNNING_IN_CONTAINER", parse=read_flag, default="false", read_by=("keycloak", "dex")),
    Setting(name="DEX_UPSTREAM", parse=read_text, default="dex:5556", read_by=("dex",)),
    Setting(name="DEX_FILES", parse=read_path, default=".dex", read_by=("dex",)),
    Setting(name="AUTH0_FILES", parse=read_path, default=".auth0", read_by=("auth0",)),
    Setting(name="FRONT_FILES", parse=read_path, default=".front", read_by=("entra",)),
    Setting(name="REGISTRAR_UPSTREAM_URL", parse=read_url, read_by=("registrar",)),
    Setting(name="STACK_FILE", read_by=("bootstrap",)),
    Setting(name="CONNECT_TO", read_by=("bootstrap", "login")),
)

# What the documentation lists, in its order.
SECTIONS = (
    Section("the server", "mcp_idp/config/settings.py declares these", tuple(declared_settings(Settings))),
    *_STACK,
)
_BY_NAME = {
    declared.name: declared
    for declared in (*(listed for section in SECTIONS for listed in section.settings), *_INTERNAL)
}
# Every variable that any program of the stack reads.
KNOWN_NAMES = frozenset(name for declared in _BY_NAME.values() for name in declared.names)


def names_read_by(program: Program) -> tuple[str, ...]:
    """Returns the variables that a program reads."""
    return tuple(name for declared in _BY_NAME.values() if program in declared.read_by for name in declared.names)


def read_setting(env: EnvReader, name: str) -> Any:
    """Returns the value of a setting in the environment, parsed, or its default.

    Raises:
        SettingsError: The value is invalid.
    """
    return _BY_NAME[name].read(env)


def default_of(name: str) -> Any:
    """Returns the default of a setting, parsed."""
    return _BY_NAME[name].default_value()
