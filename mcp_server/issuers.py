"""What is different for the tokens of one issuer: the `issuers` block of `access.yaml`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from mcp_server.environment import check_url
from mcp_server.providers import PROFILES


def _url(value: str) -> str:
    check_url("issuer or URL", value)
    return value


def _profile(value: str) -> str:
    if value not in PROFILES:
        raise ValueError(f"'{value}' is not one of {', '.join(PROFILES)}")
    return value


Url = Annotated[str, AfterValidator(_url)]
Name = Annotated[str, Field(min_length=1, max_length=500)]


class IssuerRules(BaseModel):
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
    audience: Name | None = None
    aliases: tuple[Url, ...] = ()
    clients: tuple[Name, ...] = ()
    machine_clients: tuple[Name, ...] = ()
    roles_claim: Name | None = None
    scopes_from: Literal["token", "roles"] | None = None
    internal_url: Url | None = None
    jwks_url: Url | None = None
