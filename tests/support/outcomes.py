"""The outcome of a token's verification as one word, and waiting for background tasks."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from mcp_idp.errors import InvalidToken, ProviderUnavailable, RateLimited

if TYPE_CHECKING:
    from collections.abc import Hashable

    from mcp_idp.tokens.introspection import IntrospectionVerifier
    from mcp_idp.tokens.issuers import IssuerVerifier


async def outcome(verifier: IssuerVerifier | IntrospectionVerifier, token: str, requester: Hashable = None) -> str:
    """Returns "accepted", the reason of the rejection, "limited" or "unavailable"."""
    try:
        await verifier.verify(token, requester)
    except InvalidToken as error:
        return error.reason.value
    except RateLimited:
        return "limited"
    except ProviderUnavailable:
        return "unavailable"
    return "accepted"


async def settle() -> None:
    """Lets background tasks run until they wait."""
    for _ in range(100):
        await asyncio.sleep(0)
