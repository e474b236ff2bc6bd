"""Permissions that a self-registered client could store in Keycloak's database (User-Managed Access 2.0)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.keycloak.anonymous_clients import CONFIDENTIAL, bearer
from tests.support.keycloak.bootstrap_commands import check
from tests.support.keycloak.realm import bootstrapped, claims
from tests.support.keycloak.service_clients import workshop

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.keycloak.realm import Json, Keycloak, Realm

pytestmark = pytest.mark.containers

UMA = "urn:ietf:params:oauth:grant-type:uma-ticket"


def _resource_server(realm: Realm) -> tuple[Json, str]:
    """Registers a client as a resource server without credentials; returns it and the token that it gets for itself."""
    metadata = {**CONFIDENTIAL, "grant_types": [UMA, "client_credentials", "authorization_code"]}
    client = realm.post_client("openid-connect", metadata)
    known = {"client_id": client["client_id"], "client_secret": client["client_secret"]}
    return client, str(realm.token(grant_type="client_credentials", **known)["access_token"])


def _protect(realm: Realm, part: str, token: str, body: object) -> tuple[int, Json]:
    url = f"{realm.issuer}/authz/protection/{part}"
    response = realm.server.request("POST", url, json=body, headers=bearer(token))
    return response.status_code, response.json()


def test_check_warns_of_it_and_the_token_has_another_audience(keycloak: Keycloak, tmp_path: Path) -> None:
    realm = workshop(keycloak, tmp_path)
    (warning,) = check(realm).warnings
    assert "KC_FEATURES_DISABLED=authorization" in warning
    client, token = _resource_server(realm)
    status, resource = _protect(
        realm, "resource_set", token, {"name": "mine", "scopes": ["x"], "ownerManagedAccess": True}
    )
    assert status == 201
    ticket = {"resource": resource["_id"], "granted": True, "scopeName": "x"}
    known, unknown = (
        _protect(realm, "permission/ticket", token, {**ticket, "requesterName": name})[0]
        for name in ("reader", "nobody-of-that-name")
    )
    assert (known, unknown) == (200, 400)
    form = {"grant_type": UMA, "audience": client["client_id"]}
    response = realm.server.request("POST", realm.token_url, data=form, headers=bearer(token)).json()
    assert claims(response["access_token"])["aud"] == client["client_id"]
    assert realm.introspect(response["access_token"]) == {"active": False}


def test_where_anonymous_clients_get_no_token_of_their_own_there_is_no_warning(
    keycloak: Keycloak, tmp_path: Path
) -> None:
    assert check(bootstrapped(keycloak, tmp_path)).warnings == ()
