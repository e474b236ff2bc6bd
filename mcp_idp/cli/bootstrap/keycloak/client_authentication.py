"""How a managed client authenticates at Keycloak, and the members of its representation that say so."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mcp_idp.cli.bootstrap.changes import Json

BY_KEY = "client-jwt"  # Keycloak's name for private_key_jwt


@dataclass(frozen=True, slots=True)
class ClientAuthentication:
    """The authentication method of a client: a client secret, or a public key for `private_key_jwt`.

    With neither, the provider keeps the secret that it has or, if `key_unknown_here`, the key that it has.

    Attributes:
        secret: the client secret.
        keys: the public keys, as the JSON text of a JSON Web Key Set (RFC 7517 section 5).
        keys_url: the URL of the JSON Web Key Set, in place of `keys`.
        algorithm: the signing algorithm of the client's assertions, such as "RS256"; empty without a key.
        key_unknown_here: whether the client authenticates with a key that this run does not know.
    """

    secret: str | None = field(default=None, repr=False)
    keys: str | None = None
    keys_url: str | None = None
    algorithm: str = ""
    key_unknown_here: bool = False

    @property
    def representation(self) -> Json:
        """The members of Keycloak's client representation that configure authentication.

        Returns:
            `clientAuthenticatorType`, `attributes` (a map of strings) and, if a secret is known, `secret`. Each access
            returns new dictionaries, so callers may modify them.
        """
        if self.key_unknown_here:
            return {"clientAuthenticatorType": BY_KEY, "attributes": {}}
        # An empty string makes Keycloak delete the attribute that an earlier key left behind.
        attributes = {
            "use.jwks.string": "true" if self.keys else "",
            "jwks.string": self.keys or "",
            "use.jwks.url": "true" if self.keys_url else "",
            "jwks.url": self.keys_url or "",
            "token.endpoint.auth.signing.alg": self.algorithm,
        }
        if self.keys or self.keys_url:
            return {"clientAuthenticatorType": BY_KEY, "attributes": attributes}
        secret = {"secret": self.secret} if self.secret else {}
        return {"clientAuthenticatorType": "client-secret", **secret, "attributes": attributes}
