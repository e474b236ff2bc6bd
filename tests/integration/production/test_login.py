"""Logins and checks after the first `up`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import httpx
import pytest
import yaml

from tests.support.compose_stack import REPOSITORY
from tests.support.production.deployment import ISSUER, MCP, URL

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.production.deployment import Production

pytestmark = [pytest.mark.containers, pytest.mark.full, pytest.mark.timeout(3600)]

_BY_VALUE = {"KEYCLOAK_ACCOUNTS": "", "KEYCLOAK_ADMIN_CLIENT_SECRET_FILE": ""}  # instead of the account's file


@pytest.mark.requirement("production.login")
def test_a_client_logs_in_and_calls_a_tool_over_tls(production: Production) -> None:
    code, found = production.log_in_by_client("--call", "greet", "name=Ada")
    assert code == 0, found
    assert (found["claims"]["iss"], found["claims"]["aud"]) == (ISSUER, URL)
    assert "Hello, Ada!" in json.dumps(found["calls"])
    assert production.log_in_by_client(SSL_CERT_FILE="")[0] != 0  # an unknown CA
    response = httpx.get(f"http://127.0.0.1:{production.http_port}/mcp", headers={"Host": MCP})
    assert (response.status_code, response.headers["location"]) == (308, URL)
    metadata = production.request("GET", f"{ISSUER}/.well-known/openid-configuration").json()
    addresses = {value for name, value in metadata.items() if name.endswith(("_endpoint", "_uri"))}
    assert {address.startswith(f"{ISSUER}/") for address in addresses} == {True}


def test_the_temporary_administrator_is_gone_and_check_runs_with_a_reader(production: Production) -> None:
    assert production.compose("run", "--rm", "check").stdout.endswith("no changes, no weaknesses\n")
    for _ in range(2):
        assert "no changes" in production.compose("run", "--rm", "--no-deps", "bootstrap", "apply").stdout
    again = production.compose("run", "--rm", "--no-deps", "replace-admin").stdout
    assert "no changes: the accounts work, and the temporary administrator is removed" in again
    written = production.compose("run", "--rm", "check", "apply", check=False)
    assert written.returncode == 2  # it has no secret for writing


@pytest.mark.parametrize(
    ("members", "variables", "named"),
    [
        ({"registration": {"profile": "open-dev"}}, {}, "registration.profile: open-dev lets anyone register"),
        ({"demo_users": {"eve": {"password": "eve", "roles": ["mcp-admin"]}}}, {}, "demo_users: their passwords are"),
        (
            {},
            dict(_BY_VALUE, KEYCLOAK_ADMIN_CLIENT_SECRET="changeme"),
            "KEYCLOAK_ADMIN_CLIENT_SECRET is a default password",
        ),
    ],
)
def test_apply_rejects_settings_that_are_safe_on_loopback_only_in_another_file_too(
    production: Production, tmp_path: Path, members: dict[str, Any], variables: dict[str, str], named: str
) -> None:
    content = yaml.safe_load((REPOSITORY / "idp-config" / "access.production.yaml").read_text(encoding="utf-8"))
    (tmp_path / "access.yaml").write_text(yaml.safe_dump({**content, **members}))
    (tmp_path / "access.yaml").chmod(0o644)
    words = ("run", "--rm", "--no-deps", *(f"--env={name}={value}" for name, value in variables.items()))
    access_file = str(tmp_path / "access.yaml")
    ended = production.compose(*words, "bootstrap", "apply", check=False, ACCESS_FILE=access_file)
    assert (ended.returncode, named in ended.stderr) == (2, True), ended.stderr


@pytest.mark.parametrize("file", ["idp-config/access.yaml", "/run/idp/server/secret"])  # the second is in the container
def test_an_access_file_not_for_production_is_rejected_and_not_printed(production: Production, file: str) -> None:
    words = ("run", "--rm", "--no-deps", f"--env=ACCESS_FILE={file}", "bootstrap", "apply")
    ended = production.compose(*words, check=False)
    assert (ended.returncode, file in ended.stderr or "demo_users" in ended.stderr) == (2, True), ended.stderr
    output = ended.stdout + ended.stderr
    assert [secret for secret in production.secrets_of("bootstrap").values() if secret in output] == []
