"""Cleanup after an interrupted probe: a lost response, a killed process, two probes at once."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import httpx
import pytest

from mcp_idp.cli.bootstrap.errors import BootstrapError, ProviderUnreachable
from mcp_idp.cli.bootstrap.keycloak.probe import payloads
from mcp_idp.cli.bootstrap.keycloak.probe.runner import probe
from tests.support.keycloak.bootstrap_commands import clients_of, command_line, settings_of, tried
from tests.support.keycloak.realm import REPOSITORY
from tests.support.recording_proxy import recording

if TYPE_CHECKING:
    from tests.support.keycloak.realm import Realm

pytestmark = pytest.mark.containers


def test_a_registration_whose_response_never_arrived_is_removed_and_a_late_one_by_the_next_probe(realm: Realm) -> None:
    before = clients_of(realm)
    with recording(realm.server.url) as proxy, httpx.Client() as http:
        proxy.fails_after = 1
        through = settings_of(realm, OAUTH_INTERNAL_URL=f"{proxy.url}/realms/{realm.name}")
        with pytest.raises(ProviderUnreachable, match="run it again"):
            probe(realm.admin(), through, http)
    assert [path for _, path in proxy.writes] == [f"/realms/{realm.name}/clients-registrations/openid-connect"]
    assert realm.admin().get("events", type="CLIENT_REGISTER")  # the registration succeeded
    (marker,) = clients_of(realm) - before
    (own,) = realm.admin().get("clients", clientId=marker)
    assert (own["enabled"], own["serviceAccountsEnabled"]) == (False, False)

    late = realm.register(**payloads.native(client_name=marker))["client_id"]
    other_clients = {
        realm.register(**payloads.native(client_name=name))["client_id"] for name in (f"probe-{'0' * 32}", "Someone")
    }
    assert [outcome.id for outcome in tried(realm) if outcome.open] == []
    assert clients_of(realm) == before | other_clients
    assert late not in clients_of(realm)


def test_what_a_killed_probe_left_is_removed_by_the_next(realm: Realm) -> None:
    before = clients_of(realm)
    registrations: list[str] = []
    with recording(realm.server.url) as proxy:

        def kill(_: str, path: str) -> None:
            if "clients-registrations" in path:
                registrations.append(path)
                if len(registrations) == 2:
                    process.send_signal(signal.SIGKILL)
                    process.wait(timeout=60)

        proxy.before_write = kill
        process = subprocess.Popen(
            [sys.executable, REPOSITORY / "scripts" / "bootstrap_idp.py", "probe"],
            env={
                "PATH": os.environ["PATH"],
                **realm.environment,
                "OAUTH_INTERNAL_URL": f"{proxy.url}/realms/{realm.name}",
            },
        )
        assert process.wait(timeout=120) == -signal.SIGKILL
    left = clients_of(realm) - before
    assert len(left) > 1
    code, message, complaint = command_line(realm, "probe")
    assert (code, complaint) == (0, ""), message
    assert clients_of(realm) == before


def test_of_two_concurrent_probes_one_fails(realm: Realm) -> None:
    """The other probe removed its clients, so its rejected requests say nothing about the realm."""
    before = clients_of(realm)
    begun: list[httpx.Request] = []

    def other_begins(request: httpx.Request) -> None:
        begun.append(request)
        if len(begun) == 2:
            assert [outcome.id for outcome in tried(realm) if outcome.open] == []

    with (
        httpx.Client(event_hooks={"request": [other_begins]}, timeout=60) as http,
        pytest.raises(BootstrapError, match="another probe"),
    ):
        probe(realm.admin(), settings_of(realm), http)
    assert clients_of(realm) == before
