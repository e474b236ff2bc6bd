"""The changes that the bootstrap plans for downstream APIs, from data."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from mcp_idp.access.policy import AccessPolicy, load_access
from mcp_idp.cli.bootstrap.errors import ConfigError
from mcp_idp.cli.bootstrap.keycloak.planner import plan, require_writable
from mcp_idp.cli.bootstrap.keycloak.resources.token_exchange import check_upstreams
from mcp_idp.cli.bootstrap.keycloak.settings import KeycloakSettings
from mcp_idp.cli.bootstrap.keycloak.state.current import CurrentState
from tests.support.access_files import access_file
from tests.support.desired_state import CONFIG, RESOURCE, desired, environment

if TYPE_CHECKING:
    from pathlib import Path

    from mcp_idp.cli.bootstrap.changes import Change
    from mcp_idp.cli.bootstrap.keycloak.desired import DesiredState

GRANT = "urn:ietf:params:oauth:grant-type:token-exchange"
SCOPES = {"orders.read": {"description": "Read your orders", "roles": ["orders-reader"]}}
UPSTREAMS = {"orders-api": {"name": "Orders", "scopes": SCOPES}}


@pytest.fixture
def access(tmp_path: Path) -> AccessPolicy:
    return load_access(access_file(tmp_path, upstreams=UPSTREAMS, claims=["email", "https://a.example/team"]))


def _changes(access: AccessPolicy, actual: CurrentState | None = None) -> dict[str, Change]:
    """Returns the first change of each object, which creates it."""
    return {change.object_label: change for change in reversed(plan(desired(access), actual or CurrentState()))}


def _body(change: Change) -> dict[str, Any]:
    assert isinstance(change.body, dict)
    return change.body


def _grants(state: DesiredState) -> list[str]:
    conditions = [condition for policy in state.client_policies.policies for condition in policy["conditions"]]
    return [grant for condition in conditions for grant in condition["configuration"].get("grant_types", [])]


def test_with_upstreams_the_grant_is_denied_to_all_clients_but_the_servers(access: AccessPolicy) -> None:
    without, state = desired(load_access(CONFIG / "access.yaml")), desired(access)
    assert GRANT in _grants(without)
    assert set(_grants(without)) - set(_grants(state)) == {GRANT}
    assert "mcp-no-exchange" not in without.realm_record.policies | without.realm_record.profiles
    (policy,) = [p for p in state.client_policies.policies if p["name"] == "mcp-no-exchange"]
    (condition,) = policy["conditions"]
    assert condition["configuration"]["is-negative-logic"] is True
    assert json.loads(condition["configuration"]["attributes"]) == [{"key": "resource_url", "value": RESOURCE}]


def test_an_upstream_is_a_client_a_scope_and_a_role_and_nothing_for_new_clients(access: AccessPolicy) -> None:
    changes = _changes(access)
    api, server, scope = (
        _body(changes[name]) for name in ("client orders-api", f"client {RESOURCE}", "scope orders.read")
    )
    flows = [name for name in api if name.endswith("Enabled")]
    assert len(flows) == 4
    assert not any(api[name] for name in flows)
    assert (server["defaultClientScopes"], server["optionalClientScopes"]) == (["basic"], ["orders.read"])
    assert server["attributes"]["standard.token.exchange.enabled"] == "true"
    (mapper,) = scope["protocolMappers"]
    assert mapper["config"]["included.custom.audience"] == "orders-api"
    assert scope["attributes"]["include.in.openid.provider.metadata"] == "false"
    assert "role orders-reader" in changes
    lists = [change for about, change in changes.items() if "registration" in about or "new clients" in about]
    assert "orders.read" not in str([change.body for change in lists])
    assert desired(access).managed_state.clients == {RESOURCE, "mcp-native", "orders-api"}


def test_each_claim_for_tools_is_the_users_attribute_of_that_name(access: AccessPolicy) -> None:
    mappers = _body(_changes(access)["scope mcp:tools"])["protocolMappers"]
    made = {mapper["config"]["user.attribute"]: mapper["config"]["claim.name"] for mapper in mappers[2:]}
    assert made == {"email": "email", "https://a.example/team": "https://a\\.example/team"}
    assert len(_body(_changes(access)["scope mcp:notes.read"])["protocolMappers"]) == 1


def test_an_unmanaged_scope_is_rejected_before_anything_is_written(access: AccessPolicy) -> None:
    unmanaged = CurrentState(scopes={"orders.read": {"id": "1", "name": "orders.read"}})
    with pytest.raises(ConfigError, match=r"upstreams\.orders-api\.scopes\.orders\.read: the realm has"):
        require_writable(desired(access), unmanaged)
    managed = {"id": "1", "name": "orders.read", "attributes": {"kept.by": "bootstrap_idp"}}
    require_writable(desired(access), replace(unmanaged, scopes={"orders.read": managed}))


def test_an_apis_own_client_is_not_touched(access: AccessPolicy) -> None:
    theirs = {"id": "1", "clientId": "orders-api", "standardFlowEnabled": True}
    assert "client orders-api" not in _changes(access, CurrentState(clients={"orders-api": theirs}))


def test_an_upstream_that_keycloak_cannot_issue_tokens_for_is_rejected(tmp_path: Path) -> None:
    without_scopes = load_access(access_file(tmp_path, upstreams={"orders-api": {"name": "Orders"}}))
    with pytest.raises(ConfigError, match=r"upstreams\.orders-api\.scopes: name one"):
        check_upstreams(without_scopes)
    path = access_file(tmp_path, upstreams={RESOURCE: {"name": "Ourselves", "scopes": SCOPES}})
    with pytest.raises(ConfigError, match="is the resource itself"):
        KeycloakSettings.load(environment(ACCESS_FILE=str(path)))
