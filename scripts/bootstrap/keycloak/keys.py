"""The realm's signing keys: one that is active for each algorithm of `realm.yaml`.

Only what is missing is made. Keys that are there are somebody's to rotate.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from scripts.bootstrap.plan import Change, Json

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from scripts.bootstrap.keycloak.actual import Actual

KEY_PROVIDER = "org.keycloak.keys.KeyProvider"
SigningAlgorithm = Literal["RS256", "ES256"]
# What makes a key for each algorithm (RFC 7518 section 3.1), as Keycloak calls it, and with what.
_MADE_BY: dict[SigningAlgorithm, tuple[str, dict[str, list[str]]]] = {
    "RS256": ("rsa-generated", {"algorithm": ["RS256"], "keySize": ["2048"]}),
    "ES256": ("ecdsa-generated", {"ecdsaEllipticCurveKey": ["P-256"]}),
}


def key_changes(wanted: Iterable[SigningAlgorithm], actual: Actual) -> Iterator[Change]:
    """A key for each algorithm that has no active one."""
    for algorithm in wanted:
        if algorithm not in actual.active_keys:
            yield Change(f"key {algorithm}", "create", "POST", ("components",), _component(algorithm), action="create")


def _component(algorithm: SigningAlgorithm) -> Json:
    provider, config = _MADE_BY[algorithm]
    return {
        "name": f"mcp-{algorithm.lower()}",
        "providerId": provider,
        "providerType": KEY_PROVIDER,
        "config": {"priority": ["100"], "enabled": ["true"], "active": ["true"], **config},
    }
