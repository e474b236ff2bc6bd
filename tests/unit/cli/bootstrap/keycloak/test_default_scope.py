"""The base scope is a default scope of new clients while the realm has one resource."""

from __future__ import annotations

from typing import Any

import pytest

from mcp_idp.access.models import DownstreamApi, DownstreamScope
from mcp_idp.access.policy import load_access
from mcp_idp.cli.bootstrap.keycloak.compliance.warnings import unasked_audiences
from mcp_idp.cli.bootstrap.keycloak.resources.client_scopes import default_scope_list_changes, has_other_resources
from mcp_idp.cli.bootstrap.keycloak.settings import KeycloakSettings
from mcp_idp.cli.bootstrap.keycloak.state.current import CurrentState
from mcp_idp.cli.bootstrap.keycloak.state.managed import MANAGED_MARKER, MARKER
from mcp_idp.cli.bootstrap.keycloak.state.ownership import Ownership
from tests.support.desired_state import CONFIG, RESOURCE, environment

ACCESS = load_access(CONFIG / "access.yaml")
SETTINGS = KeycloakSettings.load(environment(MCP_PUBLIC_URL=RESOURCE))
OTHERS = frozenset({"mcp:notes.read", "mcp:notes.write", "mcp:admin", "offline_access"})


def scope(name: str, kind: str, audience: str) -> dict[str, Any]:
    mapper = {"protocolMapper": "oidc-audience-mapper", "config": {f"included.{kind}.audience": audience}}
    return {"id": name, "name": name, "protocolMappers": [mapper]}


def realm(*scopes: dict[str, Any], default: frozenset[str], optional: frozenset[str]) -> CurrentState:
    found = {each["name"]: each for each in scopes}
    return CurrentState(realm={}, scopes=found, default_scopes=default, optional_scopes=optional)


def steps(actual: CurrentState) -> list[str]:
    return [change.what for change in default_scope_list_changes(ACCESS, Ownership.of(actual, RESOURCE), actual)]


@pytest.mark.requirement("bootstrap.default_scope")
def test_a_realm_of_an_earlier_release_moves_the_base_scope_in_an_order_that_keycloak_takes() -> None:
    actual = realm(default=frozenset({"basic", "email"}), optional=OTHERS | {"mcp:tools"})
    assert steps(actual) == [
        "new clients no longer get email (default)",
        "new clients no longer get mcp:tools (optional)",
        "new clients get mcp:tools (default)",
    ]
    assert steps(realm(default=frozenset({"basic", "mcp:tools"}), optional=OTHERS)) == []


@pytest.mark.requirement("bootstrap.default_scope")
@pytest.mark.parametrize(
    ("other", "several"),
    [
        (scope("crm:tools", "custom", "https://crm.example/mcp"), True),
        (scope("crm:tools", "client", "crm"), True),
        (scope("crm:tools", "custom", RESOURCE + "/"), True),
        (scope("old:tools", "custom", RESOURCE), False),
        (scope("old:tools", "client", RESOURCE), False),
        (scope("crm:tools", "custom", ""), False),
        (scope("mcp:tools", "custom", "https://former.example/mcp"), False),
        (scope("mcp:admin", "custom", "https://former.example/mcp"), False),
        ({**scope("former", "custom", "https://former.example/mcp"), "attributes": MANAGED_MARKER}, False),
        ({**scope("former", "custom", "https://former.example/mcp"), "attributes": {MARKER: RESOURCE}}, False),
        ({**scope("theirs", "custom", RESOURCE), "attributes": {MARKER: "https://crm.example/mcp"}}, True),
        ({"id": "basic", "name": "basic", "protocolMappers": [{"config": {"claim.name": "sub"}}]}, False),
        ({"id": "empty", "name": "empty"}, False),
    ],
)
def test_a_second_resource_makes_the_base_scope_optional(other: dict[str, Any], *, several: bool) -> None:
    actual = realm(other, default=frozenset({"basic", "mcp:tools"}), optional=OTHERS)
    assert has_other_resources(ACCESS, Ownership.of(actual, RESOURCE), actual) is several
    moved = ["new clients no longer get mcp:tools (default)", "new clients get mcp:tools (optional)"]
    assert steps(actual) == (moved if several else [])


@pytest.mark.requirement("bootstrap.default_scope")
def test_a_downstream_api_is_no_second_resource() -> None:
    api = DownstreamApi(
        name="Orders",
        url="http://localhost:9/orders",
        scopes={"orders.read": DownstreamScope(description="x", roles=("mcp-admin",))},
    )
    access = ACCESS.model_copy(update={"upstreams": {"orders-api": api}})
    actual = realm(scope("former", "custom", "orders-api"), default=frozenset(), optional=frozenset())
    assert not has_other_resources(access, Ownership.of(actual, RESOURCE), actual)


def client(name: str, **members: Any) -> dict[str, Any]:
    return {"id": "1", "clientId": name, "defaultClientScopes": ["basic", "mcp:tools"], **members}


@pytest.mark.requirement("bootstrap.default_scope")
@pytest.mark.parametrize(
    ("clients", "named"),
    [
        ([client("made-by-hand")], ["made-by-hand"]),
        ([client("b", consentRequired=False), client("a")], ["a, b"]),
        ([client("asks", consentRequired=True)], []),
        ([client("other", defaultClientScopes=["basic"])], []),
        ([client("other", defaultClientScopes=None)], []),
        ([client("optional", defaultClientScopes=[], optionalClientScopes=["mcp:tools"])], []),
        ([client("mcp-native"), client(RESOURCE)], []),
        ([], []),
    ],
)
def test_check_warns_of_clients_that_carry_our_audience_unasked(clients: list[Any], named: list[str]) -> None:
    warnings = list(unasked_audiences(SETTINGS, clients))
    assert len(warnings) == len(named)
    assert all(name in warning for name, warning in zip(named, warnings, strict=True))
