"""Who gets a client registered right now: tried, as strangers try it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.support.keycloak.realm import REDIRECT as OWN

if TYPE_CHECKING:
    from tests.support.keycloak.realm import Realm

VENDOR = "https://vscode.dev/redirect"  # of the registration profile open-dev, and of no narrower one
UNLISTED_REDIRECT = "https://evil.example/callback"  # of none

__all__ = ["OWN", "UNLISTED_REDIRECT", "VENDOR", "accepted_redirects"]


def accepted_redirects(realm: Realm) -> set[str]:
    """Which of three redirects somebody can register: to this machine, to a vendor, to anywhere."""
    return {uri for uri in (OWN, VENDOR, UNLISTED_REDIRECT) if realm.register(redirect_uris=[uri])["status"] == 201}
