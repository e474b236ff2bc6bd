"""The probe of the nine weaknesses, on a bootstrapped Keycloak and on a third-party one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx
import pytest

from mcp_idp.cli.bootstrap.errors import PermissionDenied, ProviderUnreachable
from mcp_idp.cli.bootstrap.keycloak.admin_client import AdminClient
from mcp_idp.cli.bootstrap.keycloak.probe.runner import probe
from tests.support.keycloak.bootstrap_commands import account, clients_of, command_line, settings_of, tried
from tests.support.keycloak.service_clients import workshop

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.keycloak.realm import Keycloak, Realm

pytestmark = pytest.mark.containers


def test_after_an_apply_every_weakness_is_closed_and_nothing_is_left(realm: Realm) -> None:
    before = clients_of(realm)
    code, message, complaint = command_line(realm, "probe")
    assert (code, complaint) == (0, ""), message
    assert [line.split()[1:3] for line in message.splitlines()] == [[f"S{n}", "closed:"] for n in range(1, 10)]
    assert clients_of(realm) == before


def test_service_clients_open_no_weakness(keycloak: Keycloak, tmp_path: Path) -> None:
    assert [outcome.id for outcome in tried(workshop(keycloak, tmp_path)) if outcome.open] == []


def test_an_account_that_may_not_remove_clients_probes_nothing(realm: Realm) -> None:
    """A read-only account could not remove the clients that the probe would register."""
    reader = account(realm, "view-realm", "view-clients")
    session = AdminClient(settings_of(realm, **reader), lambda _: None)
    session.log_in(30)
    requests: list[httpx.Request] = []
    with httpx.Client(event_hooks={"request": [requests.append]}) as http, pytest.raises(PermissionDenied):
        probe(session, settings_of(realm, **reader), http)
    assert requests == []


def test_what_was_registered_is_removed_when_keycloak_stops_answering(realm: Realm) -> None:
    before = clients_of(realm)
    sent = []

    def break_off(request: httpx.Request) -> None:
        sent.append(request)
        if "protocol/openid-connect/auth" in str(request.url):  # the last request
            raise httpx.ConnectError("gone")

    with httpx.Client(event_hooks={"request": [break_off]}) as http, pytest.raises(ProviderUnreachable):
        probe(realm.admin(), settings_of(realm), http)
    assert len(sent) > 9
    assert clients_of(realm) == before
