"""How this server says who it is when it asks the provider: RFC 7662 section 2.1 leaves the method to RFC 6749.

What each way sends is made anew for each call and shown by no repr.
"""

from __future__ import annotations

import secrets
from base64 import b64encode
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar, Protocol
from urllib.parse import quote_plus

import jwt

if TYPE_CHECKING:
    from mcp_idp.config.client_credentials import ClientSigningKey
    from mcp_idp.config.settings import Settings
    from mcp_idp.util.clock import Clock

ASSERTION_SECONDS = 60
_ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


@dataclass(frozen=True, slots=True)
class ClientAuthParams:
    """What one call carries besides its question."""

    form: dict[str, str] = field(default_factory=dict, repr=False)
    headers: dict[str, str] = field(default_factory=dict, repr=False)


class ClientAuth(Protocol):
    """One way to say who asks."""

    @property
    def client_id(self) -> str:
        """Who that is."""

    @property
    def rejection_statuses(self) -> frozenset[int]:
        """With which statuses a provider says that it does not believe it."""

    @property
    def remedy(self) -> str:
        """What the operator does about that."""

    def credentials(self) -> ClientAuthParams:
        """For one call: an assertion may be used once only."""


@dataclass(frozen=True, slots=True)
class ClientSecretBasic:
    """`basic`: RFC 6749 section 2.3.1, both parts form-urlencoded first, so that an id may be a URL, colon and all."""

    client_id: str
    secret: str = field(repr=False)
    rejection_statuses: ClassVar[frozenset[int]] = frozenset({401, 403})  # section 5.2: never 400 to this header
    remedy: ClassVar[str] = "Set OAUTH_CLIENT_ID and OAUTH_CLIENT_SECRET to a confidential client of the provider"

    def credentials(self) -> ClientAuthParams:
        """The header `Authorization: Basic`."""
        pair = f"{quote_plus(self.client_id)}:{quote_plus(self.secret)}"
        return ClientAuthParams(headers={"authorization": f"Basic {b64encode(pair.encode()).decode()}"})


@dataclass(frozen=True, slots=True)
class ClientSecretPost:
    """`post`: RFC 6749 section 2.3.1, for providers that do not read the header."""

    client_id: str
    secret: str = field(repr=False)
    rejection_statuses: ClassVar[frozenset[int]] = frozenset({400, 401, 403})
    remedy: ClassVar[str] = ClientSecretBasic.remedy

    def credentials(self) -> ClientAuthParams:
        """The members `client_id` and `client_secret`."""
        return ClientAuthParams(form={"client_id": self.client_id, "client_secret": self.secret})


@dataclass(frozen=True, slots=True)
class PrivateKeyJwt:
    """`private_key_jwt`: RFC 7523 sections 2.2 and 3, OpenID Connect Core section 9. No secret leaves this process."""

    client_id: str
    key: ClientSigningKey
    audience: str
    clock: Clock = field(repr=False)
    rejection_statuses: ClassVar[frozenset[int]] = ClientSecretPost.rejection_statuses  # Keycloak says 400
    remedy: ClassVar[str] = (
        "Register the public half of OAUTH_CLIENT_KEY_FILE for OAUTH_CLIENT_ID at the provider, and see that the two "
        "clocks agree"
    )

    def credentials(self) -> ClientAuthParams:
        """An assertion of the id, good for `ASSERTION_SECONDS` and for the issuer only.

        It names no key: a client has one here, and a provider that computes key ids does so in its own way.
        """
        now = int(self.clock.now())
        claims = {
            "iss": self.client_id,
            "sub": self.client_id,
            "aud": self.audience,
            "jti": secrets.token_urlsafe(16),
            "iat": now,
            "exp": now + ASSERTION_SECONDS,
        }
        assertion = jwt.encode(claims, self.key.private, algorithm=self.key.algorithm)
        return ClientAuthParams(form={"client_assertion_type": _ASSERTION_TYPE, "client_assertion": assertion})


def client_auth_from_settings(settings: Settings, clock: Clock) -> ClientAuth:
    """The way that `OAUTH_CLIENT_AUTH` names.

    The audience of an assertion is the issuer as its metadata names it: `JWT_ISSUER` is about tokens only.
    """
    if settings.client_key is not None:
        return PrivateKeyJwt(settings.client_id, settings.client_key, settings.server_url, clock)
    way = ClientSecretPost if settings.client_auth == "post" else ClientSecretBasic
    return way(settings.client_id, settings.client_secret or "")
