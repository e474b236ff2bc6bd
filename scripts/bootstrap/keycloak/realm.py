"""The realm itself: lifetimes, rotation, login, brute-force protection, as `idp-config/keycloak/realm.yaml` says."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scripts.bootstrap.plan import Change, Json, differing

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from scripts.bootstrap.keycloak.actual import Actual


def realm_changes(wanted: Mapping[str, object], actual: Actual) -> Iterator[Change]:
    """What the realm's own settings lack. Members that are not wanted stay as they are."""
    changed = differing(wanted, actual.realm)
    if changed:
        # Keycloak merges the members of a realm, but replaces its `attributes` as a whole.
        if "attributes" in changed:
            changed["attributes"] = {**_attributes(actual.realm), **_attributes(wanted)}
        yield Change(f"realm: set {', '.join(changed)}", "PUT", (), changed)


def opening(actual: Actual) -> Iterator[Change]:
    """Near the end: a realm is created disabled, and nobody logs in there until the rules are written."""
    if not actual.realm.get("enabled"):
        yield Change("realm: enable", "PUT", (), {"enabled": True})


def new_realm(name: str, display_name: str) -> Json:
    """A realm in which nobody can log in yet."""
    return {"realm": name, "displayName": display_name, "enabled": False}


def _attributes(realm: Mapping[str, object]) -> Json:
    attributes = realm.get("attributes")
    return dict(attributes) if isinstance(attributes, dict) else {}
