"""Secrets replaced, by the very commands of docs/production.md."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.integration.production.deployed import ISSUER, URL
from tests.integration.production.documented import rotation

if TYPE_CHECKING:
    from tests.integration.production.deployed import Production

pytestmark = [pytest.mark.containers, pytest.mark.full, pytest.mark.timeout(3600)]


def _introspect(production: Production, token: str, secret: str) -> int:
    form = {"token": token, "client_id": URL, "client_secret": secret}
    return production.request("POST", f"{ISSUER}/protocol/openid-connect/token/introspect", data=form).status_code


@pytest.mark.requirement("production.rotation")
def test_the_servers_secret_is_replaced(production: Production) -> None:
    _, tokens = production.tokens()
    old = production.secrets_of("bootstrap")["server"]
    assert _introspect(production, tokens["access_token"], old) == 200
    for command in rotation("the server's secret at Keycloak"):
        production.run(command)
    new = production.secrets_of("bootstrap")["server"]
    asked = [_introspect(production, tokens["access_token"], secret) for secret in (old, new)]
    assert asked == [401, 200]
    assert production.compose("run", "--rm", "check").stdout.endswith("no changes, no holes\n")
    assert production.log_in_by_client("--call", "greet", "name=Ada")[0] == 0
