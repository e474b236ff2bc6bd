"""The settings of one server, and how they are read from environment variables."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from mcp_idp.config.client_signing_key import load_client_key, uses_private_key_jwt
from mcp_idp.config.metrics_settings import MetricsSettings
from mcp_idp.config.rate_limit_settings import RateLimitSettings
from mcp_idp.config.setting_declaration import (
    choice_of,
    declared_settings,
    read_duration,
    read_fields,
    read_flag,
    read_hosts,
    read_networks,
    read_origins,
    read_path,
    read_port,
    read_text,
    read_url,
    setting,
    setting_group,
    size_of_at_least,
    whole_number,
)
from mcp_idp.providers import PROFILES, ProviderProfile, profile_for
from mcp_idp.util.container_memory import container_memory_limit
from mcp_idp.util.memory_plan import DEFAULT_MAX_MEMORY, MIN_MAX_MEMORY, MemoryPlan

if TYPE_CHECKING:
    from pathlib import Path

    from mcp_idp.config.client_signing_key import ClientSigningKey
    from mcp_idp.config.env import EnvReader

_ISSUER = "http://localhost:8080/realms/mcp"
_RESOURCE = "http://localhost:3000/mcp"


def _read_profile(env: EnvReader, name: str) -> ProviderProfile | None:
    """Returns the profile that the variable names; None if unset."""
    chosen = env.get_choice(name, tuple(PROFILES))
    return PROFILES[chosen] if chosen is not None else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The settings of one server: each field states its variable, how it is read, its default and what it does.

    `.env.example` and docs/settings.md are written from these fields, in this order. Durations are in seconds. URLs are
    compared byte for byte and never normalized.
    """

    server_url: str = setting(
        "OAUTH_SERVER_URL",
        read_url,
        _ISSUER,
        example="https://login.example.com/realms/team",
        also_read_by=("keycloak", "dex", "auth0", "entra"),
        text=(
            "The issuer, exactly as the tokens and the browser show it. The provider's metadata at "
            '<issuer>/.well-known/openid-configuration has it as "issuer". To change the provider, change this '
            "variable. The default is the stack's own Keycloak: http://localhost:8080/realms/mcp. The scripts send "
            "passwords and secrets only to this issuer."
        ),
    )
    internal_url: str | None = setting(
        "OAUTH_INTERNAL_URL",
        read_url,
        example="http://login:8080/realms/team",
        also_read_by=("keycloak", "dex"),
        text=(
            "The address at which this process reaches the same issuer, if it differs from the public one. Compose "
            "sets it for its own Keycloak."
        ),
    )
    provider: ProviderProfile = setting(
        "OAUTH_PROVIDER",
        _read_profile,
        "keycloak",
        text=(
            "The provider profile, which describes the format of the tokens: keycloak, dex, nanoidp, okta, auth0, "
            "entra, cognito, google, authentik, zitadel, ory, authelia or generic. By default it is derived from the "
            "issuer; set it for Dex, nanoidp, Authelia and custom domains. docs/providers has a page on each."
        ),
    )
    public_url: str = setting(
        "MCP_PUBLIC_URL",
        read_url,
        _RESOURCE,
        also_read_by=("keycloak", "dex", "auth0", "entra"),
        text=(
            "The resource: the exact URL that clients use, and the audience that their tokens must have. Without a "
            "trailing slash."
        ),
    )
    host: str = setting(
        "HOST",
        read_text,
        "127.0.0.1",
        text=("The address and port on which the server listens."),
    )
    port: int = setting(
        "PORT",
        read_port,
        "3000",
    )
    token_mode: str = setting(
        "AUTH_TOKEN_MODE",
        choice_of("jwt", "introspection"),
        "jwt",
        text=(
            "jwt verifies tokens with the provider's keys; introspection asks the provider about each token (RFC "
            "7662). That also supports opaque tokens and notices logouts, at the cost of at most one introspection "
            "call per token every 30 seconds."
        ),
    )
    issuer: str = setting(
        "JWT_ISSUER",
        read_url,
        _ISSUER,
        example="https://login.example.com/realms/team",
        default_from="server_url",
        also_read_by=("entra",),
        text=("Overrides for values that are otherwise discovered from the issuer's metadata."),
    )
    audience: str = setting(
        "JWT_AUDIENCE",
        read_text,
        _RESOURCE,
        example="api://mcp",
        default_from="public_url",
    )
    jwks_url: str | None = setting(
        "JWT_JWKS_URL",
        read_url,
        example="https://login.example.com/realms/team/keys",
    )
    introspect_url: str | None = setting(
        "OAUTH_INTROSPECT_URL",
        read_url,
        example="https://login.example.com/realms/team/introspect",
    )
    client_id: str = setting(
        "OAUTH_CLIENT_ID",
        read_text,
        _RESOURCE,
        default_from="public_url",
        text=(
            "This server's own client at the provider, for introspection and token exchange (`upstreams` in the "
            "access file), and how it authenticates. basic and post send a client secret, given here or in a file. "
            "private_key_jwt signs with a private key (PEM: RSA, P-256 or Ed25519, without passphrase) whose public "
            "key the provider has."
        ),
    )
    client_auth: str = setting(
        "OAUTH_CLIENT_AUTH",
        choice_of("basic", "post", "private_key_jwt"),
        "basic",
        also_read_by=("keycloak",),
    )
    client_secret: str | None = setting(
        "OAUTH_CLIENT_SECRET",
        None,
        file_example="/run/secrets/introspection",
        also_read_by=("keycloak",),
        in_repr=False,
    )
    client_key: ClientSigningKey | None = setting(
        "OAUTH_CLIENT_KEY_FILE",
        None,
        example="/run/secrets/introspection.pem",
        also_read_by=("keycloak",),
        in_repr=False,
    )
    ca_file: Path | None = setting(
        "OAUTH_CA_FILE",
        read_path,
        example="/run/secrets/authority.pem",
        text=(
            "A file with the CA certificate that issued the provider's certificate, if it is not a public CA. It is "
            "trusted in addition to the public ones. With compose, mount the file and set the path inside the "
            "container."
        ),
    )
    allowed_origins: tuple[str, ...] = setting(
        "ALLOWED_ORIGINS",
        read_origins,
        example="https://app.example.com",
        text=(
            "Allowed web origins (of pages that call the server from a browser) and allowed host names, separated by "
            "commas. By default loopback is allowed on any port; setting a list replaces that default. The public URL "
            "is always allowed."
        ),
    )
    allowed_hosts: tuple[str, ...] = setting(
        "ALLOWED_HOSTS",
        read_hosts,
        example="mcp.internal:3000",
    )
    trusted_proxies: tuple[str, ...] = setting(
        "TRUSTED_PROXIES",
        read_networks,
        example="10.0.0.7",
        text=(
            "Addresses of proxies whose X-Forwarded-* headers are trusted: clients are limited by the address in "
            "these headers. If there is a proxy, set this: otherwise all clients behind it have the same address and "
            "share its limits."
        ),
    )
    limits: RateLimitSettings = setting_group(RateLimitSettings)
    max_memory: int | None = setting(
        "MAX_MEMORY",
        size_of_at_least(MIN_MAX_MEMORY),
        example="768M",
        text=(
            "The memory that the server may hold, at least 128M. All its limits on memory follow: bodies, sessions, "
            "connections, caches. The default is the limit of its container (256M in compose); without a container, "
            "256M. /readyz shows how full each part is."
        ),
    )
    tool_timeout: int = setting(
        "TOOL_TIMEOUT",
        read_duration,
        "0s",
        text=(
            "The time after which a tool call is cancelled; 0s for no limit. `tool_timeouts` in the access file and "
            "@tool(timeout=...) override it for single tools."
        ),
    )
    max_token_bytes: int = setting(
        "MAX_TOKEN_BYTES",
        whole_number(256, 32768),
        "16384",
        text=("Limits on tokens: length in bytes, lifetime, and tolerated clock skew."),
    )
    max_token_lifetime: int = setting(
        "MAX_TOKEN_LIFETIME",
        read_duration,
        "24h",
    )
    clock_leeway: int = setting(
        "CLOCK_LEEWAY",
        read_duration,
        "30s",
    )
    key_max_age: int = setting(
        "KEY_MAX_AGE",
        read_duration,
        "10m",
        text=(
            "How long a key that the provider has withdrawn may still be accepted, and how long cached keys are used "
            "while the provider is unavailable."
        ),
    )
    key_max_stale: int = setting(
        "KEY_MAX_STALE",
        read_duration,
        "24h",
    )
    tools_list: str = setting(
        "TOOLS_LIST",
        choice_of("granted", "obtainable", "all"),
        "obtainable",
        text=(
            "Which tools, resources and prompts are listed: granted (the token has the required scopes), obtainable "
            "(also those that the user could get by logging in again: a model must see a tool to call it) or all."
        ),
    )
    legacy_sessions: str = setting(
        "LEGACY_SESSIONS",
        choice_of("stateful", "stateless"),
        "stateful",
        text=(
            "Sessions of protocol revisions before 2026-07-28. With stateless, several replicas can serve the same "
            "client."
        ),
    )
    legacy_discovery: bool = setting(
        "LEGACY_DISCOVERY",
        read_flag,
        "false",
        text=(
            "Serve a copy of the provider's metadata for clients that do not support RFC 9728 (MCP 2025-03-26) and "
            "look for it at this server. The log records its use, and requests for it while it is disabled."
        ),
    )
    quirk_authorize_redirect: bool = setting(
        "QUIRK_AUTHORIZE_REDIRECT",
        read_flag,
        "false",
        text=(
            "Quirks help clients that do not follow the specification (docs/clients/quirks.md). This one redirects GET "
            "/authorize at this server to the provider, for clients that ignore the protected resource metadata."
        ),
    )
    quirk_stream_comments: int = setting(
        "QUIRK_STREAM_COMMENTS",
        read_duration,
        "15s",
        text=(
            "Send a comment at once on streams that may have no event for long, and again after so much time without "
            "one, so that proxies neither hold back the response nor close the connection; 0s for none."
        ),
    )
    disable_auth: bool = setting(
        "DISABLE_AUTH",
        read_flag,
        "false",
        text=(
            'Disables authentication, for development on this machine: every request runs as the user "dev". The '
            "server does not start with it unless HOST and MCP_PUBLIC_URL are on loopback."
        ),
    )
    log_format: str = setting(
        "LOG_FORMAT",
        choice_of("auto", "text", "json"),
        "auto",
        text=("auto: text on a terminal, JSON lines otherwise."),
    )
    log_level: str = setting(
        "LOG_LEVEL",
        choice_of("debug", "info", "warning", "error"),
        "info",
    )
    audit_log: str = setting(
        "AUDIT_LOG",
        read_text,
        example="stdout",
        text=(
            "The audit log, separate from the log: one JSON line for each decision (user, client, tool, allowed or "
            "the reason for the denial). stdout, or a file to append to. docs/audit.md has the fields. By default "
            "there is no audit log."
        ),
    )
    metrics: MetricsSettings = setting_group(MetricsSettings)
    access_file: Path = setting(
        "ACCESS_FILE",
        read_path,
        "idp-config/access.yaml",
        also_read_by=("keycloak", "dex", "auth0", "entra"),
        text=(
            "The access file: scopes, roles, clients and demo users. Compose mounts it from anywhere on this "
            "machine; in production the default is idp-config/access.production.yaml."
        ),
    )

    @property
    def has_client_credentials(self) -> bool:
        """Whether this server has a secret or key to authenticate with at the provider's endpoints."""
        return self.client_secret is not None or self.client_key is not None

    @property
    def memory_plan(self) -> MemoryPlan:
        """Every bound on memory: follows from `max_memory`, or the limit of the container, or `DEFAULT_MAX_MEMORY`."""
        return MemoryPlan.for_total(self.max_memory or container_memory_limit() or DEFAULT_MAX_MEMORY)

    @property
    def public_origin(self) -> str:
        """The origin of the public URL: scheme and authority, without a trailing slash."""
        parts = urlsplit(self.public_url)
        return f"{parts.scheme}://{parts.netloc}"

    @property
    def public_path(self) -> str:
        """The path of the public URL, at which MCP is served."""
        return urlsplit(self.public_url).path


# The variables that the server reads, in the order of the documentation.
NAMES = tuple(name for declared in declared_settings(Settings) for name in declared.names)


def read_settings(env: EnvReader) -> Settings:
    """Reads every setting from the environment. Combinations of settings are validated by `load_settings`.

    Raises:
        SettingsError: a single value cannot work.
    """
    values = read_fields(Settings, env)
    introspects = values["token_mode"] == "introspection"  # noqa: S105 - the mode's name
    signs = uses_private_key_jwt(env, values["client_auth"])
    if env.get_str("OAUTH_PROVIDER") is None:
        values["provider"] = profile_for(values["server_url"])
    return Settings(
        **values,
        client_secret=None if signs else env.get_secret("OAUTH_CLIENT_SECRET", required=introspects),
        client_key=load_client_key(env, required=introspects) if signs else None,
    )
