"""Parses a provider's JWK Set (RFC 7517) and caches its keys.

`parse_jwks` ties each public key to the algorithms it may verify. Only asymmetric signatures are accepted (RFC 8725
section 3.1): RS, PS and ES with SHA-256 to 512, and Ed25519. A key that is for encryption, symmetric, too short,
private or unreadable is omitted.

`JwksCache` keeps the keys so that neither a provider outage nor a flood of unknown keys affects valid tokens:

- At most one fetch runs at a time; all callers that need it wait for the same one.
- Keys younger than half of `max_age` are used as they are. Older keys are refreshed in the background. Keys older than
  `max_age` are refreshed before use, so a withdrawn key is accepted for at most `max_age` while the provider responds.
- While the provider is unreachable, the last good set is used until `max_stale`, then requests fail with 503.
- A token that no cached key verifies causes a fetch at most once per cool-down and requester, however many of them
  arrive, and at most `MAX_REFRESHES` times per cool-down in total. So made-up tokens of one address do not delay the
  first tokens that others send after a key rotation. That the `kid` is cached says nothing: a provider may give another
  key the same `kid` (RFC 7517 section 4.5 promises no uniqueness over time), also one of another type.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import jwt
import structlog
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from mcp_idp.errors import InvalidToken, ProviderUnavailable, TokenErrorReason
from mcp_idp.oauth.http import FetchError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Hashable, Iterable, Mapping
    from typing import Any

    from mcp_idp.util.clock import Clock

    Fetch = Callable[[], Awaitable[Mapping[str, Any]]]

_RSA: tuple[str, ...] = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512")
_BY_CURVE = {"P-256": "ES256", "P-384": "ES384", "P-521": "ES512", "Ed25519": "EdDSA"}
ALGORITHMS = frozenset((*_RSA, *_BY_CURVE.values()))
MIN_RSA_BITS = 2048  # RFC 7518 section 3.3
MAX_KEYS = 200


def parse_jwks(document: Mapping[str, Any]) -> Mapping[tuple[str | None, str], jwt.PyJWK]:
    """Parses the verification keys of a JWK Set.

    If two keys share `kid` and algorithm, both are omitted, because it is ambiguous which of them signed a token.

    Args:
        document: the JWK Set as JSON; only its first `MAX_KEYS` keys are read.

    Returns:
        Keys by (`kid`, algorithm); `kid` is None for a key without one. A key that several algorithms may use is listed
        once for each.
    """
    keys: dict[tuple[str | None, str], jwt.PyJWK] = {}
    ambiguous: set[tuple[str | None, str]] = set()
    for jwk in _signing_jwks(document):
        kid = jwk.get("kid")
        for algorithm in _algorithms(jwk):
            key = _load_jwk(jwk, algorithm)
            if key is None:
                continue
            if (kid, algorithm) in keys:
                ambiguous.add((kid, algorithm))
            keys[kid, algorithm] = key
    return {name: key for name, key in keys.items() if name not in ambiguous}


def _signing_jwks(document: Mapping[str, Any]) -> Iterable[dict[str, Any]]:
    listed = document.get("keys")
    for jwk in listed[:MAX_KEYS] if isinstance(listed, list) else ():
        if isinstance(jwk, dict) and isinstance(jwk.get("kid"), str | None) and _is_for_verifying(jwk):
            yield jwk


def _is_for_verifying(jwk: Mapping[str, Any]) -> bool:
    use, operations = jwk.get("use"), jwk.get("key_ops")
    return (
        (use is None or use == "sig")
        and (operations is None or (isinstance(operations, list) and "verify" in operations))
        and "d" not in jwk  # a private key in a public document is compromised
    )


def _algorithms(jwk: Mapping[str, Any]) -> tuple[str, ...]:
    """Returns the algorithms that the key's type supports, or only the one that its `alg` names."""
    if jwk.get("kty") == "RSA":
        candidates: tuple[str, ...] = _RSA
    else:
        curve = _BY_CURVE.get(str(jwk.get("crv")))
        if curve is None or jwk.get("kty") != ("OKP" if curve == "EdDSA" else "EC"):
            return ()
        candidates = (curve,)
    named = jwk.get("alg")
    if named == "Ed25519" and candidates == ("EdDSA",):  # RFC 9864 adds Ed25519 as an algorithm name
        return candidates
    return candidates if named is None else tuple(a for a in candidates if a == named)


def _load_jwk(jwk: dict[str, Any], algorithm: str) -> jwt.PyJWK | None:
    try:
        key = jwt.PyJWK(jwk, algorithm=algorithm)
    except (jwt.PyJWTError, ValueError, TypeError, KeyError, AttributeError):  # raised for malformed third-party keys
        return None
    if isinstance(key.key, RSAPublicKey) and key.key.key_size < MIN_RSA_BITS:
        return None
    return key


REFRESH_COOLDOWN_SECONDS = 5.0
MAX_REFRESHES = 10  # per cool-down, for tokens of all requesters with an unknown `kid`
_NEVER = float("-inf")
_FAULT_CHARACTERS = 1000
log = structlog.get_logger(__name__)


class JwksCache:
    """Caches the keys of one issuer.

    Args:
        fetch: fetches the JWK Set; raises `FetchError` on failure.
        clock: the time, for ages and the cool-down.
        max_age: seconds until keys must be refreshed before use.
        max_stale: seconds that keys may be used while the provider is unreachable.

    Attributes:
        generation: incremented when a fetched set differs from the one before. Results verified under another
            generation are invalid.
        fetches: how often the keys were fetched.
        failures: how many of these fetches failed.
    """

    def __init__(self, fetch: Fetch, clock: Clock, *, max_age: float, max_stale: float) -> None:
        self._fetch = fetch
        self._clock = clock
        self._max_age = max_age
        self._max_stale = max_stale
        self._keys: Mapping[tuple[str | None, str], jwt.PyJWK] = {}
        self._fingerprint = ""
        self.generation = 0
        self.fetches = self.failures = 0
        self._fetched_at = _NEVER
        self._attempted_at = _NEVER
        self._refreshed_for: dict[Hashable, float] = {}  # when each requester caused a refresh; oldest first
        self._fault: str | None = None
        self._refresh_task: asyncio.Task[None] | None = None

    @property
    def age(self) -> float:
        """Seconds since the keys were last fetched successfully; infinite if they never were."""
        return self._clock.monotonic() - self._fetched_at

    @property
    def last_error(self) -> str | None:
        """Why the last fetch failed; None if it succeeded."""
        return self._fault

    @property
    def usable(self) -> bool:
        """Whether keys are cached and not older than `max_stale`."""
        return bool(self._keys) and self.age <= self._max_stale

    async def ensure_fresh(self) -> None:
        """Ensures that the cached keys may be used, refreshing them if they are due.

        Raises:
            ProviderUnavailable: no keys are cached, or they are older than `max_stale`, and the provider is
                unreachable.
        """
        age = self.age
        if age <= self._max_age / 2:
            return
        if age <= self._max_age or (self._fault is not None and self.usable):
            # The cached keys are used while the refresh runs. After a failure, retries are one cool-down apart.
            if self._cooled_down(self._attempted_at):
                self._start_refresh()
            return
        if self.usable or self._cooled_down(self._attempted_at) or self._refresh_task is not None:
            await self.refresh()
        if not self.usable:
            raise ProviderUnavailable(self._fault or "no keys are cached")

    async def get_key(self, kid: str | None, algorithm: str, requester: Hashable = None) -> jwt.PyJWK:
        """Returns the key for a token's header.

        A key that is not cached causes a refresh, at most once per cool-down for each requester.

        Args:
            kid: the header's `kid`. None selects the only key for the algorithm; with several such keys none is found.
            algorithm: the header's `alg`.
            requester: who sent the token, such as the address; None if unknown.

        Raises:
            InvalidToken: the provider has no such key, or the key is not for this algorithm.
            ProviderUnavailable: the key is not cached, and the provider is unreachable or has been queried too often.
        """
        if (found := self._find(kid, algorithm)) is not None:
            return found
        if self._algorithms_of(kid):
            await self._refresh_if_allowed(requester)
        elif self._refresh_task is not None or self._may_refresh_for(requester):
            await self.refresh()
        if (found := self._find(kid, algorithm)) is not None:
            return found
        if fitting := self._algorithms_of(kid):
            raise InvalidToken(TokenErrorReason.KEY_ALGORITHM_MISMATCH, expected=fitting, got=algorithm)
        if self._fault is not None:
            raise ProviderUnavailable(self._fault)
        raise InvalidToken(
            TokenErrorReason.KEY_UNKNOWN, expected=sorted({str(known_kid) for known_kid, _ in self._keys}), got=kid
        )

    def _may_refresh_for(self, requester: Hashable) -> bool:
        """Returns whether a requester may cause a refresh now, and records it.

        Raises:
            ProviderUnavailable: this requester may, but all requesters together have caused too many.
        """
        refreshed = self._refreshed_for
        while refreshed and self._cooled_down(next(iter(refreshed.values()))):
            del refreshed[next(iter(refreshed))]
        if requester in refreshed:
            return False
        if len(refreshed) >= MAX_REFRESHES:
            # Not InvalidToken: the provider may have this key by now.
            raise ProviderUnavailable("too many tokens name keys that the provider did not have a moment ago")
        refreshed[requester] = self._clock.monotonic()
        return True

    def _algorithms_of(self, kid: str | None) -> list[str]:
        """Returns the algorithms of the cached keys with this `kid`; none for None."""
        return sorted(alg for known_kid, alg in self._keys if known_kid == kid and kid is not None)

    async def get_replaced_key(self, kid: str | None, algorithm: str, requester: Hashable = None) -> jwt.PyJWK | None:
        """Returns the provider's newer key for a token's header, after the cached one did not verify the token.

        Args:
            kid: as in `get_key`.
            algorithm: as in `get_key`.
            requester: as in `get_key`; it may cause a refresh once per cool-down, for whatever reason.

        Returns:
            The key; None if the keys have not changed, or whether they have could not be determined.
        """
        generation = self.generation
        await self._refresh_if_allowed(requester)
        return None if self.generation == generation else self._find(kid, algorithm)

    async def _refresh_if_allowed(self, requester: Hashable) -> None:
        """Refreshes the keys, or waits for the refresh in progress, unless there were too many refreshes."""
        try:
            if self._refresh_task is None and not self._may_refresh_for(requester):
                return
        except ProviderUnavailable:
            return  # the cached keys have rejected the token
        await self.refresh()

    async def refresh(self) -> None:
        """Fetches the key set, or waits for the fetch in progress. A failure sets `last_error` and is not raised."""
        # Shielded so that a cancelled caller does not cancel the fetch for the others.
        await asyncio.shield(self._start_refresh())

    async def close(self) -> None:
        """Cancels the fetch in progress, if any."""
        if self._refresh_task is not None:
            self._refresh_task.cancel()
            await asyncio.wait([self._refresh_task])

    def _start_refresh(self) -> asyncio.Task[None]:
        if self._refresh_task is None:
            self._refresh_task = asyncio.create_task(self._refresh(), name="renew the key set")
        return self._refresh_task

    async def _refresh(self) -> None:
        self._attempted_at = self._clock.monotonic()
        self.fetches += 1
        try:
            self._store(await self._fetch())
        except FetchError as error:
            self._record_error(str(error))
        except Exception as error:  # noqa: BLE001 - any failure must be recorded, or the refresh would not be retried
            self._record_error(f"the response could not be used: {error!r}")
        finally:
            self._refresh_task = None

    def _record_error(self, error: str) -> None:
        self.failures += 1
        self._fault = error[:_FAULT_CHARACTERS]  # it may quote the response
        log.warning("jwks_fetch_failed", error=self._fault, keys=len(self._keys))

    def _store(self, document: Mapping[str, Any]) -> None:
        keys = parse_jwks(document)
        if not keys:
            raise FetchError("the key set has no key that could verify a token")
        # Compare whole keys, not only their `kid`: the same `kid` with other key material is another key.
        fingerprint = repr(document["keys"])
        if fingerprint != self._fingerprint:
            self.generation += 1
            self._fingerprint = fingerprint
            log.info("jwks_updated", kids=sorted({str(kid) for kid, _ in keys}))
        self._keys = keys
        self._fetched_at = self._clock.monotonic()
        self._fault = None

    def _find(self, kid: str | None, algorithm: str) -> jwt.PyJWK | None:
        if kid is not None:
            return self._keys.get((kid, algorithm))
        fitting = [key for (_, alg), key in self._keys.items() if alg == algorithm]
        return fitting[0] if len(fitting) == 1 else None

    def _cooled_down(self, since: float) -> bool:
        return self._clock.monotonic() - since >= REFRESH_COOLDOWN_SECONDS
