"""A program with tokens of its own: one entry of `machine_clients` in `access.yaml`."""

from __future__ import annotations

from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, StringConstraints, model_validator

from mcp_server.access_parts import Part, RoleName
from mcp_server.addresses import is_loopback
from mcp_server.environment import check_url

ClientId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._-]+$", max_length=100)]
VariableName = Annotated[str, StringConstraints(pattern=r"^[A-Z][A-Z0-9_]*$", max_length=100)]
_PRIVATE_MEMBERS = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})  # RFC 7518 sections 6.2.2, 6.3.2 and 6.4.1


class MachineClient(Part):
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
    def _says_who_it_is(self) -> Self:
        if sum(way is not None for way in (self.secret, self.jwks, self.jwks_url)) != 1:
            raise ValueError("needs exactly one of secret, jwks and jwks_url")
        if self.jwks is not None:
            if set(self.jwks) != {"keys"} or not self.jwks["keys"]:
                raise ValueError("jwks: write a key set: keys: [{kty: …}]")
            if any(not _PRIVATE_MEMBERS.isdisjoint(key) or key.get("kty") == "oct" for key in self.jwks["keys"]):
                raise ValueError("jwks: holds a private or shared key: write the public half only")
        if self.jwks_url is not None:
            check_url("jwks_url", self.jwks_url)
            parts = urlsplit(self.jwks_url)
            if parts.scheme != "https" and not is_loopback(parts.hostname or ""):
                raise ValueError("jwks_url: who controls the way controls the keys: use https")
        return self
