"""Unmanaged clients with settings that today's rules reject, from data."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pytest

from mcp_idp.access.models import IssuerOverrides
from mcp_idp.access.policy import AccessPolicy, load_access
from mcp_idp.cli.bootstrap.keycloak.compliance.weaknesses import find_in_existing_clients
from mcp_idp.cli.bootstrap.keycloak.probe import payloads
from mcp_idp.cli.bootstrap.keycloak.resources.protocol_mappers import audience_mapper
from mcp_idp.cli.bootstrap.keycloak.state.current import CurrentState
from mcp_idp.cli.bootstrap.keycloak.state.managed import MANAGED_MARKER
from mcp_idp.cli.bootstrap.keycloak.state.ownership import Ownership
from mcp_idp.cli.bootstrap.keycloak.state.roles import ScopeRoleBinding
from tests.support.desired_state import recorded

if TYPE_CHECKING:
    from mcp_idp.cli.bootstrap.keycloak.compliance.weaknesses import Weakness

RESOURCE = "http://localhost:3000/mcp"
UUID = "00000000-0000-4000-8000-000000000001"
AUDIENCE = {"protocolMapper": "oidc-audience-mapper", "config": {"included.custom.audience": RESOURCE}}
PAIRWISE = {"protocolMapper": "oidc-sha256-pairwise-sub-mapper", "config": {"claim.name": "sub"}}
ROLES = {"protocolMapper": "oidc-hardcoded-claim-mapper", "config": {"claim.name": "mcp_roles"}}
LOCALE = {"protocolMapper": "oidc-usermodel-attribute-mapper", "config": {"claim.name": "locale"}}
WITH_BASE_SCOPE = {"optionalClientScopes": ["mcp:tools"]}


NAMED = {"included.client.audience": RESOURCE}
NOTE = {"protocolMapper": "oidc-usersessionmodel-note-mapper", "config": {"claim.name": "client_id"}}
HARD_ROLE = {"protocolMapper": "oidc-hardcoded-role-mapper", "config": {"role": "mcp-admin"}}
NESTED = {"protocolMapper": "oidc-hardcoded-claim-mapper", "config": {"claim.name": "mcp_roles.x"}}
DOTTED = {"protocolMapper": "oidc-usermodel-attribute-mapper", "config": {"claim.name": r"https://a\.example/b"}}
THEIRS = {"clientId": "theirs", "id": "1"}


@pytest.fixture(scope="module")
def access() -> AccessPolicy:
    file = load_access(Path(__file__).parents[5] / "idp-config" / "access.yaml")
    return file.model_copy(update={"claims": ("https://a.example/b",)})


def _found(access: AccessPolicy, clients: list[dict[str, Any]], **scopes: dict[str, Any]) -> list[Weakness]:
    actual = CurrentState(
        realm={"accessTokenLifespan": 300, "attributes": recorded(clients={"recorded"})},
        scopes=scopes,
        bindings={"mcp:tools": ScopeRoleBinding(), "tutorial": ScopeRoleBinding()},
    )
    return list(find_in_existing_clients(clients, access, RESOURCE, Ownership.of(actual, RESOURCE), actual))


@pytest.mark.requirement("existing_realm.clients")
@pytest.mark.parametrize(
    ("members", "found"),
    [
        ({**WITH_BASE_SCOPE, "protocolMappers": [payloads.SUB_FORGING_MAPPER]}, ["S3"]),
        ({"protocolMappers": [payloads.SUB_FORGING_MAPPER]}, []),  # its tokens are for other resources
        ({"protocolMappers": [payloads.SUB_FORGING_MAPPER, AUDIENCE]}, ["S3"]),
        ({"protocolMappers": [{"config": NAMED}]}, ["S3"]),  # as the admin console creates it
        ({"protocolMappers": [{"config": {"claim.name": "aud"}}]}, ["S3"]),
        ({**WITH_BASE_SCOPE, "protocolMappers": [ROLES]}, ["S3"]),
        ({**WITH_BASE_SCOPE, "protocolMappers": [NESTED]}, ["S3"]),
        ({**WITH_BASE_SCOPE, "protocolMappers": [HARD_ROLE]}, ["S3"]),
        ({**WITH_BASE_SCOPE, "protocolMappers": [DOTTED]}, ["S3"]),
        ({**WITH_BASE_SCOPE, "protocolMappers": [{"protocolMapper": "script-mine.js"}]}, ["S3"]),
        ({**WITH_BASE_SCOPE, "protocolMappers": [PAIRWISE, LOCALE, NOTE]}, []),
        ({**WITH_BASE_SCOPE, "attributes": payloads.TEN_YEAR_LIFETIME}, ["S4"]),
        ({"optionalClientScopes": ["tutorial"], "attributes": payloads.TEN_YEAR_LIFETIME}, ["S4"]),
        ({**WITH_BASE_SCOPE, "attributes": {"access.token.lifespan": "+315360000"}}, ["S4"]),
        ({**WITH_BASE_SCOPE, "attributes": {"access.token.lifespan": "-1"}}, ["S4"]),
        ({**WITH_BASE_SCOPE, "attributes": {"access.token.lifespan": "60"}}, []),
        ({**WITH_BASE_SCOPE, "attributes": {"access.token.lifespan": ""}}, []),
        ({**WITH_BASE_SCOPE, "attributes": {"access.token.lifespan": "soon"}}, []),
        ({"attributes": payloads.TEN_YEAR_LIFETIME}, []),
        ({**WITH_BASE_SCOPE, "redirectUris": ["/callback"]}, ["S6"]),
        ({**WITH_BASE_SCOPE, "redirectUris": ["http://localhost/*"]}, ["S6"]),
        ({**WITH_BASE_SCOPE, "redirectUris": [payloads.REDIRECT, "com.example.app:/callback"]}, []),
        ({**WITH_BASE_SCOPE, **THEIRS, "redirectUris": ["https://theirs.example/*", "/x"]}, []),  # an administrator's
        ({**WITH_BASE_SCOPE, **THEIRS, "redirectUris": ["*"]}, ["S6"]),
        # Anybody can set the marker; only the administrator can write the state.
        ({**WITH_BASE_SCOPE, "attributes": {**payloads.TEN_YEAR_LIFETIME, **MANAGED_MARKER}}, ["S4"]),
        (
            {**WITH_BASE_SCOPE, "clientId": "recorded", "attributes": payloads.TEN_YEAR_LIFETIME},
            [],
        ),  # drift, which apply fixes
    ],
)
def test_what_an_unmanaged_client_still_carries_is_reported(
    access: AccessPolicy, members: dict[str, Any], found: list[str]
) -> None:
    client = {"id": UUID, "clientId": UUID, **members}
    assert [weakness.id for weakness in _found(access, [client])] == found


@pytest.mark.requirement("existing_realm.clients")
@pytest.mark.parametrize(
    ("mapper", "there"),
    [(ROLES, True), (HARD_ROLE, True), (payloads.SUB_FORGING_MAPPER, True), (NOTE, False), (LOCALE, False)],
)
def test_an_unmanaged_scope_in_our_tokens_is_checked_too(
    access: AccessPolicy, mapper: dict[str, Any], *, there: bool
) -> None:
    client = {"id": UUID, "clientId": UUID, **WITH_BASE_SCOPE, "defaultClientScopes": ["basic"]}
    weaknesses = _found(access, [client], basic={"protocolMappers": [mapper]}, other={"protocolMappers": [ROLES]})
    assert ["a client scope that already existed" in weakness.what for weakness in weaknesses] == [True] * there
    assert all("(basic)" in weakness.what for weakness in weaknesses)


NOTES = "http://localhost:3100/mcp"
OFF = audience_mapper(NOTES)
OFF["config"] = {**cast("dict[str, str]", OFF["config"]), "access.token.claim": "false"}


@pytest.mark.requirement("existing_realm.clients", "several_servers.ownership")
@pytest.mark.parametrize(
    ("owner", "mappers", "reported"),
    [
        (NOTES, [ROLES, audience_mapper(NOTES)], False),
        (NOTES, [payloads.SUB_FORGING_MAPPER, audience_mapper(NOTES)], False),
        (NOTES, [ROLES], True),
        (NOTES, [ROLES, OFF], True),
        (NOTES, [ROLES, audience_mapper(RESOURCE)], True),
        (RESOURCE, [ROLES, audience_mapper(NOTES)], True),
    ],
)
def test_a_scope_of_another_server_is_no_weakness_if_it_makes_the_token_invalid_here(
    access: AccessPolicy, owner: str, mappers: list[dict[str, Any]], *, reported: bool
) -> None:
    client = {"id": UUID, "clientId": UUID, "optionalClientScopes": ["mcp:tools", "notes"]}
    actual = CurrentState(
        realm={"accessTokenLifespan": 300, "attributes": recorded(owner, scopes={"notes"})},
        scopes={"notes": {"name": "notes", "protocolMappers": mappers}},
        bindings={"mcp:tools": ScopeRoleBinding()},
    )
    found = list(find_in_existing_clients([client], access, RESOURCE, Ownership.of(actual, RESOURCE), actual))
    assert ["(notes)" in weakness.what for weakness in found] == [True] * reported


@pytest.mark.requirement("existing_realm.clients", "several_servers.ownership")
def test_a_scope_of_another_server_is_checked_if_its_audience_is_allowed_here(access: AccessPolicy) -> None:
    client = {"id": UUID, "clientId": UUID, "optionalClientScopes": ["mcp:tools", "notes"]}
    actual = CurrentState(
        realm={"accessTokenLifespan": 300, "attributes": recorded(NOTES, scopes={"notes"})},
        scopes={"notes": {"name": "notes", "protocolMappers": [ROLES, audience_mapper(NOTES)]}},
        bindings={"mcp:tools": ScopeRoleBinding()},
    )
    rules = IssuerOverrides(further_audiences=(NOTES,))
    allowing = access.model_copy(update={"issuers": {"http://localhost:8080/realms/mcp": rules}})
    (found,) = find_in_existing_clients([client], allowing, RESOURCE, Ownership.of(actual, RESOURCE), actual)
    assert "(notes)" in found.what


@pytest.mark.requirement("existing_realm.clients")
def test_clients_of_a_kind_are_one_line_with_the_first_few(access: AccessPolicy) -> None:
    clients = [
        {"id": f"{n}", "clientId": f"theirs-{n}", **WITH_BASE_SCOPE, "attributes": payloads.TEN_YEAR_LIFETIME}
        for n in range(7)
    ]
    (weakness,) = _found(access, clients)
    assert "each of 7 clients that already existed" in weakness.what
    assert "(theirs-0, theirs-1, theirs-2, theirs-3, theirs-4 …)" in weakness.what
    assert "remove that, or the client" in weakness.fix
