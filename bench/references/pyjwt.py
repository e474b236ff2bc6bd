"""The SDK's own `auth=` with a verifier as in PyJWT's documentation: a shared `PyJWKClient`, then `decode`."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import jwt
from mcp.server.auth.provider import AccessToken

from bench.apps import sdk_guarded
from bench.defaults import DEFAULTS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.types import ASGIApp

    from bench.issuer import Issuer

NAME = "SDK auth + PyJWT"


class PyJwtVerifier:
    """Verifies tokens of an issuer over a socket.

    Args:
        issuer: the issuer that publishes the keys.
        cool_down: minimum seconds between fetches for unknown kids.
    """

    def __init__(self, issuer: Issuer, cool_down: float) -> None:
        self._issuer = issuer.url
        self._keys = jwt.PyJWKClient(issuer.keys_url, cooldown_duration=cool_down)

    async def verify_token(self, token: str) -> AccessToken | None:
        """Returns the token as the SDK's `AccessToken`, or None if it is invalid."""
        try:
            key = self._keys.get_signing_key_from_jwt(token)
            claims = jwt.decode(token, key, algorithms=["RS256"], audience=DEFAULTS.public_url, issuer=self._issuer)
        except jwt.PyJWTError:
            return None
        return AccessToken(
            token=token,
            client_id=claims["azp"],
            scopes=claims["scope"].split(),
            expires_at=claims["exp"],
            resource=DEFAULTS.public_url,
        )


@asynccontextmanager
async def guarded(issuer: Issuer, cool_down: float = 30.0) -> AsyncIterator[ASGIApp]:
    """Yields the application with the same tools as ours. The default cool-down is PyJWT's."""
    async with sdk_guarded(PyJwtVerifier(issuer, cool_down)) as app:
        yield app
