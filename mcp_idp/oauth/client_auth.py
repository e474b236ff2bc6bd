"""Client authentication methods of this server at the provider's endpoints.

RFC 7662 section 2.1 leaves the method to RFC 6749. Credentials are built anew for each call, and no `repr` shows them.
"""

from __future__ import annotations

import secrets
from base64 import b64encode
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar, Protocol
from urllib.parse import quote_plus

import jwt

if TYPE_CHECKING:
    from mcp_idp.config.client_signing_key import ClientSigningKey
    from mcp_idp.config.settings import Settings
    from mcp_idp.util.clock import Clock

ASSERTION_SECONDS = 60
_ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


@dataclass(frozen=True, slots=True)
class ClientAuthParams:
    """The credentials that one call adds to its form and headers."""

    form: dict[str, str] = field(default_factory=dict, repr=False)
    headers: dict[str, str] = field(default_factory=dict, repr=False)


class ClientAuth(Protocol):
    """A client authentication method."""

    @property
    def client_id(self) -> str:
        """The client id of this server."""

    @property
    def rejection_statuses(self) -> frozenset[int]:
        """The HTTP statuses with which a provider rejects the credentials."""

    @property
    def remedy(self) -> str:
        """What the operator should do about a rejection; a sentence for the log, without a final period."""

    def credentials(self) -> ClientAuthParams:
        """Returns the credentials for one call; they must not be reused, because an assertion is valid once."""


@dataclass(frozen=True, slots=True)
class ClientSecretBasic:
    """`basic`: HTTP Basic authentication (RFC 6749 section 2.3.1).

    Client id and secret are form-urlencoded first, so that a client id may be a URL, which contains a colon.
    """

    client_id: str
    secret: str = field(repr=False)
    rejection_statuses: ClassVar[frozenset[int]] = frozenset({401, 403})  # section 5.2: never 400 for this header
    remedy: ClassVar[str] = "Set OAUTH_CLIENT_ID and OAUTH_CLIENT_SECRET to a confidential client of the provider"

    def credentials(self) -> ClientAuthParams:
        """Returns an `Authorization: Basic` header."""
        pair = f"{quote_plus(self.client_id)}:{quote_plus(self.secret)}"
        return ClientAuthParams(headers={"authorization": f"Basic {b64encode(pair.encode()).decode()}"})


@dataclass(frozen=True, slots=True)
class ClientSecretPost:
    """`post`: credentials in the form (RFC 6749 section 2.3.1), for providers that do not support the header."""

    client_id: str
    secret: str = field(repr=False)
    rejection_statuses: ClassVar[frozenset[int]] = frozenset({400, 401, 403})
    remedy: ClassVar[str] = ClientSecretBasic.remedy

    def credentials(self) -> ClientAuthParams:
        """Returns the form parameters `client_id` and `client_secret`."""
        return ClientAuthParams(form={"client_id": self.client_id, "client_secret": self.secret})


@dataclass(frozen=True, slots=True)
class PrivateKeyJwt:
    """`private_key_jwt`: RFC 7523 sections 2.2 and 3, OpenID Connect Core section 9. No secret leaves this process.

    Attributes:
        client_id: the client id of this server.
        key: signs the assertions.
        audience: the issuer identifier of the provider.
        clock: the time for `iat` and `exp`.
    """

    client_id: str
    key: ClientSigningKey
    audience: str
    clock: Clock = field(repr=False)
    rejection_statuses: ClassVar[frozenset[int]] = ClientSecretPost.rejection_statuses  # Keycloak responds 400
    remedy: ClassVar[str] = (
        "Register the public half of OAUTH_CLIENT_KEY_FILE for OAUTH_CLIENT_ID at the provider, and see that the two "
        "clocks agree"
    )

    def credentials(self) -> ClientAuthParams:
        """Returns a signed assertion of the client id, valid for `ASSERTION_SECONDS` and for the issuer only.

        The assertion has no `kid`: this client has only one key, and providers compute key ids differently.
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
    """Returns the client authentication method that the settings select.

    A configured key selects `private_key_jwt`; otherwise `OAUTH_CLIENT_AUTH` chooses between `basic` and `post`. The
    audience of an assertion is `OAUTH_SERVER_URL`, the issuer in the provider's metadata; `JWT_ISSUER` applies to
    tokens only.
    """
    if settings.client_key is not None:
        return PrivateKeyJwt(settings.client_id, settings.client_key, settings.server_url, clock)
    way = ClientSecretPost if settings.client_auth == "post" else ClientSecretBasic
    return way(settings.client_id, settings.client_secret or "")
