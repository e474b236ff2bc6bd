"""Boundary cases of `validate_claims`, called directly without a token."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mcp_idp.access.policy import load_access
from mcp_idp.config.settings import Settings
from mcp_idp.errors import InvalidToken, NoAudience, TokenErrorReason
from mcp_idp.principal import Actor, Principal
from mcp_idp.providers import profile_for
from mcp_idp.testing.issuer import ISSUER, NOW, RESOURCE, Issuer, rsa_key, signed
from mcp_idp.tokens.claims import ClaimsPolicy, validate_claims
from tests.support.app import running

KEYCLOAK = ClaimsPolicy(
    issuer=ISSUER,
    audience=RESOURCE,
    profile=profile_for(ISSUER, "keycloak"),
    access=load_access(Settings().access_file),
    roles_claim="mcp_roles",
    leeway=30,
    max_lifetime=24 * 3600,
)
BY_ROLES = replace(KEYCLOAK, profile=replace(KEYCLOAK.profile, scopes_from_roles=True))


def principal(rules: ClaimsPolicy = KEYCLOAK, /, **changes: Any) -> Principal:
    return validate_claims(Issuer().claims(**changes), rules, NOW)


def rejection(rules: ClaimsPolicy = KEYCLOAK, /, **changes: Any) -> TokenErrorReason:
    with pytest.raises(InvalidToken) as rejected:
        principal(rules, **changes)
    return rejected.value.reason


@pytest.mark.requirement("jwt.times")
@pytest.mark.parametrize(
    ("good", "rejected", "reason"),
    [
        ({"nbf": NOW + 30}, {"nbf": NOW + 30.001}, TokenErrorReason.NOT_YET_VALID),
        ({"iat": NOW + 30}, {"iat": NOW + 30.001}, TokenErrorReason.IAT_IN_FUTURE),
        ({"exp": NOW - 29.999}, {"exp": NOW - 30}, TokenErrorReason.EXPIRED),
        ({"nbf": 0, "iat": NOW}, {"nbf": -1}, TokenErrorReason.CLAIMS_MALFORMED),
    ],
)
def test_a_time_is_valid_to_the_end_of_the_leeway(
    good: dict[str, Any], rejected: dict[str, Any], reason: TokenErrorReason
) -> None:
    assert principal(**good).subject == "4f0c"
    assert rejection(**rejected) is reason


@pytest.mark.requirement("jwt.times")
def test_a_time_beyond_what_a_float_holds_is_none() -> None:
    assert rejection(exp=2**53) is TokenErrorReason.LIFETIME
    assert rejection(exp=2**53 + 1) is TokenErrorReason.CLAIMS_MALFORMED


@pytest.mark.requirement("jwt.claims")
def test_an_identifier_may_be_as_long_as_we_keep() -> None:
    assert principal(sub="x" * 2048).subject == "x" * 2048
    assert rejection(sub="x" * 2049) is TokenErrorReason.CLAIMS_MALFORMED
    assert principal(sub="x").subject == "x"


@pytest.mark.requirement("jwt.scopes")
@pytest.mark.parametrize("scope", ["mcp:tools\tmcp:admin", "mcp:tools\nmcp:admin", "mcp:tools\u00a0mcp:admin"])
def test_nothing_but_a_space_separates_scopes(scope: str) -> None:
    assert principal(scope=scope).scopes == {scope}


@pytest.mark.requirement("jwt.scopes")
@pytest.mark.parametrize("scope", ["", " ", " mcp:tools  "])
def test_between_two_spaces_is_no_scope(scope: str) -> None:
    assert principal(scope=scope).scopes == set(scope.split())


@pytest.mark.requirement("jwt.scopes")
def test_where_scopes_are_bound_to_users_the_roles_are_listed_and_add_nothing() -> None:
    groups = replace(KEYCLOAK, access=KEYCLOAK.access.model_copy(update={"groups": {"staff": ("mcp-writer",)}}))
    output = principal(groups, mcp_roles=["staff", "mcp-reader"], scope="mcp:tools")
    assert output.roles == frozenset({"staff", "mcp-writer", "mcp-reader"})
    assert output.scopes == {"mcp:tools"}
    assert principal(mcp_roles=...).roles is None


@pytest.mark.requirement("jwt.scopes")
def test_where_roles_grant_scopes_only_groups_of_the_file_are_roles() -> None:
    groups = replace(BY_ROLES, access=BY_ROLES.access.model_copy(update={"groups": {"staff": ("mcp-reader",)}}))
    assert principal(groups, mcp_roles=["staff", "mcp-admin"]).roles == frozenset({"mcp-reader"})
    assert principal(BY_ROLES, mcp_roles=...).scopes == frozenset()


@pytest.mark.requirement("jwt.scopes")
def test_where_roles_grant_scopes_requested_scopes_narrow_and_never_add() -> None:
    assert principal(BY_ROLES, mcp_roles=["mcp-reader"], scope="mcp:admin").scopes == {"mcp:tools", "mcp:notes.read"}
    assert principal(BY_ROLES, mcp_roles=["mcp-admin"], scope="mcp:tools").scopes == {"mcp:tools"}


@pytest.mark.requirement("jwt.end_user", "jwt.scopes")
def test_where_roles_grant_scopes_a_listed_service_client_keeps_its_token_s_scopes() -> None:
    service_clients = replace(BY_ROLES, service_clients=frozenset({"client-1"}))
    assert principal(service_clients, sid=..., scope="mcp:admin", mcp_roles=[]).scopes == {"mcp:admin"}
    assert principal(service_clients, scope="mcp:admin", mcp_roles=[]).scopes == frozenset()
    assert rejection(BY_ROLES, sid=..., scope="mcp:admin") is TokenErrorReason.NO_END_USER
    assert rejection(service_clients, sid=..., azp="client-2") is TokenErrorReason.NO_END_USER
    assert rejection(service_clients, sid=..., azp=...) is TokenErrorReason.NO_END_USER


@pytest.mark.requirement("jwt.audience")
def test_without_an_audience_only_a_listed_client_is_accepted_and_a_wrong_audience_never() -> None:
    listed = replace(KEYCLOAK, clients=frozenset({"client-1"}))
    assert principal(listed, aud=...).client == "client-1"
    assert principal(listed).client == "client-1"
    assert rejection(listed, aud=..., azp="client-2") is TokenErrorReason.AUDIENCE
    assert rejection(listed, aud=..., azp=...) is TokenErrorReason.AUDIENCE


@pytest.mark.requirement("jwt.one_resource")
@pytest.mark.parametrize(
    ("further", "other", "accepted"),
    [
        (None, "http://localhost:3001/mcp", True),
        ((), "http://localhost:3001/mcp", False),
        ((), "Https://notes.example.com/mcp", False),
        ((), "http://", False),
        ((), RESOURCE + "/", False),
        ((), "\thttp://localhost:3001/mcp", False),
        ((), "account", True),
        ((), "urn:notes", True),
        ((), RESOURCE, True),
        (("http://localhost:3001/mcp",), "http://localhost:3001/mcp", True),
        (("http://localhost:3001/mcp",), "http://localhost:3002/mcp", False),
    ],
)
def test_a_token_for_another_resource_too_is_rejected_unless_it_is_listed(
    further: tuple[str, ...] | None, other: str, *, accepted: bool
) -> None:
    rules = replace(KEYCLOAK, further_audiences=None if further is None else frozenset(further))
    for audience in ([RESOURCE, other], [other, RESOURCE]):
        if accepted:
            assert principal(rules, aud=audience).client == "client-1"
        else:
            assert rejection(rules, aud=audience) is TokenErrorReason.AUDIENCE


@pytest.mark.requirement("jwt.audience")
@pytest.mark.parametrize("audience", ["client-1", [], None, "other"])
def test_a_listed_client_does_not_make_up_for_a_wrong_audience(audience: object) -> None:
    assert rejection(replace(KEYCLOAK, clients=frozenset({"client-1"})), aud=audience) is TokenErrorReason.AUDIENCE


@pytest.mark.requirement("jwt.no_audience")
def test_a_good_token_without_any_audience_is_told_apart() -> None:
    with pytest.raises(NoAudience) as rejected:
        principal(aud=...)
    assert (rejected.value.status, rejected.value.reason) == (403, TokenErrorReason.AUDIENCE)


@pytest.mark.requirement("jwt.no_audience")
@pytest.mark.parametrize(
    "changes",
    [
        {"aud": None},
        {"aud": ""},
        {"aud": []},
        {"aud": {}},
        {"aud": "https://other.example/mcp"},
        {"aud": ..., "iss": "https://other.example"},
        {"aud": ..., "exp": NOW - 31},
        {"aud": ..., "exp": ...},
        {"aud": ..., "nbf": NOW + 31},
        {"aud": ..., "typ": "ID"},
        {"aud": ..., "typ": "Refresh"},
        {"aud": ..., "typ": ...},
        {"aud": ..., "events": {}},
        {"aud": ..., "cnf": {"jkt": "x"}},
        {"aud": ..., "sid": ...},
        {"aud": ..., "scope": 7},
    ],
)
def test_every_other_token_without_our_audience_is_answered_alike(changes: dict[str, Any]) -> None:
    with pytest.raises(InvalidToken) as rejected:
        principal(**changes)
    assert (type(rejected.value), rejected.value.status) == (InvalidToken, 401)


@pytest.mark.requirement("jwt.no_audience")
@pytest.mark.parametrize("client", ["client-2", "", None, ...])
def test_where_clients_are_listed_no_token_without_audience_is_told_apart(client: object) -> None:
    with pytest.raises(InvalidToken) as rejected:
        principal(replace(KEYCLOAK, clients=frozenset({"client-1"})), aud=..., azp=client)
    assert type(rejected.value) is InvalidToken


@pytest.mark.requirement("jwt.issuer")
@pytest.mark.parametrize("issuer", ["https://alias.example/", ["https://alias.example"], None, {}])
def test_an_alias_of_the_issuer_is_a_string_of_the_list(issuer: object) -> None:
    aliased = replace(KEYCLOAK, aliases=frozenset({"https://alias.example"}))
    assert principal(aliased, iss="https://alias.example").issuer == ISSUER
    assert rejection(aliased, iss=issuer) is TokenErrorReason.ISSUER


def _signed(issuer: Issuer, **changes: Any) -> str:
    """Signs claims like `Issuer.token`, including ones that no library would serialize."""
    payload = json.dumps(issuer.claims(**changes)).encode()
    return signed(b'{"alg":"RS256","kid":"one","typ":"JWT"}', payload, rsa_key("one"))


@pytest.mark.requirement("body.surrogates")
@pytest.mark.anyio
@pytest.mark.parametrize("claim", ["sub", "azp", "scope", "sid"])
@pytest.mark.parametrize("half", ["\ud800", "mcp:tools \udfff"])
async def test_an_unpaired_surrogate_in_a_claim_is_rejected(claim: str, half: str) -> None:
    async with running() as server:
        response = await server.post(_signed(server.issuer, **{claim: half}))
    assert response.status_code == 401


@pytest.mark.requirement("body.surrogates")
@pytest.mark.anyio
async def test_a_whole_pair_is_a_character() -> None:
    async with running() as server:
        response = await server.post(_signed(server.issuer, sub="\U0001f600"))
        greeting = await server.call("greet", server.issuer.token(), {"name": "\U0001f600"})
    assert response.json()["result"]["structuredContent"]["subject"] == "\U0001f600"
    assert greeting.status_code == 200


_JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats()
    | st.text(max_size=20)
    | st.sampled_from([ISSUER, RESOURCE, "Bearer", "mcp:tools", NOW, NOW + 300]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
_NAMES = ("iss", "aud", "sub", "azp", "client_id", "typ", "sid", "scope", "scp", "mcp_roles", "iat", "nbf", "exp")
CLAIMS = st.dictionaries(st.sampled_from((*_NAMES, "cnf", "events", "nonce", "token_use")), _JSON, max_size=4)
RULES = [
    ClaimsPolicy(
        issuer=ISSUER,
        aliases=frozenset({"https://alias.example"}),
        audience=RESOURCE,
        clients=frozenset({"client-1"}),
        profile=profile,
        access=load_access(Settings().access_file),
        roles_claim="mcp_roles",
        leeway=30,
        max_lifetime=86400,
    )
    for profile in (profile_for(ISSUER), profile_for("https://login.example.com"), profile_for(ISSUER, "nanoidp"))
]


@pytest.mark.requirement("jwt.any_claims")
@settings(max_examples=500, derandomize=True, deadline=None, database=None)
@given(changes=CLAIMS, rules=st.sampled_from(RULES), only_changes=st.booleans())
def test_any_claims_are_a_principal_or_a_rejection(
    changes: dict[str, Any],
    rules: ClaimsPolicy,
    only_changes: bool,  # noqa: FBT001 - a parameter
) -> None:
    claims = changes if only_changes else {**Issuer().claims(), **changes}
    try:
        principal = validate_claims(claims, rules, NOW)
    except InvalidToken:
        return
    assert isinstance(principal, Principal)
    assert claims["iss"] in {rules.issuer, *rules.aliases}
    assert RESOURCE in claims["aud"] if "aud" in claims else principal.client in rules.clients
    assert NOW - rules.leeway < principal.expires_at <= NOW + rules.leeway + rules.max_lifetime


@pytest.mark.parametrize(
    ("act", "actor"),
    [
        ({"sub": "agent-1"}, Actor("agent-1")),
        ({"client_id": "agent"}, Actor(None, None, "agent")),
        ({"sub": "a", "iss": "https://b.example", "client_id": "c"}, Actor("a", "https://b.example", "c")),
        ({"sub": "a", "iss": None, "act": {"sub": "earlier"}}, Actor("a")),
        (None, None),
        (..., None),
    ],
)
def test_the_principal_has_the_current_actor(act: object, actor: Actor | None) -> None:
    assert principal(act=act).actor == actor


def test_who_acts_is_part_of_who_calls() -> None:
    assert principal(act={"sub": "a"}) != principal(act={"sub": "b"}) != principal()
