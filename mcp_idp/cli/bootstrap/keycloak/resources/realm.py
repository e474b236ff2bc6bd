"""The realm's own settings, signing keys and localization texts, as `idp-config/keycloak/realm.yaml` defines them.

- Settings: token lifetimes, refresh token rotation, login and brute-force protection. Others are left unchanged.
- Keys: one active key for each configured algorithm. Missing ones are created; existing ones are for administrators to
  rotate.
- Texts override those of the theme, by language and message key. A text that the file no longer has is removed if the
  managed state contains it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from mcp_idp.cli.bootstrap.changes import Change, Json, diff, field_diff, field_diffs

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from mcp_idp.cli.bootstrap.keycloak.state.current import CurrentState

KEY_PROVIDER = "org.keycloak.keys.KeyProvider"
SigningAlgorithm = Literal["RS256", "ES256"]
# Keycloak's key provider and its configuration for each algorithm (RFC 7518 section 3.1).
_KEY_PROVIDERS: dict[SigningAlgorithm, tuple[str, dict[str, list[str]]]] = {
    "RS256": ("rsa-generated", {"algorithm": ["RS256"], "keySize": ["2048"]}),
    "ES256": ("ecdsa-generated", {"ecdsaEllipticCurveKey": ["P-256"]}),
}


def key_changes(desired: Iterable[SigningAlgorithm], actual: CurrentState) -> Iterator[Change]:
    """Yields the creation of a key for each of the `desired` algorithms without an active one."""
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


Localization = dict[str, dict[str, str]]  # by language, then by the theme's message key


def message_names(texts: Localization) -> frozenset[str]:
    """Returns the name of every text, as "language/key"."""
    return frozenset(f"{language}/{key}" for language, found in texts.items() for key in found)


def message_changes(desired: Localization, actual: CurrentState) -> Iterator[Change]:
    """Yields the changes to the realm's texts, one per language.

    Each contains only the texts that differ, because Keycloak keeps the others.
    """
    for language, texts in desired.items():
        there: Mapping[str, object] = actual.messages.get(language, {})
        changed = diff(texts, there)
        if changed:
            fields = tuple(field_diff(key, there.get(key), text) for key, text in changed.items())
            what = f"set {', '.join(changed)}"
            yield Change(f"messages {language}", what, "POST", ("localization", language), changed, fields=fields)


def message_removals(desired: Localization, recorded: frozenset[str], actual: CurrentState) -> Iterator[Change]:
    """Yields the removal of the `recorded` texts that the file no longer has."""
    for name in sorted(recorded - message_names(desired)):
        language, _, key = name.partition("/")
        if key in actual.messages.get(language, {}):
            what = f"remove {key}, the file no longer has it"
            yield Change(f"messages {language}", what, "DELETE", ("localization", language, key), action="remove")


def realm_changes(desired: Mapping[str, object], actual: CurrentState) -> Iterator[Change]:
    """Yields the change, if any, to the realm's settings; members that are not in `desired` stay as they are.

    Args:
        desired: members of Keycloak's realm representation.
        actual: the current state.
    """
    changed = diff(desired, actual.realm)
    if changed:
        fields = field_diffs(desired, actual.realm)
        yield Change("realm", f"set {', '.join(changed)}", "PUT", (), changed, fields=fields)


def enable_changes(actual: CurrentState) -> Iterator[Change]:
    """Yields the change that enables a disabled realm.

    It is written near the end: a new realm is created disabled, so that no user can log in before its policies are
    written.
    """
    if not actual.realm.get("enabled"):
        fields = (field_diff("enabled", actual.realm.get("enabled"), True),)
        yield Change("realm", "enable", "PUT", (), {"enabled": True}, fields=fields)


def new_realm(name: str, display_name: str) -> Json:
    """Builds the representation of a disabled realm, in which no user can log in yet."""
    return {"realm": name, "displayName": display_name, "enabled": False}
