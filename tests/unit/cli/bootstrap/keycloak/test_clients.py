"""A managed client is exactly as the files define it."""

from __future__ import annotations

from typing import Any

import pytest

from mcp_idp.cli.bootstrap.keycloak.resources.clients import ALL_FLOWS_DISABLED, client_diff
from mcp_idp.cli.bootstrap.keycloak.state.current import CurrentState

DESIRED: dict[str, Any] = {
    "clientId": "ours",
    "enabled": True,
    **ALL_FLOWS_DISABLED,
    "redirectUris": [],
    "attributes": {"jwks.url": "https://ours.example/keys"},
    "defaultClientScopes": [],
    "optionalClientScopes": [],
}


def _changes(**members: object) -> list[Any]:
    attributes = {**DESIRED["attributes"], **dict(members.pop("attributes", {}))}  # type: ignore[call-overload]
    found = {**DESIRED, "id": "1", "attributes": attributes, **members}
    return list(client_diff(DESIRED, CurrentState(realm={}, clients={"ours": found})))


@pytest.mark.parametrize(
    ("members", "field", "fixed"),
    [
        ({"adminUrl": "https://evil.example"}, "adminUrl", ""),
        ({"rootUrl": "https://evil.example"}, "rootUrl", ""),
        ({"authorizationServicesEnabled": True}, "authorizationServicesEnabled", False),
        ({"frontchannelLogout": True}, "frontchannelLogout", False),
        ({"fullScopeAllowed": True}, "fullScopeAllowed", False),
        (
            {"authenticationFlowBindingOverrides": {"browser": "f"}},
            "authenticationFlowBindingOverrides.browser",
            "",
        ),
        *(
            ({"attributes": {name: value}}, f"attributes.{name}", "")
            for name, value in {
                "access.token.lifespan": "315360000",
                "access.token.signed.response.alg": "HS256",
                "backchannel.logout.url": "https://evil.example",
                "client.session.max.lifespan": "315360000",
                "exclude.issuer.from.auth.response": "true",
                "oauth2.device.authorization.grant.enabled": "true",
                "oauth2.jwt.authorization.grant.enabled": "true",
                "post.logout.redirect.uris": "https://evil.example",
                "request.uris": "https://evil.example",
                "standard.token.exchange.enabled": "true",
            }.items()
        ),
    ],
)
def test_what_a_client_has_besides_goes(members: dict[str, object], field: str, fixed: object) -> None:
    (change,) = _changes(**members)
    assert [(displayed.name, displayed.new) for displayed in change.fields] == [(field, fixed)]
    assert change.method == "PUT"
    assert change.body["attributes"]["jwks.url"] == "https://ours.example/keys"


def test_a_mapper_of_its_own_goes_before_anything_else() -> None:
    first, second = _changes(protocolMappers=[{"id": "2", "name": "sub"}], adminUrl="https://evil.example")
    assert (first.method, first.path) == ("DELETE", ("clients", "1", "protocol-mappers", "models", "2"))
    assert second.method == "PUT"


@pytest.mark.parametrize(
    "members",
    [
        {"attributes": {"oauth2.device.authorization.grant.enabled": "false", "post.logout.redirect.uris": "+"}},
        {"attributes": {"realm_client": "false", "backchannel.logout.session.required": "true"}},
        {"adminUrl": "", "rootUrl": None, "authenticationFlowBindingOverrides": {}, "protocolMappers": []},
    ],
)
def test_what_keycloak_and_its_console_write_by_themselves_is_no_difference(members: dict[str, object]) -> None:
    assert _changes(**members) == []
