"""Texts of Keycloak's pages that are ours: what the realm says in place of its theme, as `realm.yaml` has it.

Keycloak keeps them by language and key; a text that is not wanted any more goes, if the record says that it was ours.

The realm's signing keys: one that is active for each algorithm of `realm.yaml`.

Only what is missing is made. Keys that are there are somebody's to rotate.

The realm itself: lifetimes, rotation, login, brute-force protection, as `idp-config/keycloak/realm.yaml` says.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from mcp_idp.cli.bootstrap.changes import Change, Json, diff, field_diff, field_diffs

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from mcp_idp.cli.bootstrap.keycloak.state.current import CurrentState

KEY_PROVIDER = "org.keycloak.keys.KeyProvider"
SigningAlgorithm = Literal["RS256", "ES256"]
# What makes a key for each algorithm (RFC 7518 section 3.1), as Keycloak calls it, and with what.
_KEY_PROVIDERS: dict[SigningAlgorithm, tuple[str, dict[str, list[str]]]] = {
    "RS256": ("rsa-generated", {"algorithm": ["RS256"], "keySize": ["2048"]}),
    "ES256": ("ecdsa-generated", {"ecdsaEllipticCurveKey": ["P-256"]}),
}


def key_changes(desired: Iterable[SigningAlgorithm], actual: CurrentState) -> Iterator[Change]:
    """A key for each algorithm that has no active one."""
    for algorithm in desired:
        if algorithm not in actual.active_keys:
            yield Change(f"key {algorithm}", "create", "POST", ("components",), _component(algorithm), action="create")


def _component(algorithm: SigningAlgorithm) -> Json:
    provider, config = _KEY_PROVIDERS[algorithm]
    return {
        "name": f"mcp-{algorithm.lower()}",
        "providerId": provider,
        "providerType": KEY_PROVIDER,
        "config": {"priority": ["100"], "enabled": ["true"], "active": ["true"], **config},
    }


Localization = dict[str, dict[str, str]]  # by language, then by the theme's key


def message_names(texts: Localization) -> frozenset[str]:
    """Every text as "language/key"."""
    return frozenset(f"{language}/{key}" for language, found in texts.items() for key in found)


def message_changes(desired: Localization, actual: CurrentState) -> Iterator[Change]:
    """What the realm's texts lack. A write names only what differs: Keycloak keeps the others."""
    for language, texts in desired.items():
        there: Mapping[str, object] = actual.messages.get(language, {})
        changed = diff(texts, there)
        if changed:
            fields = tuple(field_diff(key, there.get(key), text) for key, text in changed.items())
            what = f"set {', '.join(changed)}"
            yield Change(f"messages {language}", what, "POST", ("localization", language), changed, fields=fields)


def message_removals(desired: Localization, actual: CurrentState) -> Iterator[Change]:
    """Texts that were ours and that the file no longer has."""
    for name in sorted(actual.managed_state.messages - message_names(desired)):
        language, _, key = name.partition("/")
        if key in actual.messages.get(language, {}):
            what = f"remove {key}, the file no longer has it"
            yield Change(f"messages {language}", what, "DELETE", ("localization", language, key), action="remove")


def realm_changes(desired: Mapping[str, object], actual: CurrentState) -> Iterator[Change]:
    """What the realm's own settings lack. Members that are not wanted stay as they are."""
    changed = diff(desired, actual.realm)
    if changed:
        fields = field_diffs(desired, actual.realm)
        yield Change("realm", f"set {', '.join(changed)}", "PUT", (), changed, fields=fields)


def enable_changes(actual: CurrentState) -> Iterator[Change]:
    """Near the end: a realm is created disabled, and nobody logs in there until the rules are written."""
    if not actual.realm.get("enabled"):
        fields = (field_diff("enabled", actual.realm.get("enabled"), True),)
        yield Change("realm", "enable", "PUT", (), {"enabled": True}, fields=fields)


def new_realm(name: str, display_name: str) -> Json:
    """A realm in which nobody can log in yet."""
    return {"realm": name, "displayName": display_name, "enabled": False}
