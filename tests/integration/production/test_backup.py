"""Restore after the loss of everything but the backup, with the commands of docs/production.md."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.production.runbook import commands, rotation

if TYPE_CHECKING:
    from tests.support.production.deployment import Production

pytestmark = [pytest.mark.containers, pytest.mark.full, pytest.mark.timeout(3600)]


def test_all_volumes_lost_are_restored_and_an_administrator_for_an_hour_replaces_an_accounts_secret(
    production: Production,
) -> None:
    client_id, tokens = production.tokens()
    stored, dump, database, accounts, up = commands("Backup")
    production.run(f"{stored}\n{dump}")
    production.compose("down", "--volumes", "--timeout", "30")
    production.run(f"{stored}\n{database}\n{accounts}")

    before = production.secrets_of("check")["check"]
    (row,) = [command for command in rotation("an account's secret") if command.startswith("docker")]
    production.run(row)
    stop, make, start, _, replace_admin = commands("An administrator for an hour")[0].splitlines()
    assert (start, up) == ("docker compose up --wait keycloak keycloak-2", "docker compose up --wait")
    production.run(f"{stop}\n{make}\n{start}\n{replace_admin}")
    production.run(up)
    production.trust_caddy()
    assert production.secrets_of("check")["check"] != before
    renewed = production.refreshed(client_id, tokens)
    assert renewed["status"] == 200, renewed
    assert production.call(renewed["access_token"]) == 200
    assert production.log_in_by_client()[0] == 0
    assert production.compose("run", "--rm", "check").stdout.endswith("no changes, no weaknesses\n")
