"""A restart of the whole stack."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import jwt
import pytest

from tests.support.keycloak.realm import claims
from tests.support.production.deployment import ISSUER, UP

if TYPE_CHECKING:
    from tests.support.production.deployment import Production

pytestmark = [pytest.mark.containers, pytest.mark.full, pytest.mark.timeout(3600)]


def test_tokens_survive_a_restart_of_everything(production: Production) -> None:
    client_id, tokens = production.tokens()
    production.compose("stop", "--timeout", "60")
    production.compose(*UP)
    assert "no changes" in production.compose("logs", "--no-log-prefix", "bootstrap").stdout
    renewed = production.refreshed(client_id, tokens)
    assert renewed["status"] == 200, renewed
    assert production.call(renewed["access_token"]) == 200
    # Signed with the key from before the restart: unexpired tokens are still valid.
    if claims(tokens["access_token"])["exp"] > time.time() + 60:
        assert production.call(tokens["access_token"]) == 200
    jwks = production.request("GET", f"{ISSUER}/protocol/openid-connect/certs").json()["keys"]
    assert jwt.get_unverified_header(tokens["access_token"])["kid"] in {jwk["kid"] for jwk in jwks}
    assert claims(renewed["access_token"])["sid"] == claims(tokens["access_token"])["sid"]
