"""How a client of ours says who it is at the provider."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mcp_idp.cli.bootstrap.changes import Json

BY_KEY = "client-jwt"  # Keycloak's word for private_key_jwt


@dataclass(frozen=True, slots=True)
class ClientCredentials:
    """How a client says who it is: a secret, or the public half of its key, as a JSON Web Key Set or where that is.

    None known: the provider keeps the secret that it has or, with `key_unknown_here`, the key.
    """

    secret: str | None = field(default=None, repr=False)
    keys: str | None = None
    keys_url: str | None = None
    algorithm: str = ""
    key_unknown_here: bool = False

    @property
    def representation(self) -> Json:
        """What the client has for it."""
        if self.key_unknown_here:
            return {"clientAuthenticatorType": BY_KEY, "attributes": {}}
        # Empty texts take away what an earlier key left.
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
