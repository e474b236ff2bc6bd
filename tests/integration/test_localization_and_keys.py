"""The realm's texts and keys: changes of managed ones are reverted, unmanaged ones stay."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.keycloak.bootstrap_commands import check

if TYPE_CHECKING:
    from tests.support.keycloak.realm import Realm

pytestmark = pytest.mark.containers


def test_a_page_text_is_fixed_and_removed_and_others_stay(realm: Realm) -> None:
    admin = realm.admin()
    admin.write("POST", ("localization", "en"), {"oauthGrantTitle": "{0} by Keycloak", "doLogIn": "Theirs"})
    admin.write("POST", ("localization", "de"), {"doLogIn": "Ihres"})
    found = check(realm)
    assert found.names == ["messages en.oauthGrantTitle"]
    realm.apply()
    assert "calls itself" in admin.get("localization", "en")["oauthGrantTitle"]
    file = realm.folder / "keycloak" / "realm.yaml"
    text = file.read_text(encoding="utf-8")
    file.write_text(text.replace("    clientNotFoundMessage:", "    ourOwnMessage:"), encoding="utf-8")
    realm.apply()
    assert "- messages en: remove clientNotFoundMessage, the file no longer has it" in realm.message
    assert set(admin.get("localization", "en")) == {"oauthGrantTitle", "ourOwnMessage", "doLogIn"}
    assert admin.get("localization", "de") == {"doLogIn": "Ihres"}
    assert realm.apply() == 0


@pytest.mark.requirement("bootstrap.signing_keys")
def test_an_algorithm_without_an_active_key_gets_one_and_rotated_keys_stay(realm: Realm) -> None:
    admin = realm.admin()
    assert {"RS256", "ES256"} <= set(admin.get("keys")["active"])
    body = {
        "name": "rotated in",
        "providerId": "ecdsa-generated",
        "providerType": "org.keycloak.keys.KeyProvider",
        "config": {"priority": ["200"], "ecdsaEllipticCurveKey": ["P-256"]},
    }
    admin.write("POST", ("components",), body)
    rotated = admin.get("keys")["active"]["ES256"]
    assert realm.apply() == 0
    for component in admin.get("components", type="org.keycloak.keys.KeyProvider"):
        if component["providerId"] == "ecdsa-generated":
            changed = {**component, "config": {**component["config"], "active": ["false"]}}
            admin.write("PUT", ("components", component["id"]), changed)
    assert check(realm).names == ["key ES256"]
    realm.apply()
    keys = admin.get("keys")
    assert keys["active"]["ES256"] not in {rotated, None}
    assert rotated in {key["kid"] for key in keys["keys"]}  # its tokens can still be verified
