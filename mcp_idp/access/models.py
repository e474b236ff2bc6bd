"""Pydantic models of the blocks of `access.yaml`.

Each model validates its own block. `policy.py` combines the blocks into the whole file and validates the references
between them.
"""

from __future__ import annotations

from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, model_validator

from mcp_idp.providers import PROFILES
from mcp_idp.util.urls import is_loopback, validate_http_url

# Claims that describe the token itself or what it grants (RFC 7519 section 4.1, RFC 8693 section 4, RFC 9068 section
# 2.2, RFC 7662 section 2.2, Keycloak). They are evaluated before any tool runs and are not exposed to tools.
_RESERVED_CLAIMS = frozenset(
    {"iss", "sub", "aud", "exp", "nbf", "iat", "jti", "azp", "appid", "cid", "client_id", "scope"}
)
_RESERVED_CLAIMS |= {
    "scp",
    "roles",
    "groups",
    "typ",
    "token_type",
    "token_use",
    "sid",
    "cnf",
    "act",
    "may_act",
    "events",
}
_RESERVED_CLAIMS |= {"active", "nonce", "auth_time", "acr", "amr", "realm_access", "resource_access", "allowed-origins"}


def _reject_reserved_claim(name: str) -> str:
    if name in _RESERVED_CLAIMS:
        raise ValueError(f"'{name}' is a protocol claim, which the principal already covers: remove it")
    return name


# RFC 6749 section 3.3: scope-token = 1*( %x21 / %x23-5B / %x5D-7E )
ScopeName = Annotated[str, StringConstraints(pattern=r"^[\x21\x23-\x5b\x5d-\x7e]+$", max_length=100)]
RoleName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._-]+$", max_length=100)]
# A claim of a token (RFC 7519 section 4) that may be exposed to tools.
ClaimName = Annotated[
    str, StringConstraints(pattern=r"^[A-Za-z0-9_:/.-]+$", max_length=100), AfterValidator(_reject_reserved_claim)
]
TimeoutSeconds = Annotated[float, Field(ge=0, le=86_400, strict=True, allow_inf_nan=False)]
RegistrationProfile = Literal["open-dev", "loopback-only", "initial-access-token", "closed", "cimd"]
# A name with a dot, neither an IP address nor a wildcard: the provider fetches documents from this host, and does so
# from inside its own network.
Domain = Annotated[str, StringConstraints(pattern=r"^([a-z0-9-]{1,63}\.)+[a-z][a-z0-9-]{1,62}$", max_length=253)]


def _url(value: str) -> str:
    validate_http_url("issuer or URL", value)
    return value


HttpUrlStr = Annotated[str, AfterValidator(_url)]


class StrictModel(BaseModel):
    """Base model: immutable, and rejects unknown members."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class ProtectedResource(StrictModel):
    """The protected resource. Its URL is `Settings.public_url`.

    Attributes:
        name: the display name.
    """

    name: str = Field(min_length=1, max_length=100)


class ScopeDefinition(StrictModel):
    """One scope of this server.

    Attributes:
        description: what the scope allows a client to do, for users.
        implies: narrower scopes that this scope includes.
        roles: the roles that grant the scope; a user needs one of them.
        privileged: whether the scope is left out of the default `login_scopes`, so that clients request it only when a
            call requires it.
    """

    description: str = Field(min_length=1, max_length=200)
    implies: tuple[ScopeName, ...] = ()
    roles: tuple[RoleName, ...] = Field(min_length=1)
    privileged: bool = False


class RegistrationPolicy(StrictModel):
    """Who may register a client (RFC 7591).

    Attributes:
        profile: the name of the registration profile; `registration_profiles.py` defines what each one allows.
        max_clients: once the provider has this many clients, no further client may register.
        web_origins: origins of the web pages that may register clients.
        vendors: redirect URIs of hosted clients, by the vendor's name.
        document_domains: hosts whose client metadata documents are accepted (profile `cimd`).
    """

    profile: RegistrationProfile
    max_clients: int = Field(default=2000, ge=1)
    web_origins: tuple[str, ...] = ()
    vendors: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    document_domains: tuple[Domain, ...] = ()

    @model_validator(mode="after")
    def _require_document_source(self) -> Self:
        if self.profile == "cimd" and not self.document_domains:
            raise ValueError("profile cimd needs document_domains: the hosts of the client documents to accept")
        return self


class SharedRealm(StrictModel):
    """How several servers share one realm of the provider.

    Attributes:
        owner: the public URL of the server whose files set the realm's own settings, the registration policy included.
        grants: grant types that the owner opens for service clients of other servers.
    """

    owner: HttpUrlStr | None = None
    grants: tuple[Literal["client_credentials"], ...] = ()


class PublicClient(StrictModel):
    """A public client that is registered at the provider in advance.

    Attributes:
        name: the display name.
        redirect_uris: the exact redirect URIs.
    """

    name: str = Field(min_length=1, max_length=200)
    redirect_uris: tuple[str, ...] = Field(min_length=1)


class DemoUser(StrictModel):
    """A user for demos and tests. The password is public.

    Attributes:
        password: the password.
        roles: roles assigned to the user directly.
        groups: groups of the access file; the user also has their roles.
    """

    password: str = Field(min_length=1)
    roles: tuple[RoleName, ...] = ()
    groups: tuple[str, ...] = ()


def _profile(value: str) -> str:
    if value not in PROFILES:
        raise ValueError(f"'{value}' is not one of {', '.join(PROFILES)}")
    return value


NonEmptyStr = Annotated[str, Field(min_length=1, max_length=500)]


class IssuerOverrides(BaseModel):
    """Rules for the tokens of one issuer; an omitted rule keeps its default.

    Attributes:
        provider: the provider's token format, by the names of OAUTH_PROVIDER.
        audience: the value that the `aud` of its tokens must contain, in place of the public URL.
        further_audiences: http(s) URLs that the `aud` of its tokens may contain in addition to the audience. With this
            rule any other URL is rejected; without it, only at Keycloak and Dex.
        aliases: other values of `iss` that identify the same issuer (Entra ID uses two).
        clients: clients whose tokens are accepted without an `aud` claim, for providers that issue none. A token that
            has an `aud` must still contain the audience.
        machine_clients: clients whose tokens are accepted without a user, for providers that mark such tokens.
        roles_claim: the claim that lists the user's roles or groups.
        scopes_from: "token" if the scopes in a token are granted as they are; "roles" if the user's roles grant the
            scopes and the token's scopes only restrict them.
        internal_url: where this process reaches the issuer, if not at the issuer's URL.
        jwks_url: the URL of its key set, in place of the one that its metadata names.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    provider: Annotated[str, AfterValidator(_profile)] | None = None
    audience: NonEmptyStr | None = None
    further_audiences: tuple[HttpUrlStr, ...] | None = None
    aliases: tuple[HttpUrlStr, ...] = ()
    clients: tuple[NonEmptyStr, ...] = ()
    machine_clients: tuple[NonEmptyStr, ...] = ()
    roles_claim: NonEmptyStr | None = None
    scopes_from: Literal["token", "roles"] | None = None
    internal_url: HttpUrlStr | None = None
    jwks_url: HttpUrlStr | None = None


def _require_https(url: str) -> str:
    """Allows http only for loopback and for host names without a dot, such as the services of a compose file."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    if parts.scheme == "http" and ("." in host or ":" in host) and not is_loopback(host):
        raise ValueError("use https: the exchanged token would cross the network unencrypted")
    return url


# How the provider identifies the API: by a client id in Keycloak, by an API identifier elsewhere.
Audience = Annotated[str, StringConstraints(pattern=r"^[\x21-\x7e]+$", max_length=255)]


class DownstreamScope(StrictModel):
    """One scope of a downstream API.

    Attributes:
        description: what the scope allows this server to do there.
        roles: the roles that grant the scope; the user needs one of them.
    """

    description: str = Field(min_length=1, max_length=200)
    roles: tuple[RoleName, ...] = Field(min_length=1)


class DownstreamApi(StrictModel):
    """An API for which this server may exchange its callers' tokens (RFC 8693).

    Attributes:
        name: the display name at the provider.
        scopes: the scopes that this server may request there, by name. If empty, only the provider restricts them.
        url: the URL that the example tool calls; other tools need not use it.
    """

    name: str = Field(min_length=1, max_length=100)
    scopes: dict[ScopeName, DownstreamScope] = Field(default_factory=dict)
    url: Annotated[HttpUrlStr, AfterValidator(_require_https)] | None = None


class ToolLimit(StrictModel):
    """Limits of one tool, for each user; 0 for no limit.

    Attributes:
        calls_per_minute: the calls in any 60 seconds.
        calls_in_progress: the calls that run at the same time.
    """

    calls_per_minute: int = Field(default=0, ge=0, le=1_000_000)
    calls_in_progress: int = Field(default=0, ge=0, le=1_000_000)


ClientId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._-]+$", max_length=100)]
VariableName = Annotated[str, StringConstraints(pattern=r"^[A-Z][A-Z0-9_]*$", max_length=100)]
_PRIVATE_MEMBERS = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})  # RFC 7518 sections 6.2.2, 6.3.2 and 6.4.1


class ServiceClient(StrictModel):
    """A client that gets tokens for itself, without a user (client credentials grant, RFC 6749 section 4.4).

    It authenticates with exactly one of `secret`, `jwks` and `jwks_url`. The file never holds a secret itself.

    Attributes:
        name: the display name.
        roles: its roles, with the same meaning as the roles of users.
        secret: the environment variable that holds the client secret; the variable of that name with `_FILE` appended
            names a file that holds it.
        jwks: its public keys as a key set (RFC 7517 section 5), for `private_key_jwt` (RFC 7523).
        jwks_url: the URL at which it publishes its key set; the provider fetches it.
        algorithm: the signature algorithm of its client assertions.
    """

    name: str = Field(min_length=1, max_length=200)
    roles: tuple[RoleName, ...] = Field(min_length=1)
    secret: VariableName | None = None
    jwks: dict[str, tuple[dict[str, str | tuple[str, ...]], ...]] | None = None
    jwks_url: str | None = None
    algorithm: Literal["RS256", "PS256", "ES256", "EdDSA"] = "RS256"

    @model_validator(mode="after")
    def _exactly_one_credential(self) -> Self:
        if sum(way is not None for way in (self.secret, self.jwks, self.jwks_url)) != 1:
            raise ValueError("needs exactly one of secret, jwks and jwks_url")
        if self.jwks is not None:
            if set(self.jwks) != {"keys"} or not self.jwks["keys"]:
                raise ValueError("jwks: write a key set: keys: [{kty: …}]")
            if any(not _PRIVATE_MEMBERS.isdisjoint(key) or key.get("kty") == "oct" for key in self.jwks["keys"]):
                raise ValueError("jwks: contains a private or shared key: write public keys only")
        if self.jwks_url is not None:
            validate_http_url("jwks_url", self.jwks_url)
            parts = urlsplit(self.jwks_url)
            if parts.scheme != "https" and not is_loopback(parts.hostname or ""):
                raise ValueError("jwks_url: use https: an attacker on the network could substitute keys")
        return self
