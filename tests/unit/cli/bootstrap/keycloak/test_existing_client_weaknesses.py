"""Clients of others that still carry what the rules refuse today, from data alone."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from mcp_idp.access.policy import Access, load_access
from mcp_idp.cli.bootstrap.keycloak.compliance.weaknesses import earlier_holes
from mcp_idp.cli.bootstrap.keycloak.probe import payloads
from mcp_idp.cli.bootstrap.keycloak.state.current import Actual
from mcp_idp.cli.bootstrap.keycloak.state.managed import ATTRIBUTE, MARK, Ledger
from mcp_idp.cli.bootstrap.keycloak.state.roles import Binding

if TYPE_CHECKING:
    from mcp_idp.cli.bootstrap.keycloak.compliance.weaknesses import Hole

RESOURCE = "http://localhost:3000/mcp"
UUID = "00000000-0000-4000-8000-000000000001"
AUDIENCE = {"protocolMapper": "oidc-audience-mapper", "config": {"included.custom.audience": RESOURCE}}
PAIRWISE = {"protocolMapper": "oidc-sha256-pairwise-sub-mapper", "config": {"claim.name": "sub"}}
ROLES = {"protocolMapper": "oidc-hardcoded-claim-mapper", "config": {"claim.name": "mcp_roles"}}
LOCALE = {"protocolMapper": "oidc-usermodel-attribute-mapper", "config": {"claim.name": "locale"}}
OURS = {"optionalClientScopes": ["mcp:tools"]}


NAMED = {"included.client.audience": RESOURCE}
NOTE = {"protocolMapper": "oidc-usersessionmodel-note-mapper", "config": {"claim.name": "client_id"}}
HARD_ROLE = {"protocolMapper": "oidc-hardcoded-role-mapper", "config": {"role": "mcp-admin"}}
NESTED = {"protocolMapper": "oidc-hardcoded-claim-mapper", "config": {"claim.name": "mcp_roles.x"}}
DOTTED = {"protocolMapper": "oidc-usermodel-attribute-mapper", "config": {"claim.name": r"https://a\.example/b"}}
THEIRS = {"clientId": "theirs", "id": "1"}
RECORD = Ledger(clients=frozenset({"recorded"})).text


@pytest.fixture(scope="module")
def access() -> Access:
    file = load_access(Path(__file__).parents[5] / "idp-config" / "access.yaml")
    return file.model_copy(update={"claims": ("https://a.example/b",)})


def _found(access: Access, clients: list[dict[str, Any]], **scopes: dict[str, Any]) -> list[Hole]:
    actual = Actual(
        realm={"accessTokenLifespan": 300, "attributes": {ATTRIBUTE: RECORD}},
        scopes=scopes,
        bindings={"mcp:tools": Binding(), "tutorial": Binding()},
    )
    return list(earlier_holes(clients, access, RESOURCE, actual))


@pytest.mark.requirement("adoption.earlier")
@pytest.mark.parametrize(
    ("members", "found"),
    [
        ({**OURS, "protocolMappers": [payloads.FORGING]}, ["S3"]),
        ({"protocolMappers": [payloads.FORGING]}, []),  # its tokens are for others
        ({"protocolMappers": [payloads.FORGING, AUDIENCE]}, ["S3"]),
        ({"protocolMappers": [{"config": NAMED}]}, ["S3"]),  # as the console offers it
        ({"protocolMappers": [{"config": {"claim.name": "aud"}}]}, ["S3"]),
        ({**OURS, "protocolMappers": [ROLES]}, ["S3"]),
        ({**OURS, "protocolMappers": [NESTED]}, ["S3"]),
        ({**OURS, "protocolMappers": [HARD_ROLE]}, ["S3"]),
        ({**OURS, "protocolMappers": [DOTTED]}, ["S3"]),
        ({**OURS, "protocolMappers": [{"protocolMapper": "script-mine.js"}]}, ["S3"]),
        ({**OURS, "protocolMappers": [PAIRWISE, LOCALE, NOTE]}, []),
        ({**OURS, "attributes": payloads.ETERNAL}, ["S4"]),
        ({"optionalClientScopes": ["tutorial"], "attributes": payloads.ETERNAL}, ["S4"]),
        ({**OURS, "attributes": {"access.token.lifespan": "+315360000"}}, ["S4"]),
        ({**OURS, "attributes": {"access.token.lifespan": "-1"}}, ["S4"]),
        ({**OURS, "attributes": {"access.token.lifespan": "60"}}, []),
        ({**OURS, "attributes": {"access.token.lifespan": ""}}, []),
        ({**OURS, "attributes": {"access.token.lifespan": "soon"}}, []),
        ({"attributes": payloads.ETERNAL}, []),
        ({**OURS, "redirectUris": ["/callback"]}, ["S6"]),
        ({**OURS, "redirectUris": ["http://localhost/*"]}, ["S6"]),
        ({**OURS, "redirectUris": [payloads.REDIRECT, "com.example.app:/callback"]}, []),
        ({**OURS, **THEIRS, "redirectUris": ["https://theirs.example/*", "/x"]}, []),  # an administrator's
        ({**OURS, **THEIRS, "redirectUris": ["*"]}, ["S6"]),
        # A stranger can have set the mark; the record is the administrator's.
        ({**OURS, "attributes": {**payloads.ETERNAL, **MARK}}, ["S4"]),
        ({**OURS, "clientId": "recorded", "attributes": payloads.ETERNAL}, []),  # drift, which apply mends
    ],
)
def test_what_a_client_of_others_still_carries_is_named(
    access: Access, members: dict[str, Any], found: list[str]
) -> None:
    client = {"id": UUID, "clientId": UUID, **members}
    assert [hole.id for hole in _found(access, [client])] == found


@pytest.mark.requirement("adoption.earlier")
@pytest.mark.parametrize(
    ("mapper", "there"), [(ROLES, True), (HARD_ROLE, True), (payloads.FORGING, True), (NOTE, False), (LOCALE, False)]
)
def test_a_scope_of_others_that_our_tokens_come_with_is_judged_too(
    access: Access, mapper: dict[str, Any], *, there: bool
) -> None:
    client = {"id": UUID, "clientId": UUID, **OURS, "defaultClientScopes": ["basic"]}
    holes = _found(access, [client], basic={"protocolMappers": [mapper]}, other={"protocolMappers": [ROLES]})
    assert ["a client scope that is there already" in hole.what for hole in holes] == [True] * there
    assert all("(basic)" in hole.what for hole in holes)


@pytest.mark.requirement("adoption.earlier")
def test_clients_of_a_kind_are_one_line_with_the_first_few(access: Access) -> None:
    clients = [{"id": f"{n}", "clientId": f"theirs-{n}", **OURS, "attributes": payloads.ETERNAL} for n in range(7)]
    (hole,) = _found(access, clients)
    assert "each of 7 clients that is there already" in hole.what
    assert "(theirs-0, theirs-1, theirs-2, theirs-3, theirs-4 …)" in hole.what
    assert "remove that, or the client" in hole.mend
