"""The weaknesses that check finds, from data."""

from __future__ import annotations

from typing import Any

import pytest

from mcp_idp.cli.bootstrap.keycloak.compliance.weaknesses import find_weaknesses
from mcp_idp.cli.bootstrap.keycloak.state.current import CurrentState
from mcp_idp.cli.bootstrap.keycloak.state.roles import CompositeRoles, DefaultRoles, ScopeRoleBinding

RESOURCE = "http://localhost:3000/mcp"
NATIVE_ENDPOINTS = ["default", "install", "saml2-entity-descriptor"]
SCOPE: dict[str, Any] = {"name": "mcp:tools", "protocolMappers": [{"config": {"included.custom.audience": RESOURCE}}]}
TUTORIAL = CurrentState(
    realm={"defaultSignatureAlgorithm": "RS256"},
    scopes={"mcp:tools": SCOPE},
    bindings={"mcp:tools": ScopeRoleBinding()},
)

READERS = ScopeRoleBinding(realm=frozenset({"reader"}), ids=frozenset({"1"}))
VIEWERS = ScopeRoleBinding(clients={"account": {"id": "c", "mappings": [{"id": "2"}]}}, ids=frozenset({"2"}))


def _profile(*executors: dict[str, Any]) -> dict[str, Any]:
    return {"name": "p", "executors": list(executors)}


def _policy(condition: str, **configuration: object) -> dict[str, Any]:
    conditions = [{"condition": condition, "configuration": configuration}]
    return {"name": "p", "enabled": True, "conditions": conditions, "profiles": ["p"]}


def _ids(actual: CurrentState, open_kinds: list[str] | None = None) -> list[str]:
    return sorted(weakness.id for weakness in find_weaknesses(actual, RESOURCE, open_kinds or []))


@pytest.mark.requirement("existing_realm.weaknesses")
def test_all_nine_weaknesses_are_reported_on_a_realm_as_tutorials_set_it_up() -> None:
    found = list(find_weaknesses(TUTORIAL, RESOURCE, NATIVE_ENDPOINTS))
    assert sorted(weakness.id for weakness in found) == [f"S{n}" for n in range(1, 10)]
    for weakness in found:
        needs_server_option = "KC_SPI_CLIENT_REGISTRATION__DEFAULT__ENABLED=false" in weakness.fix
        assert needs_server_option == (weakness.id in {"S2", "S4", "S5"}), weakness.text


@pytest.mark.requirement("existing_realm.weaknesses")
@pytest.mark.parametrize(
    ("binding", "default_roles", "found"),
    [
        (ScopeRoleBinding(), {}, {"S1"}),
        (READERS, {}, set()),
        (READERS, {"1": {"reader"}}, {"S1"}),  # a default role does not restrict the scope
        (
            READERS,
            {"1": {"employee", "reader"}},
            {"S1", "R1"},
        ),  # through an unmanaged role: not changed by apply
        (VIEWERS, {}, set()),
        (VIEWERS, {"2": {"view-profile"}}, {"S1"}),
    ],
)
def test_a_scope_that_all_users_have_is_a_weakness(
    binding: ScopeRoleBinding, default_roles: dict[str, set[str]], found: set[str]
) -> None:
    in_all_default_roles = frozenset({"reader"}.intersection(*default_roles.values()))
    actual = CurrentState(
        realm={},
        roles={"reader": {"id": "1", "name": "reader"}},
        scopes={"mcp:tools": SCOPE},
        bindings={"mcp:tools": binding},
        default=DefaultRoles(direct_roles=in_all_default_roles, by_id=default_roles),
    )
    assert {"S1", "R1"}.intersection(_ids(actual)) == found


@pytest.mark.requirement("existing_realm.weaknesses")
def test_a_role_that_grants_realm_administration_is_a_weakness() -> None:
    actual = CurrentState(
        realm={}, parts={"reader": CompositeRoles(admin_roles=frozenset({"realm-admin"})), "writer": CompositeRoles()}
    )
    (weakness,) = [weakness for weakness in find_weaknesses(actual, RESOURCE, []) if weakness.id == "R2"]
    assert "users with the role reader administer the realm (realm-admin): apply cannot" in weakness.text


@pytest.mark.requirement("existing_realm.weaknesses")
@pytest.mark.parametrize("kind", ["custom", "client"])
def test_a_scope_for_the_resource_is_known_by_either_kind_of_audience(kind: str) -> None:
    scope = {"name": "tut", "protocolMappers": [{"config": {f"included.{kind}.audience": RESOURCE}}]}
    assert "S1" in _ids(CurrentState(realm={}, scopes={"tut": scope}, bindings={"tut": ScopeRoleBinding()}))


@pytest.mark.requirement("existing_realm.weaknesses")
@pytest.mark.parametrize(
    ("policy", "closed"),
    [
        (_policy("grant-type", grant_types=["client_credentials"]), True),
        ({**_policy("grant-type", grant_types=["client_credentials"]), "enabled": False}, False),
        (_policy("grant-type", grant_types=["password"]), False),
        # A second condition may abstain, in which case the policy does not apply.
        (
            {
                **_policy("grant-type", grant_types=["client_credentials"]),
                "conditions": [
                    {"condition": "grant-type", "configuration": {"grant_types": ["client_credentials"]}},
                    {"condition": "client-roles", "configuration": {}},
                ],
            },
            False,
        ),
        ({**_policy("grant-type", grant_types=["client_credentials"]), "profiles": ["gone"]}, False),
    ],
)
def test_only_a_rule_that_really_rejects_the_grant_closes_the_first(policy: dict[str, Any], *, closed: bool) -> None:
    actual = CurrentState(
        realm={},
        scopes={"mcp:tools": SCOPE},
        bindings={"mcp:tools": ScopeRoleBinding()},
        client_profiles=[_profile({"executor": "reject-request", "configuration": {}})],
        client_policies=[policy],
    )
    assert ("S1" not in _ids(actual)) == closed


@pytest.mark.requirement("existing_realm.weaknesses")
def test_patterns_that_do_not_bind_an_anonymous_client_close_nothing() -> None:
    executor = {
        "executor": "secure-client-uris-pattern",
        "configuration": {"client-uri-fields": ["redirectUris"], "allowed-patterns": ["^$"]},
    }

    def ids(policy: dict[str, Any]) -> list[str]:
        return _ids(CurrentState(realm={}, client_profiles=[_profile(executor)], client_policies=[policy]))

    assert "S6" not in ids(_policy("any-client"))
    assert "S6" not in ids(_policy("client-updater-context", **{"update-client-source": ["ByAnonymous"]}))
    assert "S6" in ids(_policy("client-updater-context", **{"update-client-source": ["ByAuthenticatedUser"]}))
    assert "S7" in ids(_policy("any-client"))


@pytest.mark.requirement("existing_realm.weaknesses")
def test_a_symmetric_algorithm_of_the_realm_is_a_weakness_that_apply_fixes() -> None:
    (weakness,) = [
        h
        for h in find_weaknesses(CurrentState(realm={"defaultSignatureAlgorithm": "HS512"}), RESOURCE, [])
        if h.id == "S5"
    ]
    assert "HS512" in weakness.what
    assert weakness.fix == "apply fixes it"


@pytest.mark.requirement("existing_realm.weaknesses")
@pytest.mark.parametrize("subtype", ["anonymous", "authenticated"])
def test_mappers_must_be_forbidden_for_both_kinds_of_registration(subtype: str) -> None:
    none: dict[str, Any] = {"config": {}}
    policies: dict[str, Any] = {
        "allowed-protocol-mappers/anonymous": none,
        "allowed-protocol-mappers/authenticated": none,
    }
    assert "S3" not in _ids(CurrentState(realm={}, policies=policies))
    some = {"config": {"allowed-protocol-mapper-types": ["oidc-usermodel-property-mapper"]}}
    assert "S3" in _ids(CurrentState(realm={}, policies={**policies, f"allowed-protocol-mappers/{subtype}": some}))
    del policies[f"allowed-protocol-mappers/{subtype}"]
    assert "S3" in _ids(CurrentState(realm={}, policies=policies))


REJECT_PROFILE = _profile({"executor": "reject-request", "configuration": {}})


@pytest.mark.requirement("existing_realm.weaknesses")
@pytest.mark.parametrize(
    ("attributes", "closed"),
    [
        ('[{"key":"oidc.ciba.grant.enabled","value":"true"}]', True),
        # All listed conditions must hold, so a second one exempts most clients.
        ('[{"key":"oidc.ciba.grant.enabled","value":"true"},{"key":"x","value":"y"}]', False),
        ('[{"key":"oidc.ciba.grant.enabled","value":"false"}]', False),
        ("no JSON", False),
    ],
)
def test_only_a_rule_for_every_such_client_closes_logins_on_other_devices(attributes: str, *, closed: bool) -> None:
    policy = _policy("client-attributes", attributes=attributes)
    (weakness,) = [
        h
        for h in find_weaknesses(
            CurrentState(realm={}, client_profiles=[REJECT_PROFILE], client_policies=[policy]), RESOURCE, []
        )
        if h.id == "S9"
    ]
    assert ("CIBA" not in weakness.what) == closed


@pytest.mark.requirement("existing_realm.weaknesses")
@pytest.mark.parametrize(
    ("grant", "name"),
    [
        ("password", "users' passwords"),
        ("urn:ietf:params:oauth:grant-type:device_code", "device codes"),
    ],
)
def test_a_grant_is_open_until_a_rule_denies_it_to_all_clients(grant: str, name: str) -> None:
    def describe(policy: dict[str, Any]) -> str:
        actual = CurrentState(realm={}, client_profiles=[REJECT_PROFILE], client_policies=[policy])
        return next(weakness.what for weakness in find_weaknesses(actual, RESOURCE, []) if weakness.id == "S9")

    assert name not in describe(_policy("grant-type", grant_types=[grant]))
    assert name in describe(_policy("grant-type", grant_types=["client_credentials"]))


@pytest.mark.requirement("existing_realm.weaknesses")
@pytest.mark.parametrize(("allowed", "closed"), [(False, True), (True, False), (None, False)])
def test_a_front_channel_logout_page_is_an_external_address_too(*, allowed: bool | None, closed: bool) -> None:
    fields = ["jwksUri", "requestUris", "sectorIdentifierUri", "backchannelLogoutUrl", "postLogoutRedirectUris"]
    fields += ["cibaClientNotificationEndpoint", "logoUri", "policyUri", "tosUri"]
    patterns = {"executor": "secure-client-uris-pattern", "configuration": {"client-uri-fields": fields}}
    frames = {"executor": "secure-logout", "configuration": {"allow-front-channel-logout": allowed}}
    profile = _profile(patterns, frames)
    actual = CurrentState(realm={}, client_profiles=[profile], client_policies=[_policy("any-client")])
    assert ("S7" not in _ids(actual)) == closed
    without = _profile(
        {**patterns, "configuration": {"client-uri-fields": [f for f in fields if not f.startswith("ciba")]}}, frames
    )
    assert "S7" in _ids(CurrentState(realm={}, client_profiles=[without], client_policies=[_policy("any-client")]))


@pytest.mark.requirement("existing_realm.weaknesses")
def test_a_consent_page_that_confirms_names_is_a_weakness_whatever_endpoint_is_open() -> None:
    assert "S8" in _ids(CurrentState(realm={}))
    message = {"en": {"oauthGrantTitle": "Somebody who calls itself {0}"}}
    assert "S8" not in _ids(CurrentState(realm={}, messages=message), NATIVE_ENDPOINTS)
    assert "S8" in _ids(CurrentState(realm={}, messages={"en": {"other": "text"}}))
