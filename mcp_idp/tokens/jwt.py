"""Verifies JWT access tokens: RFC 7519, RFC 7515 compact serialization, RFC 8725.

The checks run from cheap to expensive: length, shape, header, key, signature, claims. Until the signature is verified
only the header is parsed, and of it only `alg`, `kid`, `typ`, `crit` and `b64` are used: a key in or referenced by the
token (`jwk`, `jku`, `x5c`, `x5u`) is never used.
"""

from __future__ import annotations

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import TYPE_CHECKING, Any

import jwt

from mcp_idp.errors import InvalidToken, TokenErrorReason, TokenTooLong
from mcp_idp.tokens.claims import ClaimsPolicy, validate_claims
from mcp_idp.tokens.jwks import ALGORITHMS
from mcp_idp.util import strict_json
from mcp_idp.util.token_cache import TokenCache

if TYPE_CHECKING:
    from collections.abc import Hashable

    from mcp_idp.principal import Principal
    from mcp_idp.tokens.jwks import JwksCache
    from mcp_idp.util.clock import Clock

_JWS = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+", re.ASCII)
_JWE_SEGMENTS = 5
_MAX_HEADER_CHARACTERS = 2048
_MAX_KID_CHARACTERS = 256


class JwtVerifier:
    """Verifies tokens with the keys of one issuer, and caches verified tokens.

    Args:
        key_set: the issuer's keys.
        rules: the requirements for the claims.
        clock: the time for `exp`, `nbf` and `iat`.
        max_bytes: maximum length of a token, in bytes.
        cache_bytes: what the cache of verified tokens may hold.
    """

    def __init__(
        self,
        key_set: JwksCache,
        rules: ClaimsPolicy,
        clock: Clock,
        *,
        max_bytes: int,
        cache_bytes: int,
    ) -> None:
        self._key_set = key_set
        self._rules = rules
        self._clock = clock
        self._max_bytes = max_bytes
        self._cache: TokenCache[Principal] = TokenCache(max_bytes=cache_bytes)

    @property
    def cached_bytes(self) -> int:
        """What the cache of verified tokens holds."""
        return self._cache.used

    @property
    def cache_lookups(self) -> tuple[int, int]:
        """How often the cache had a token, and how often it had not."""
        return self._cache.hits, self._cache.misses

    async def verify(self, token: str, requester: Hashable = None) -> Principal:
        """Verifies `token` and returns its principal.

        Args:
            token: the token as received.
            requester: who sent it; see `JwksCache.get_key`.

        Raises:
            InvalidToken: the token does not verify.
            ProviderUnavailable: the token cannot be verified because the keys are unavailable.
        """
        if len(token) > self._max_bytes:
            raise TokenTooLong(expected=self._max_bytes, got=len(token))
        await self._key_set.ensure_fresh()
        generation = self._key_set.generation
        known = self._cache.get(token, generation, self._clock.now())
        if known is not None:
            return known
        header = parse_header(token, self._rules.profile.header_types)
        claims, generation = await self._verified_claims(token, header, requester)
        principal = validate_claims(claims, self._rules, self._clock.now())
        self._cache.put(token, generation, principal)
        return principal

    async def _verified_claims(
        self, token: str, header: dict[str, Any], requester: Hashable
    ) -> tuple[dict[str, Any], int]:
        """Returns the claims, and the generation of the keys that verified them.

        A provider may give another key the same `kid`, so a token that the cached key does not verify is verified with
        the newer one, if there is one.
        """
        keys, name = self._key_set, (header.get("kid"), header["alg"])
        key = await keys.get_key(*name, requester)
        generation = keys.generation
        try:
            return _verify_signature(token, key), generation
        except InvalidToken as error:
            if error.reason is not TokenErrorReason.SIGNATURE:
                raise
            replaced = await keys.get_replaced_key(*name, requester)
            if replaced is None:
                raise
            return _verify_signature(token, replaced), keys.generation


def parse_header(token: str, accepted_types: frozenset[str]) -> dict[str, Any]:
    """Parses the JOSE header of a signed JWT and validates its `alg`, `kid`, `typ`, `crit` and `b64`.

    Args:
        token: the token as received.
        accepted_types: accepted `typ` values, in lower case and without `application/`; "" accepts a missing `typ`.

    Returns:
        The header as a JSON object. `alg` is one of `ALGORITHMS`; `kid` is a string or absent.

    Raises:
        InvalidToken: the token is not a signed JWT, or its header is malformed or requires something unsupported.
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
    if "crit" in header or "b64" in header:  # RFC 7515 section 4.1.11: no extension is supported
        raise InvalidToken(TokenErrorReason.CRITICAL_EXTENSION, expected="no crit", got=header.get("crit", "b64"))
    kid = header.get("kid")
    if kid is not None and not (isinstance(kid, str) and 0 < len(kid) <= _MAX_KID_CHARACTERS):
        raise InvalidToken(TokenErrorReason.HEADER_MALFORMED, expected="kid, a string", got=kid)
    _check_header_type(header, accepted_types)
    return header


def _check_header_type(header: dict[str, Any], accepted: frozenset[str]) -> None:
    """Validates the explicit type, ignoring case and an `application/` prefix (RFC 8725 section 3.11)."""
    named = header.get("typ", "")
    if not isinstance(named, str) or named.lower().removeprefix("application/") not in accepted:
        raise InvalidToken(TokenErrorReason.HEADER_TYPE, expected=sorted(accepted), got=named)


def _verify_signature(token: str, key: jwt.PyJWK) -> dict[str, Any]:
    """Verifies the signature and returns the claims.

    The key determines the algorithm; `JwksCache.get_key` has matched it to the header's. PyJWT's `decode` is not used
    because it parses the header again and checks every character of every segment, which `_JWS` has already done: that
    is four fifths of its time.
    """
    signing_input, _, signature = token.rpartition(".")
    payload = signing_input[signing_input.index(".") + 1 :]
    try:
        holds = key.Algorithm.verify(
            signing_input.encode("ascii"), key.key, _base64url_decode(signature, TokenErrorReason.SIGNATURE)
        )
    except (jwt.PyJWTError, ValueError) as error:  # the signature does not have the form that the key type requires
        raise InvalidToken(
            TokenErrorReason.SIGNATURE, expected=f"a signature by key {key.key_id}", got=str(error)
        ) from error
    if not holds:
        raise InvalidToken(TokenErrorReason.SIGNATURE, expected=f"a signature by key {key.key_id}", got="another's")
    return _parse_json_object(
        _base64url_decode(payload, TokenErrorReason.CLAIMS_MALFORMED), TokenErrorReason.CLAIMS_MALFORMED
    )


def _base64url_decode(segment: str, reason: TokenErrorReason) -> bytes:
    """Decodes a base64url segment without padding (RFC 7515 section 2); rejects non-canonical encodings."""
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
