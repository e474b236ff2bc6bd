"""What a verifier makes of a token, as one word; and the patience to let what runs in the background go on."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from mcp_idp.errors import InvalidToken, ProviderUnavailable, RateLimited

if TYPE_CHECKING:
    from collections.abc import Hashable

    from mcp_idp.tokens.introspection import IntrospectionVerifier
    from mcp_idp.tokens.issuers import IssuerVerifier


async def outcome(verifier: IssuerVerifier | IntrospectionVerifier, token: str, requester: Hashable = None) -> str:
    """ "accepted", the reason for a refusal, "limited" or "unavailable"."""
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
    """Let what runs in the background come as far as it can."""
    for _ in range(100):
        await asyncio.sleep(0)
