"""Sudden loss of a Keycloak node and of a server replica."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.production.background_load import at_work
from tests.support.production.deployment import UP

if TYPE_CHECKING:
    from tests.support.production.deployment import Production

pytestmark = [pytest.mark.containers, pytest.mark.full, pytest.mark.timeout(3600)]

_DAYS = 3


@pytest.mark.parametrize(("node", "replica"), [("keycloak", "mcp-server-2"), ("keycloak-2", "mcp-server")])
def test_requests_during_the_loss_of_a_node_are_retried_and_the_rest_continues(
    production: Production, node: str, replica: str
) -> None:
    client_id, tokens = production.tokens()
    with at_work(production) as seen:
        production.compose("kill", node, replica)
        seen.wait_for_days(_DAYS)
        renewed = production.refreshed(client_id, tokens)
        production.compose(*UP, "--no-deps", node, replica)
        seen.wait_for_days(2)
    assert seen.failed == []
    # The request in progress, or one that the surviving node could not answer before it detected the loss.
    assert len(seen.again) <= 1, seen.again
    assert all("502" in again or "500" in again for again in seen.again), seen.again
    assert renewed["status"] == 200, renewed
    assert production.refreshed(client_id, renewed)["status"] == 200
