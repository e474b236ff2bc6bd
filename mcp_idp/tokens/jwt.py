"""JWT access tokens: RFC 7519, RFC 7515 in compact form, RFC 8725.

The order is that of cost and trust: length, shape, header, key, signature, claims. Before the signature holds nothing
but the header is looked at, and of the header only `alg`, `kid`, `typ` and `crit`: a key that a token brings along
(`jwk`, `jku`, `x5c`, `x5u`) is never used.
"""

from __future__ import annotations

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import TYPE_CHECKING, Any

import jwt

from mcp_idp.errors import InvalidToken, TokenErrorReason
from mcp_idp.tokens.claims import ClaimsPolicy, validate_claims
from mcp_idp.tokens.jwks import ALGORITHMS
from mcp_idp.util import strict_json
from mcp_idp.util.token_cache import TokenCache

if TYPE_CHECKING:
    from mcp_idp.principal import Principal
    from mcp_idp.tokens.jwks import JwksCache
    from mcp_idp.util.clock import Clock

_JWS = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+", re.ASCII)
_JWE_SEGMENTS = 5
_MAX_HEADER_CHARACTERS = 2048
_MAX_KID_CHARACTERS = 256


class JwtVerifier:
    """Judges tokens by the issuer's keys. One per issuer."""

    def __init__(self, key_set: JwksCache, rules: ClaimsPolicy, clock: Clock, *, max_bytes: int) -> None:
        self._key_set = key_set
        self._rules = rules
        self._clock = clock
        self._max_bytes = max_bytes
        self._cache: TokenCache[Principal] = TokenCache()

    async def verify(self, token: str) -> Principal:
        """The principal that `token` stands for.

        Raises:
            InvalidToken: it does not verify.
            ProviderUnavailable: whether it does cannot be told, because the keys cannot be had.
        """
        if len(token) > self._max_bytes:
            raise InvalidToken(TokenErrorReason.TOO_LONG, expected=self._max_bytes, got=len(token))
        await self._key_set.ensure_fresh()
        generation = self._key_set.generation
        known = self._cache.get(token, generation, self._clock.now())
        if known is not None:
            return known
        header = parse_header(token, self._rules.profile.header_types)
        key = await self._key_set.get_key(header.get("kid"), header["alg"])
        generation = self._key_set.generation
        principal = validate_claims(_verify_signature(token, key), self._rules, self._clock.now())
        self._cache.put(token, generation, principal)
        return principal


def parse_header(token: str, accepted_types: frozenset[str]) -> dict[str, Any]:
    """The header of a token that has the shape of a signed JWT, its `alg`, `kid`, `typ` and `crit` judged.

    Raises:
        InvalidToken: the token is no signed JWT, or its header asks for what this server does not do.
    """
    if _JWS.fullmatch(token) is None:
        if token.count(".") == _JWE_SEGMENTS - 1:
            raise InvalidToken(TokenErrorReason.ENCRYPTED, expected="a signed JWT", got="an encrypted one (five parts)")
        raise InvalidToken(
            TokenErrorReason.NOT_A_JWT, expected="a signed JWT", got=f"{len(token)} characters of another kind"
        )
    segment = token[: token.index(".")]
    if len(segment) > _MAX_HEADER_CHARACTERS:
        raise InvalidToken(
            TokenErrorReason.HEADER_MALFORMED, expected=f"at most {_MAX_HEADER_CHARACTERS}", got=len(segment)
        )
    header = _parse_json_object(
        _base64url_decode(segment, TokenErrorReason.HEADER_MALFORMED), TokenErrorReason.HEADER_MALFORMED
    )
    algorithm = header.get("alg")
    if not isinstance(algorithm, str) or algorithm not in ALGORITHMS:
        raise InvalidToken(TokenErrorReason.ALGORITHM, expected=sorted(ALGORITHMS), got=algorithm)
    if "crit" in header or "b64" in header:  # RFC 7515 section 4.1.11: we understand no extension
        raise InvalidToken(TokenErrorReason.CRITICAL_EXTENSION, expected="no crit", got=header.get("crit", "b64"))
    kid = header.get("kid")
    if kid is not None and not (isinstance(kid, str) and 0 < len(kid) <= _MAX_KID_CHARACTERS):
        raise InvalidToken(TokenErrorReason.HEADER_MALFORMED, expected="kid, a text", got=kid)
    _check_header_type(header, accepted_types)
    return header


def _check_header_type(header: dict[str, Any], accepted: frozenset[str]) -> None:
    """RFC 8725 section 3.11: the explicit type, compared without case and with `application/` understood."""
    named = header.get("typ", "")
    if not isinstance(named, str) or named.lower().removeprefix("application/") not in accepted:
        raise InvalidToken(TokenErrorReason.HEADER_TYPE, expected=sorted(accepted), got=named)


def _verify_signature(token: str, key: jwt.PyJWK) -> dict[str, Any]:
    """Verifies the signature and returns the claims.

    The algorithm is the key's own; `JwksCache.get_key` matched the header's to it. PyJWT's `decode` would parse the
    header again and check every character of every part, which `_JWS` has done: four fifths of its time.
    """
    signing_input, _, signature = token.rpartition(".")
    payload = signing_input[signing_input.index(".") + 1 :]
    try:
        holds = key.Algorithm.verify(
            signing_input.encode("ascii"), key.key, _base64url_decode(signature, TokenErrorReason.SIGNATURE)
        )
    except (jwt.PyJWTError, ValueError) as error:  # a signature that is none of the key's kind
        raise InvalidToken(
            TokenErrorReason.SIGNATURE, expected=f"a signature by key {key.key_id}", got=str(error)
        ) from error
    if not holds:
        raise InvalidToken(TokenErrorReason.SIGNATURE, expected=f"a signature by key {key.key_id}", got="another's")
    return _parse_json_object(
        _base64url_decode(payload, TokenErrorReason.CLAIMS_MALFORMED), TokenErrorReason.CLAIMS_MALFORMED
    )


def _base64url_decode(segment: str, reason: TokenErrorReason) -> bytes:
    """The bytes of a base64url segment without padding (RFC 7515 section 2), in its one spelling."""
    try:
        decoded = urlsafe_b64decode(segment + "=" * (-len(segment) % 4))
    except ValueError as error:
        raise InvalidToken(reason, expected="base64url", got="something else") from error
    if urlsafe_b64encode(decoded).rstrip(b"=") != segment.encode("ascii"):
        raise InvalidToken(reason, expected="base64url in its one spelling", got="stray bits at the end")
    return decoded


def _parse_json_object(document: bytes, reason: TokenErrorReason) -> dict[str, Any]:
    try:
        value = strict_json.loads(document)
    except strict_json.StrictJsonError as error:
        raise InvalidToken(reason, expected="JSON with one meaning", got=str(error)) from error
    if not isinstance(value, dict):
        raise InvalidToken(reason, expected="a JSON object", got=type(value).__name__)
    return value
