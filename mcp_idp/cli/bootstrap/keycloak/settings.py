"""Settings of the Keycloak bootstrap, read from the environment.

Variables that the MCP server reads too have the same names, so that one `.env` serves both.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from mcp_idp.access.policy import AccessPolicy, load_access
from mcp_idp.cli.bootstrap.env import access_file, load_from_env, public_url
from mcp_idp.cli.bootstrap.errors import ConfigError
from mcp_idp.cli.bootstrap.keycloak.credential_loading import SecretSource, secret_sources
from mcp_idp.cli.bootstrap.network_checks import _NOT_LOOPBACK, check_internal_url, on_loopback, require_production_safe
from mcp_idp.cli.bootstrap.secret_file import read_secret
from mcp_idp.cli.common.installation import provider_files
from mcp_idp.config.client_signing_key import ClientSigningKey, InvalidClientKey
from mcp_idp.config.env import SettingsError
from mcp_idp.config.stack_settings import default_of, names_read_by, read_setting

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mcp_idp.config.env import EnvReader

NAMES = names_read_by("keycloak")
_DEFAULT_SECRETS = frozenset({"admin", "changeme", "change-me", "changethis", "password", "secret", "bootstrap"})


@dataclass(frozen=True, slots=True, kw_only=True)
class KeycloakSettings:
    """Settings of one run.

    Attributes:
        server_url: the issuer, as in tokens and browsers.
        internal_url: the URL at which this process reaches the same realm.
        public_url: the resource: audience of the tokens and client id of the introspection client.
        admin_realm: the realm that the admin client belongs to.
        admin_client_id: a client whose service account may administer the realm or, for `check`, read it.
        admin_client_secret: its secret.
        client_secret_file: the file with the introspection client's secret; None leaves the provider's secret
            unchanged.
        client_signs: whether the introspection client authenticates with `private_key_jwt` in place of a secret.
        client_key: its key, of which only the public half is written; None leaves the provider's key unchanged.
        accounts: the folder with the secrets of this realm's service accounts, which replace the admin client.
        service_client_secrets: sources of the service clients' secrets, by client id.
        provider_folder: the folder with `realm.yaml` and `client-policies.yaml`.
        access: the access file.
        moved_from: the former public URL of the server; empty if it did not move.
        in_container: whether "localhost" means this container only (the image sets RUNNING_IN_CONTAINER).
    """

    server_url: str = default_of("OAUTH_SERVER_URL")
    internal_url: str = default_of("OAUTH_SERVER_URL")
    public_url: str = default_of("MCP_PUBLIC_URL")
    admin_realm: str = default_of("KEYCLOAK_ADMIN_REALM")
    admin_client_id: str = default_of("KEYCLOAK_ADMIN_CLIENT_ID")
    admin_client_secret: str = field(repr=False)
    client_secret_file: Path | None = None
    client_signs: bool = False
    client_key: ClientSigningKey | None = None
    accounts: Path | None = None
    service_client_secrets: Mapping[str, SecretSource] = field(default_factory=dict)
    provider_folder: Path = Path("idp-config/keycloak")
    access: AccessPolicy
    moved_from: str = ""
    in_container: bool = False

    @property
    def realm(self) -> str:
        """The realm's name: the last segment of the issuer's path."""
        return self.server_url.rpartition("/realms/")[2]

    @property
    def admin_base(self) -> str:
        """The server's base URL as this process reaches it; ends with a slash."""
        return self.internal_url.rpartition("/realms/")[0] + "/"

    @property
    def on_loopback(self) -> bool:
        """Whether issuer and resource are both on loopback."""
        return on_loopback(self)

    @classmethod
    def load(cls, variables: Mapping[str, str], account: str | None = None) -> KeycloakSettings:
        """Reads and validates the environment and the access file that it names.

        Args:
            variables: the environment.
            account: the service account (a key of `admin_accounts.ACCOUNTS`) to run as, if its secret exists in the
                folder KEYCLOAK_ACCOUNTS; otherwise, and with None, the run uses the admin client.

        Raises:
            ConfigError: a value cannot work; the text says what to change, in one line.
        """
        settings = load_from_env(variables, lambda env: _read(env, account))
        _check(settings)
        return settings


def account_id(realm: str, account: str) -> str:
    """Returns the client id, in the master realm, of a service account of `realm`."""
    return f"{realm}-{account}"


def account_file(folder: Path, account: str) -> Path:
    """Returns the path of an account's secret. The file exists once the account has been verified."""
    return folder / account / "secret"


def _read(env: EnvReader, account: str | None) -> KeycloakSettings:
    server_url = read_setting(env, "OAUTH_SERVER_URL")
    secret_file = env.get_str("OAUTH_CLIENT_SECRET_FILE")
    source = access_file(env)
    access = load_access(source)
    accounts = read_setting(env, "KEYCLOAK_ACCOUNTS")
    account_secret = read_secret(account_file(accounts, account)) if accounts and account else None
    if account_secret and account:
        admin = {"admin_client_id": account_id(server_url.rpartition("/realms/")[2], account)}
    else:
        admin = {
            "admin_realm": read_setting(env, "KEYCLOAK_ADMIN_REALM"),
            "admin_client_id": read_setting(env, "KEYCLOAK_ADMIN_CLIENT_ID"),
        }
    return KeycloakSettings(
        server_url=server_url,
        internal_url=env.get_url("OAUTH_INTERNAL_URL") or server_url,
        public_url=public_url(env),
        **admin,
        admin_client_secret=account_secret or _admin_secret(env),
        client_secret_file=Path(secret_file) if secret_file else None,
        client_signs=_uses_private_key_jwt(env),
        client_key=_client_key(env),
        accounts=accounts,
        provider_folder=provider_files(source, "keycloak"),
        service_client_secrets=secret_sources(env, access),
        access=access,
        in_container=read_setting(env, "RUNNING_IN_CONTAINER"),
    )


def _admin_secret(env: EnvReader) -> str:
    secret = env.get_secret("KEYCLOAK_ADMIN_CLIENT_SECRET", required=True)
    if secret is None:
        raise SettingsError(
            "KEYCLOAK_ADMIN_CLIENT_SECRET_FILE: set it to the file with the admin client's secret "
            "(the compose stack's never leaves its volume: there, run the same verb as "
            "docker compose run --rm bootstrap plan, check, probe or apply)"
        )
    return secret


def _uses_private_key_jwt(env: EnvReader) -> bool:
    return env.get_str("OAUTH_CLIENT_AUTH") == "private_key_jwt"


def _client_key(env: EnvReader) -> ClientSigningKey | None:
    """Reads the key of OAUTH_CLIENT_KEY_FILE; None unless the server authenticates with `private_key_jwt`."""
    path = env.get_str("OAUTH_CLIENT_KEY_FILE")
    if path is None or not _uses_private_key_jwt(env):
        return None
    try:
        return ClientSigningKey.from_pem(Path(path).read_bytes())
    except InvalidClientKey as error:
        raise SettingsError(f"OAUTH_CLIENT_KEY_FILE={path}: {error}") from error
    except OSError as error:
        raise SettingsError(f"OAUTH_CLIENT_KEY_FILE={path}: cannot be read ({error.strerror})") from error


def _check(settings: KeycloakSettings) -> None:
    for name, url in (("OAUTH_SERVER_URL", settings.server_url), ("OAUTH_INTERNAL_URL", settings.internal_url)):
        before, _, realm = url.rpartition("/realms/")
        if not before or not realm or "/" in realm:
            raise ConfigError(f"{name}={url}: write the issuer of a Keycloak realm, ending with /realms/<name>")
    if settings.public_url in settings.access.upstreams:
        raise ConfigError(f"upstreams.{settings.public_url}: is the resource itself")
    if settings.realm == "master":
        raise ConfigError("OAUTH_SERVER_URL: the realm 'master' administers Keycloak; use a realm of its own")
    if not settings.internal_url.endswith(f"/realms/{settings.realm}"):
        raise ConfigError(f"OAUTH_INTERNAL_URL={settings.internal_url}: must end with /realms/{settings.realm}")
    check_internal_url(settings, "Keycloak is from here, such as http://keycloak:8080/realms/mcp")
    if not settings.on_loopback:
        require_production_safe(settings, "loopback-only, initial-access-token or closed")
        if settings.admin_client_secret.lower() in _DEFAULT_SECRETS:
            raise ConfigError(
                f"KEYCLOAK_ADMIN_CLIENT_SECRET is a default password, and {_NOT_LOOPBACK}: choose a random one"
            )
