"""The commands of the bootstrap, for a test's realm."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

from mcp_idp.cli.bootstrap.keycloak.compliance.realm_check import audit
from mcp_idp.cli.bootstrap.keycloak.probe.runner import PATIENCE, probe
from mcp_idp.cli.bootstrap.keycloak.runner import compute_plan
from mcp_idp.cli.bootstrap.keycloak.settings import KeycloakSettings
from mcp_idp.cli.bootstrap.verification import create_client
from tests.support.keycloak.realm import REPOSITORY

if TYPE_CHECKING:
    from mcp_idp.cli.bootstrap.changes import Change
    from mcp_idp.cli.bootstrap.keycloak.admin_client import AdminClient
    from mcp_idp.cli.bootstrap.keycloak.compliance.realm_check import AuditReport
    from mcp_idp.cli.bootstrap.keycloak.probe.runner import ProbeOutcome
    from tests.support.keycloak.realm import Realm


def settings_of(realm: Realm, **variables: str) -> KeycloakSettings:
    """Returns the settings of a run for this realm, with these variables replaced."""
    return KeycloakSettings.load({**realm.environment, **variables})


def check(realm: Realm, **variables: str) -> AuditReport:
    """Runs `check` and returns its report."""
    return audit(settings_of(realm, **variables), wait=30, log=lambda _: None)


def plan(realm: Realm, **variables: str) -> list[Change]:
    """Runs `plan` and returns the changes."""
    return compute_plan(settings_of(realm, **variables), wait=30, log=lambda _: None)


def tried(realm: Realm) -> list[ProbeOutcome]:
    """Runs `probe` and returns the outcomes."""
    with create_client(PATIENCE) as http:
        return probe(realm.admin(), settings_of(realm), http)


def clients_of(realm: Realm) -> set[str]:
    """Returns the ids of all clients of the realm."""
    return {client["clientId"] for client in realm.admin().get("clients", max="1000")}


def command_line(realm: Realm, *words: str, **variables: str) -> tuple[int, str, str]:
    """Runs scripts/bootstrap_idp.py; returns exit code, standard output and standard error."""
    done = subprocess.run(
        [sys.executable, REPOSITORY / "scripts" / "bootstrap_idp.py", *words],
        env={"PATH": os.environ["PATH"], **realm.environment, **variables},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return done.returncode, done.stdout, done.stderr


def account(realm: Realm, *roles: str) -> dict[str, str]:
    """Creates a client of the master realm with these roles for this realm; returns the settings of a run with it."""
    admin: AdminClient = realm.admin()
    name = f"{realm.name}-{'-'.join(roles)}"
    master = "admin/realms/master"

    def send(method: str, path: str, body: object = None) -> None:
        sender = getattr(admin.connection, f"raw_{method}")
        assert sender(f"{master}/{path}", data=json.dumps(body)).status_code in {201, 204}

    def read(path: str, **query: str) -> list[dict[str, str]]:
        found: list[dict[str, str]] = admin.connection.raw_get(f"{master}/{path}", **query).json()
        return found

    send("post", "clients", {"clientId": name, "secret": "s" * 43, "serviceAccountsEnabled": True})
    (client,) = read("clients", clientId=name)
    (realm_client,) = read("clients", clientId=f"{realm.name}-realm")
    granted = [role for role in read(f"clients/{realm_client['id']}/roles") if role["name"] in roles]
    user = admin.connection.raw_get(f"{master}/clients/{client['id']}/service-account-user").json()
    send("post", f"users/{user['id']}/role-mappings/clients/{realm_client['id']}", granted)
    return {"KEYCLOAK_ADMIN_CLIENT_ID": name, "KEYCLOAK_ADMIN_CLIENT_SECRET": "s" * 43}
