"""Tests which clients can register right now without credentials."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.support.keycloak.realm import REDIRECT as OWN

if TYPE_CHECKING:
    from tests.support.keycloak.realm import Realm

VENDOR = "https://vscode.dev/redirect"  # allowed by the registration profile open-dev only
UNLISTED_REDIRECT = "https://evil.example/callback"  # allowed by no profile

__all__ = ["OWN", "UNLISTED_REDIRECT", "VENDOR", "accepted_redirects"]


def accepted_redirects(realm: Realm) -> set[str]:
    """Returns which of three redirect URIs can be registered: loopback, a vendor's, an unlisted one."""
    return {uri for uri in (OWN, VENDOR, UNLISTED_REDIRECT) if realm.register(redirect_uris=[uri])["status"] == 201}
