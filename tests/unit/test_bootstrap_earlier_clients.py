"""Clients of others that still carry what the rules refuse today, from data alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mcp_server.access import Access, load_access
from scripts.bootstrap.keycloak import exploits
from scripts.bootstrap.keycloak.earlier_clients import earlier_holes
from scripts.bootstrap.keycloak.ledger import MARK

RESOURCE = "http://localhost:3000/mcp"
UUID = "00000000-0000-4000-8000-000000000001"
AUDIENCE = {"protocolMapper": "oidc-audience-mapper", "config": {"included.custom.audience": RESOURCE}}
PAIRWISE = {"protocolMapper": "oidc-sha256-pairwise-sub-mapper", "config": {"claim.name": "sub"}}
ROLES = {"protocolMapper": "oidc-hardcoded-claim-mapper", "config": {"claim.name": "mcp_roles"}}
LOCALE = {"protocolMapper": "oidc-usermodel-attribute-mapper", "config": {"claim.name": "locale"}}
OURS = {"optionalClientScopes": ["mcp:tools"]}


@pytest.fixture(scope="module")
def access() -> Access:
    return load_access(Path(__file__).parents[2] / "idp-config" / "access.yaml")


def _ids(access: Access, **members: object) -> list[str]:
    client: dict[str, Any] = {"id": UUID, "clientId": UUID, **members}
    return [hole.id for hole in earlier_holes([client], access, RESOURCE, 300)]


@pytest.mark.requirement("adoption.earlier")
@pytest.mark.parametrize(
    ("members", "found"),
    [
        ({**OURS, "protocolMappers": [exploits.FORGING]}, ["S3"]),
        ({"protocolMappers": [exploits.FORGING]}, ["S3"]),  # with a second mapper for the audience it needs no scope
        ({"protocolMappers": [AUDIENCE]}, ["S3"]),
        ({**OURS, "protocolMappers": [ROLES]}, ["S3"]),
        ({**OURS, "protocolMappers": [PAIRWISE, LOCALE]}, []),
        ({**OURS, "attributes": exploits.ETERNAL}, ["S4"]),
        ({**OURS, "attributes": {"access.token.lifespan": "60"}}, []),
        ({**OURS, "attributes": {"access.token.lifespan": ""}}, []),
        ({"attributes": exploits.ETERNAL}, []),  # its tokens are for others
        ({**OURS, "redirectUris": ["/callback"]}, ["S6"]),
        ({**OURS, "redirectUris": ["http://localhost/*"]}, ["S6"]),
        ({**OURS, "redirectUris": [exploits.REDIRECT]}, []),
        ({**OURS, "redirectUris": ["https://theirs.example/*"], "clientId": "theirs"}, []),  # an administrator's
        ({**OURS, "protocolMappers": [exploits.FORGING], "attributes": MARK}, []),  # ours: drift, which apply mends
    ],
)
def test_what_a_client_of_others_still_carries_is_named(
    access: Access, members: dict[str, object], found: list[str]
) -> None:
    assert _ids(access, **members) == found


@pytest.mark.requirement("adoption.earlier")
def test_clients_of_a_kind_are_one_line_with_the_first_few(access: Access) -> None:
    clients = [{"id": f"{n}", "clientId": f"theirs-{n}", **OURS, "attributes": exploits.ETERNAL} for n in range(7)]
    (hole,) = earlier_holes(clients, access, RESOURCE, 300)
    assert "each of 7 clients that is there already" in hole.what
    assert "(theirs-0, theirs-1, theirs-2, theirs-3, theirs-4 …)" in hole.what
    assert "remove that, or the client" in hole.mend
