"""The parts of `access.yaml`, each by itself; `access.py` puts them together and checks that they fit."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, model_validator

# What a token says of itself and of what it grants (RFC 7519 section 4.1, RFC 8693 section 4, RFC 9068 section 2.2, RFC
# 7662 section 2.2, Keycloak), as judged before any tool runs.
_OF_THE_TOKEN = frozenset(
    {"iss", "sub", "aud", "exp", "nbf", "iat", "jti", "azp", "appid", "cid", "client_id", "scope"}
)
_OF_THE_TOKEN |= {"scp", "roles", "groups", "typ", "token_type", "token_use", "sid", "cnf", "act", "may_act", "events"}
_OF_THE_TOKEN |= {"active", "nonce", "auth_time", "acr", "amr", "realm_access", "resource_access", "allowed-origins"}


def _a_persons(name: str) -> str:
    if name in _OF_THE_TOKEN:
        raise ValueError(f"'{name}' says what the token is and grants: a principal has what counts of it")
    return name


# RFC 6749 section 3.3: scope-token = 1*( %x21 / %x23-5B / %x5D-7E )
ScopeName = Annotated[str, StringConstraints(pattern=r"^[\x21\x23-\x5b\x5d-\x7e]+$", max_length=100)]
RoleName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._-]+$", max_length=100)]
# Of a token (RFC 7519 section 4). What the provider says of the token itself, and what decides, is no tool's to read.
ClaimName = Annotated[
    str, StringConstraints(pattern=r"^[A-Za-z0-9_:/.-]+$", max_length=100), AfterValidator(_a_persons)
]
RegistrationProfile = Literal["open-dev", "loopback-only", "initial-access-token", "closed", "cimd"]
# A name with a dot, no address and no wildcard: the provider fetches from there, from inside its own network.
Domain = Annotated[str, StringConstraints(pattern=r"^([a-z0-9-]{1,63}\.)+[a-z][a-z0-9-]{1,62}$", max_length=253)]


class Part(BaseModel):
    """Frozen, and refuses what it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Resource(Part):
    """The protected resource, as people see it. Its URL is `Settings.public_url`."""

    name: str = Field(min_length=1, max_length=100)


class Scope(Part):
    """One scope: what it lets a client do, which narrower ones it implies, which roles bring it."""

    description: str = Field(min_length=1, max_length=200)
    implies: tuple[ScopeName, ...] = ()
    roles: tuple[RoleName, ...] = Field(min_length=1)
    privileged: bool = False


class Registration(Part):
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
    def _documents_come_from_somewhere(self) -> Self:
        if self.profile == "cimd" and not self.document_domains:
            raise ValueError("profile cimd needs document_domains: the hosts whose client documents count")
        return self


class Client(Part):
    """A public client known to the provider beforehand."""

    name: str = Field(min_length=1, max_length=200)
    redirect_uris: tuple[str, ...] = Field(min_length=1)


class DemoUser(Part):
    """A person to try things out with. Its password is public knowledge.

    Attributes:
        groups: of the access file, whose roles it has too.
    """

    password: str = Field(min_length=1)
    roles: tuple[RoleName, ...] = ()
    groups: tuple[str, ...] = ()
