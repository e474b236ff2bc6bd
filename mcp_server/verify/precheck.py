"""What a token must show by itself before the provider is asked about it: whoever sends junk reaches nobody."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from mcp_server.errors import InvalidToken, Reason

if TYPE_CHECKING:
    from mcp_server.principal import Principal
    from mcp_server.verify.jwt import JwtVerifier

_B64TOKEN = re.compile(r"[A-Za-z0-9\-._~+/]+=*", re.ASCII)  # RFC 6750 section 2.1
# Two dots, and a first part that begins as base64url of { does, followed by a quotation mark or white space.
_SHAPED_AS_JWT = re.compile(r"e[wy][A-Za-z0-9_-]*\.[A-Za-z0-9_-]*\.[A-Za-z0-9_-]*", re.ASCII)


class Precheck:
    """Judges what can be judged without a question.

    Attributes:
        signed: judges tokens that are JWTs; None where the provider writes none.
        opaque: whether tokens of another shape may be asked about. Where the provider writes JWTs only, they are junk.
        max_bytes: of a token.
    """

    def __init__(self, signed: JwtVerifier | None, *, opaque: bool, max_bytes: int) -> None:
        self.signed = signed
        self.opaque = opaque
        self.max_bytes = max_bytes

    async def judge(self, token: str) -> Principal | None:
        """The principal that a signed token names, None for an opaque token.

        Raises:
            InvalidToken: the token is too long, is no b64token, or is a JWT that does not verify.
            ProviderUnavailable: whether the JWT verifies cannot be told, because the keys cannot be had.
        """
        if len(token) > self.max_bytes:
            raise InvalidToken(Reason.TOO_LONG, expected=self.max_bytes, got=len(token))
        if self.signed is not None and (not self.opaque or _SHAPED_AS_JWT.fullmatch(token)):
            return await self.signed.verify(token)
        if _B64TOKEN.fullmatch(token) is None:
            raise InvalidToken(Reason.OPAQUE, expected="a b64token", got=f"{len(token)} other characters")
        return None
