"""The realm itself: lifetimes, rotation, login, brute-force protection, as `idp-config/keycloak/realm.yaml` says."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scripts.bootstrap.plan import Change, Json, differing, field_of, fields_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from scripts.bootstrap.keycloak.actual import Actual


def realm_changes(wanted: Mapping[str, object], actual: Actual) -> Iterator[Change]:
    """What the realm's own settings lack. Members that are not wanted stay as they are."""
    changed = differing(wanted, actual.realm)
    if changed:
        fields = fields_of(wanted, actual.realm)
        yield Change("realm", f"set {', '.join(changed)}", "PUT", (), changed, fields=fields)


def opening(actual: Actual) -> Iterator[Change]:
    """Near the end: a realm is created disabled, and nobody logs in there until the rules are written."""
    if not actual.realm.get("enabled"):
        fields = (field_of("enabled", actual.realm.get("enabled"), True),)
        yield Change("realm", "enable", "PUT", (), {"enabled": True}, fields=fields)


def new_realm(name: str, display_name: str) -> Json:
    """A realm in which nobody can log in yet."""
    return {"realm": name, "displayName": display_name, "enabled": False}
