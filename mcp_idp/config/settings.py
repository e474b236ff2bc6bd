"""The settings of one server, and how they are read from environment variables.

`.env.example` documents the variables, their defaults and the reasons.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from mcp_idp.config.client_signing_key import load_client_key, uses_private_key_jwt
from mcp_idp.config.rate_limit_settings import NAMES as RATE_LIMIT_NAMES
from mcp_idp.config.rate_limit_settings import RateLimitSettings, read_rate_limits
from mcp_idp.providers import PROFILES, ProviderProfile, profile_for
from mcp_idp.util.container_memory import container_memory_limit
from mcp_idp.util.memory_plan import DEFAULT_MAX_MEMORY, MIN_MAX_MEMORY, MemoryPlan

if TYPE_CHECKING:
    from mcp_idp.config.client_signing_key import ClientSigningKey
    from mcp_idp.config.env import EnvReader

# One name per line. `.env.example` documents each; a test compares the two.
NAMES = (
    "OAUTH_SERVER_URL",
    "OAUTH_INTERNAL_URL",
    "OAUTH_PROVIDER",
    "MCP_PUBLIC_URL",
    "HOST",
    "PORT",
    "AUTH_TOKEN_MODE",
    "JWT_ISSUER",
    "JWT_AUDIENCE",
    "JWT_JWKS_URL",
    "OAUTH_INTROSPECT_URL",
    "OAUTH_CLIENT_ID",
    "OAUTH_CLIENT_AUTH",
    "OAUTH_CLIENT_SECRET",
    "OAUTH_CLIENT_SECRET_FILE",
    "OAUTH_CLIENT_KEY_FILE",
    "OAUTH_CA_FILE",
    "ALLOWED_ORIGINS",
    "ALLOWED_HOSTS",
    "TRUSTED_PROXIES",
    *RATE_LIMIT_NAMES,
    "MAX_MEMORY",
    "TOOL_TIMEOUT",
    "MAX_TOKEN_BYTES",
    "MAX_TOKEN_LIFETIME",
    "CLOCK_LEEWAY",
    "KEY_MAX_AGE",
    "KEY_MAX_STALE",
    "TOOLS_LIST",
    "LEGACY_SESSIONS",
    "LEGACY_DISCOVERY",
    "DISABLE_AUTH",
    "LOG_FORMAT",
    "LOG_LEVEL",
    "AUDIT_LOG",
    "ACCESS_FILE",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The settings of one server; `read_settings` shows which variable each comes from.

    Durations are in seconds. URLs are compared byte for byte and never normalized.

    Attributes:
        server_url: the issuer of the provider (OAUTH_SERVER_URL), as the server's metadata publishes it.
        internal_url: where this process reaches that issuer, if not at `server_url`.
        provider: the token format of the provider.
        public_url: the URL of the MCP endpoint as clients use it; the identifier of the protected resource.
        token_mode: "jwt" or "introspection".
        issuer: the expected `iss` of tokens.
        audience: the value that the `aud` of tokens must contain.
        jwks_url: where the key set is, in place of the discovered URL.
        introspect_url: the introspection endpoint, in place of the discovered one.
        client_id: the client id of this server at the provider.
        client_auth: how this server authenticates at the provider: "basic", "post" or "private_key_jwt".
        ca_file: certificates of further authorities to trust in TLS connections, in PEM.
        trusted_proxies: addresses and networks of the proxies whose X-Forwarded headers are trusted.
        limits: what one address and one user may do.
        max_memory: the bytes that the process may hold; None for the limit of its container. See `memory_plan`.
        tool_timeout: the time after which a tool call is cancelled; 0 for no limit.
        key_max_age: the age from which the provider's keys must be refreshed before use.
        key_max_stale: the age up to which keys are used while the provider is unreachable.
        tools_list: which tools `tools/list` returns: "granted", "obtainable" or "all".
        legacy_sessions: "stateful" or "stateless", for protocol revisions with `initialize`.
        legacy_discovery: whether the provider's metadata is served at this server too, for clients older than RFC 9728.
        audit_log: the file of the audit log, "stdout", or "" for none.
    """

    server_url: str = "http://localhost:8080/realms/mcp"
    internal_url: str | None = None
    provider: ProviderProfile = field(default_factory=lambda: PROFILES["keycloak"])
    public_url: str = "http://localhost:3000/mcp"
    host: str = "127.0.0.1"
    port: int = 3000
    token_mode: str = "jwt"  # noqa: S105 - the mode's name
    issuer: str = "http://localhost:8080/realms/mcp"
    audience: str = "http://localhost:3000/mcp"
    jwks_url: str | None = None
    introspect_url: str | None = None
    client_id: str = "http://localhost:3000/mcp"
    client_auth: str = "basic"
    client_secret: str | None = field(default=None, repr=False)
    client_key: ClientSigningKey | None = field(default=None, repr=False)
    ca_file: Path | None = None
    allowed_origins: tuple[str, ...] = ()
    allowed_hosts: tuple[str, ...] = ()
    trusted_proxies: tuple[str, ...] = ()
    limits: RateLimitSettings = field(default_factory=RateLimitSettings)
    max_memory: int | None = None
    tool_timeout: int = 0
    max_token_bytes: int = 16384
    max_token_lifetime: int = 24 * 3600
    clock_leeway: int = 30
    key_max_age: int = 600
    key_max_stale: int = 24 * 3600
    tools_list: str = "obtainable"
    legacy_sessions: str = "stateful"
    legacy_discovery: bool = False
    disable_auth: bool = False
    log_format: str = "auto"
    log_level: str = "info"
    audit_log: str = ""
    access_file: Path = Path("idp-config/access.yaml")

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


def read_settings(env: EnvReader) -> Settings:
    """Reads every setting from the environment. Combinations of settings are validated by `load_settings`.

    Raises:
        SettingsError: a single value cannot work.
    """
    server_url = env.get_url("OAUTH_SERVER_URL") or "http://localhost:8080/realms/mcp"
    public_url = env.get_url("MCP_PUBLIC_URL") or "http://localhost:3000/mcp"
    token_mode = env.get_choice("AUTH_TOKEN_MODE", ("jwt", "introspection"), "jwt")
    introspects = token_mode == "introspection"  # noqa: S105 - the mode's name
    client_auth = env.get_choice("OAUTH_CLIENT_AUTH", ("basic", "post", "private_key_jwt"), "basic")
    signs = uses_private_key_jwt(env, client_auth)
    provider = env.get_str("OAUTH_PROVIDER") and env.get_choice("OAUTH_PROVIDER", tuple(PROFILES), "")
    ca_file = env.get_str("OAUTH_CA_FILE")
    return Settings(
        server_url=server_url,
        internal_url=env.get_url("OAUTH_INTERNAL_URL"),
        provider=profile_for(server_url, provider),
        public_url=public_url,
        host=env.get_str("HOST") or "127.0.0.1",
        port=env.port("PORT", 3000),
        token_mode=token_mode,
        issuer=env.get_url("JWT_ISSUER") or server_url,
        audience=env.get_str("JWT_AUDIENCE") or public_url,
        jwks_url=env.get_url("JWT_JWKS_URL"),
        introspect_url=env.get_url("OAUTH_INTROSPECT_URL"),
        client_id=env.get_str("OAUTH_CLIENT_ID") or public_url,
        client_auth=client_auth,
        client_secret=None if signs else env.get_secret("OAUTH_CLIENT_SECRET", required=introspects),
        client_key=load_client_key(env, required=introspects) if signs else None,
        ca_file=Path(ca_file) if ca_file else None,
        allowed_origins=env.get_origins("ALLOWED_ORIGINS"),
        allowed_hosts=env.get_hosts("ALLOWED_HOSTS"),
        trusted_proxies=env.get_networks("TRUSTED_PROXIES"),
        limits=read_rate_limits(env),
        max_memory=env.get_bytes("MAX_MEMORY", minimum=MIN_MAX_MEMORY),
        tool_timeout=env.get_duration("TOOL_TIMEOUT", 0),
        max_token_bytes=env.get_int("MAX_TOKEN_BYTES", 16384, minimum=256, maximum=32768),
        max_token_lifetime=env.get_duration("MAX_TOKEN_LIFETIME", 24 * 3600),
        clock_leeway=env.get_duration("CLOCK_LEEWAY", 30),
        key_max_age=env.get_duration("KEY_MAX_AGE", 600),
        key_max_stale=env.get_duration("KEY_MAX_STALE", 24 * 3600),
        tools_list=env.get_choice("TOOLS_LIST", ("granted", "obtainable", "all"), "obtainable"),
        legacy_sessions=env.get_choice("LEGACY_SESSIONS", ("stateful", "stateless"), "stateful"),
        legacy_discovery=env.get_bool("LEGACY_DISCOVERY"),
        disable_auth=env.get_bool("DISABLE_AUTH"),
        log_format=env.get_choice("LOG_FORMAT", ("auto", "text", "json"), "auto"),
        log_level=env.get_choice("LOG_LEVEL", ("debug", "info", "warning", "error"), "info"),
        audit_log=env.get_str("AUDIT_LOG") or "",
        access_file=Path(env.get_str("ACCESS_FILE") or "idp-config/access.yaml"),
    )
