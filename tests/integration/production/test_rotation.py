"""Rotation of secrets, with the commands of docs/production.md."""

from __future__ import annotations

import secrets
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from tests.support.production.deployment import ISSUER, UP, URL
from tests.support.production.runbook import DB, commands, rotation

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.production.deployment import Production

pytestmark = [pytest.mark.containers, pytest.mark.full, pytest.mark.timeout(3600)]


def _introspect(production: Production, token: str, secret: str) -> int:
    form = {"token": token, "client_id": URL, "client_secret": secret}
    return production.request("POST", f"{ISSUER}/protocol/openid-connect/token/introspect", data=form).status_code


def test_the_servers_secret_is_replaced(production: Production) -> None:
    _, tokens = production.tokens()
    old = production.secrets_of("bootstrap")["server"]
    assert _introspect(production, tokens["access_token"], old) == 200
    for command in rotation("the server's secret at Keycloak"):
        production.run(command)
    new = production.secrets_of("bootstrap")["server"]
    requests = [_introspect(production, tokens["access_token"], secret) for secret in (old, new)]
    assert requests == [401, 200]
    assert production.compose("run", "--rm", "check").stdout.endswith("no changes, no weaknesses\n")
    assert production.log_in_by_client("--call", "greet", "name=Ada")[0] == 0


_SQL = 'PGPASSWORD=$(cat) exec psql -h "$(hostname -i)" -U keycloak -qAtc "select 1"'


def test_the_databases_password_is_replaced(production: Production, tmp_path: Path) -> None:
    """Uses a separate database without the nodes, which read the same file at their start."""
    alone = replace(production, project=f"{production.project}-alone", folder=tmp_path)
    alone.password_file.parent.mkdir()
    alone.password_file.write_text(secrets.token_hex(32))
    alone = replace(alone, variables={**production.variables, "DATABASE_PASSWORD_FILE": str(alone.password_file)})

    def lets_in(password: str) -> bool:
        """Connects by TCP, as Keycloak does."""
        return alone.compose("exec", "-T", "database", "bash", "-c", _SQL, stdin=password, check=False).stdout == "1\n"

    try:
        alone.compose(*UP, "--no-deps", "database")
        old = alone.password_file.read_text()
        assert lets_in(old)
        (change,) = commands("The password of the database")
        assert change.endswith("database keycloak keycloak-2")
        alone.run(f"{DB}\n{change.removesuffix(' keycloak keycloak-2')}")
        assert [lets_in(old), lets_in(alone.password_file.read_text())] == [False, True]
    finally:
        alone.compose("down", "--volumes", check=False)
