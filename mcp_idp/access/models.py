"""The parts of `access.yaml`, each by itself; `access.py` puts them together and checks that they fit.

What is different for the tokens of one issuer: the `issuers` block of `access.yaml`.

Other APIs that tools may call for their callers: the `upstreams` block of `access.yaml`.

A program with tokens of its own: one entry of `machine_clients` in `access.yaml`.
"""

from __future__ import annotations

from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, model_validator

from mcp_idp.providers import PROFILES
from mcp_idp.util.urls import is_loopback, validate_http_url

# What a token says of itself and of what it grants (RFC 7519 section 4.1, RFC 8693 section 4, RFC 9068 section 2.2, RFC
# 7662 section 2.2, Keycloak), as judged before any tool runs.
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
# Of a token (RFC 7519 section 4). What the provider says of the token itself, and what decides, is no tool's to read.
ClaimName = Annotated[
    str, StringConstraints(pattern=r"^[A-Za-z0-9_:/.-]+$", max_length=100), AfterValidator(_reject_reserved_claim)
]
RegistrationProfile = Literal["open-dev", "loopback-only", "initial-access-token", "closed", "cimd"]
# A name with a dot, no address and no wildcard: the provider fetches from there, from inside its own network.
Domain = Annotated[str, StringConstraints(pattern=r"^([a-z0-9-]{1,63}\.)+[a-z][a-z0-9-]{1,62}$", max_length=253)]


class StrictModel(BaseModel):
    """Frozen, and refuses what it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class ProtectedResource(StrictModel):
    """The protected resource, as people see it. Its URL is `Settings.public_url`."""

    name: str = Field(min_length=1, max_length=100)


class ScopeDefinition(StrictModel):
    """One scope: what it lets a client do, which narrower ones it implies, which roles bring it."""

    description: str = Field(min_length=1, max_length=200)
    implies: tuple[ScopeName, ...] = ()
    roles: tuple[RoleName, ...] = Field(min_length=1)
    privileged: bool = False


class RegistrationPolicy(StrictModel):
    """Who may register a client, under a named registration profile.

    Attributes:
        document_domains: where the metadata documents of clients may be (profile `cimd`).
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


class PublicClient(StrictModel):
    """A public client known to the provider beforehand."""

    name: str = Field(min_length=1, max_length=200)
    redirect_uris: tuple[str, ...] = Field(min_length=1)


class DemoUser(StrictModel):
    """A person to try things out with. Its password is public knowledge.

    Attributes:
        groups: of the access file, whose roles it has too.
    """

    password: str = Field(min_length=1)
    roles: tuple[RoleName, ...] = ()
    groups: tuple[str, ...] = ()


def _url(value: str) -> str:
    validate_http_url("issuer or URL", value)
    return value


def _profile(value: str) -> str:
    if value not in PROFILES:
        raise ValueError(f"'{value}' is not one of {', '.join(PROFILES)}")
    return value


HttpUrlStr = Annotated[str, AfterValidator(_url)]
NonEmptyStr = Annotated[str, Field(min_length=1, max_length=500)]


class IssuerOverrides(BaseModel):
    """Rules for one issuer. What is left out is as for the first one.

    Attributes:
        provider: how it writes its tokens (OAUTH_PROVIDER's names).
        audience: what its tokens must have in `aud`, in place of the public URL.
        aliases: other values of `iss` that mean the same issuer (Entra ID writes two).
        clients: tokens without any `aud` count if they are of one of these clients, for providers that write none.
            A token with an `aud` must have ours all the same.
        machine_clients: clients whose tokens need no person, where the provider's tokens tell.
        roles_claim: the claim of its tokens that lists the person's roles or groups.
        scopes_from: whether its tokens grant the scopes that they name, or the person's roles do and the token's scopes
            only narrow them.
        internal_url: where this process reaches the issuer, if not at its identifier.
        jwks_url: where its keys are, if its metadata does not say.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    provider: Annotated[str, AfterValidator(_profile)] | None = None
    audience: NonEmptyStr | None = None
    aliases: tuple[HttpUrlStr, ...] = ()
    clients: tuple[NonEmptyStr, ...] = ()
    machine_clients: tuple[NonEmptyStr, ...] = ()
    roles_claim: NonEmptyStr | None = None
    scopes_from: Literal["token", "roles"] | None = None
    internal_url: HttpUrlStr | None = None
    jwks_url: HttpUrlStr | None = None


def _require_https(url: str) -> str:
    """Plain http is for this machine and for names of one label, such as the services of compose."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    if parts.scheme == "http" and "." in host and not is_loopback(host):
        raise ValueError("use https: the exchanged token would cross the network unencrypted")
    return url


# What the provider calls the API: a client's id in Keycloak, an API identifier elsewhere.
Audience = Annotated[str, StringConstraints(pattern=r"^[\x21-\x7e]+$", max_length=255)]


class DownstreamScope(StrictModel):
    """One scope at another API: what it lets this server do there, and which roles of the person bring it."""

    description: str = Field(min_length=1, max_length=200)
    roles: tuple[RoleName, ...] = Field(min_length=1)


class DownstreamApi(StrictModel):
    """An API for which this server may exchange its callers' tokens.

    Attributes:
        name: for people, where the provider shows it.
        scopes: those that this server may ask for there. None named, the provider alone decides.
        url: where the example tool finds it; a tool of your own knows its API's address.
    """

    name: str = Field(min_length=1, max_length=100)
    scopes: dict[ScopeName, DownstreamScope] = Field(default_factory=dict)
    url: Annotated[HttpUrlStr, AfterValidator(_require_https)] | None = None


ClientId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._-]+$", max_length=100)]
VariableName = Annotated[str, StringConstraints(pattern=r"^[A-Z][A-Z0-9_]*$", max_length=100)]
_PRIVATE_MEMBERS = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})  # RFC 7518 sections 6.2.2, 6.3.2 and 6.4.1


class ServiceClient(StrictModel):
    """A program that gets tokens for itself, without a person (RFC 6749 section 4.4).

    It says who it is in one of three ways; no secret stands in the file.

    Attributes:
        roles: what it may do here, as people's roles do.
        secret: the variable that holds its secret; the same name with `_FILE` names a file that does.
        jwks: the public half of its keys (RFC 7517 section 5), for `private_key_jwt` (RFC 7523).
        jwks_url: where it publishes them; the provider fetches from there.
        algorithm: what its assertions are signed with.
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
