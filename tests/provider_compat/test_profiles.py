"""Detection of the provider from the issuer, invalid issuers, and authorization by roles."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import httpx
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from mcp_idp.access.policy import load_access
from mcp_idp.config import load_settings
from mcp_idp.config.env import SettingsError
from mcp_idp.config.settings import Settings
from mcp_idp.config.validation import validate_provider
from mcp_idp.errors import InvalidToken, TokenErrorReason
from mcp_idp.providers import PROFILES, profile_for
from mcp_idp.testing.issuer import ISSUER, NOW, RESOURCE, Issuer
from mcp_idp.tokens.claims import ClaimsPolicy, validate_claims
from mcp_idp.tokens.issuers import TokenVerifierRegistry
from tests.support.app import FakeClock

if TYPE_CHECKING:
    from pathlib import Path

KNOWN_ISSUERS = {
    "https://acme.okta.com/oauth2/default": "okta",
    "https://ACME.OKTA.COM/oauth2/default": "okta",
    "https://acme.oktapreview.com/oauth2/aus1": "okta",
    "https://acme.eu.auth0.com/": "auth0",
    "https://login.microsoftonline.com/72f988bf-86f1-41af-91ab-2d7cd011db47/v2.0": "entra",
    "https://sts.windows.net/72f988bf-86f1-41af-91ab-2d7cd011db47/": "entra",
    "https://cognito-idp.us-east-1.amazonaws.com/us-east-1_abc": "cognito",
    "https://cognito-idp.cn-north-1.amazonaws.com.cn/cn-north-1_abc": "cognito",
    "https://accounts.google.com": "google",
    "https://acme-x1.zitadel.cloud": "zitadel",
    "https://acme.us1.zitadel.cloud": "zitadel",
    "https://acme.projects.oryapis.com": "ory",
    "https://sso.example.com/application/o/mcp/": "authentik",
    "https://login.example.com/realms/team": "keycloak",
    "https://login.example.com/auth/realms/team": "keycloak",
    "https://login.example.com": "generic",
}
LOOK_ALIKES = (
    "https://okta.com",
    "https://okta.com.attacker.example/oauth2/default",
    "https://acme.okta.com.attacker.example/oauth2/default",
    "https://acmeokta.com/oauth2/default",
    "https://acme-okta.com/oauth2/default",
    "https://attacker.example/acme.okta.com/oauth2/default",
    "https://xauth0.com/",
    "https://acme.auth0.com.attacker.example/",
    "https://login.microsoftonline.com.attacker.example/t/v2.0",
    "https://xlogin.microsoftonline.com/t/v2.0",
    "https://loginXmicrosoftonline.com/t/v2.0",
    "https://sts.windows.net.attacker.example/t/",
    "https://cognito-idp.us-east-1.amazonaws.com.attacker.example/p",
    "https://cognito-idp.attacker.example.amazonaws.com/p",
    "https://xcognito-idp.us-east-1.amazonaws.com/p",
    "https://accounts.google.com.attacker.example",
    "https://accounts-google.com",
    "https://evilzitadel.cloud",
    "https://projects-oryapis.com",
    "https://realms.example.com",
    "https://application.example.com/o/mcp/",
)


@pytest.mark.parametrize(("issuer", "name"), KNOWN_ISSUERS.items())
def test_an_issuer_s_host_identifies_its_provider(issuer: str, name: str) -> None:
    assert profile_for(issuer).name == name
    assert profile_for(issuer, "dex").name == "dex"


@pytest.mark.parametrize("issuer", LOOK_ALIKES)
def test_a_look_alike_host_is_no_known_provider(issuer: str) -> None:
    assert profile_for(issuer).name == "generic"


WRONG = [
    ("https://acme.okta.com", "/oauth2/default"),
    ("https://acme.okta.com/", "/oauth2/default"),
    ("https://acme.okta.com/oauth2/default/", "remove it"),
    ("https://acme.okta.com/oauth2/default/v1/authorize", "an endpoint, not the issuer"),
    ("https://acme.eu.auth0.com", "ends with a slash"),
    ("https://login.microsoftonline.com/common/v2.0", "<tenant id>/v2.0"),
    ("https://login.microsoftonline.com/organizations/v2.0", "users of every tenant"),
    ("https://login.microsoftonline.com/consumers/v2.0", "users of every tenant"),
    ("https://login.microsoftonline.com/{tenantid}/v2.0", "users of every tenant"),
    ("https://login.microsoftonline.com/9188040d-6c67-4c5b-b112-36a304b66dad/v2.0", "users of every tenant"),
    ("https://sts.windows.net/9188040d-6c67-4c5b-b112-36a304b66dad/", "users of every tenant"),
    ("https://login.microsoftonline.com/72f988bf-86f1-41af-91ab-2d7cd011db47", "/v2.0"),
    ("https://login.microsoftonline.com/72f988bf-86f1-41af-91ab-2d7cd011db47/v2.0/", "remove it"),
    ("https://acme.auth.eu-central-1.amazoncognito.com", "https://cognito-idp.<region>"),
    ("https://cognito-idp.eu-central-1.amazonaws.com", "names no user pool"),
    ("https://cognito-idp.eu-central-1.amazonaws.com/eu-central-1_abc/", "remove it"),
    ("https://accounts.google.com", "use Keycloak or Dex"),
    ("https://sso.example.com/application/o/mcp", "ends with a slash"),
    ("https://acme-x1.zitadel.cloud/", "remove it"),
]


@pytest.mark.parametrize(("issuer", "message"), WRONG)
def test_a_common_wrong_issuer_is_rejected_with_the_right_one(issuer: str, message: str) -> None:
    variables = {"OAUTH_SERVER_URL": issuer, "MCP_PUBLIC_URL": "https://mcp.example.com/mcp"}
    with pytest.raises(SettingsError) as rejected:
        load_settings(variables)
    line = str(rejected.value)
    assert line.startswith(f"OAUTH_SERVER_URL={issuer}: ")
    assert message in line
    assert "\n" not in line


@pytest.mark.parametrize("name", ["auth0", "entra", "cognito", "google", "dex", "ory"])
def test_introspection_mode_is_rejected_where_no_endpoint_is_found(name: str) -> None:
    introspecting = replace(
        Settings(), provider=PROFILES[name], server_url="https://id.example.com/t", token_mode="introspection"
    )
    with pytest.raises(SettingsError):
        validate_provider(introspecting)
    validate_provider(replace(introspecting, introspect_url="https://id.example.com/introspect"))


CLIENT_CLAIMS = ("client_id", "azp", "cid", "appid")
CLIENT_CLAIMS_OF = {
    "keycloak": ["azp"],
    "dex": ["azp"],
    "nanoidp": ["client_id"],
    "authentik": ["azp"],
    "zitadel": ["client_id", "azp"],
    "ory": ["client_id"],
    "authelia": ["client_id"],
    "okta": ["cid"],
    "auth0": ["azp", "client_id"],
    "entra": ["azp", "appid"],
    "cognito": ["client_id"],
    "google": ["client_id", "azp"],
    "generic": ["client_id", "azp", "cid", "appid"],
}


def _rules_of(profile: Any) -> ClaimsPolicy:
    return ClaimsPolicy(
        issuer=ISSUER,
        audience=RESOURCE,
        profile=profile,
        access=ACCESS,
        roles_claim="roles",
        leeway=0,
        max_lifetime=3600,
    )


@pytest.mark.parametrize("name", PROFILES)
def test_the_client_is_read_from_the_provider_s_own_claims_only(name: str) -> None:
    rules = _rules_of(replace(PROFILES[name], token_type_claims=(), access_token_only_claims=(), user_claim=None))
    claims = {name: value for name, value in Issuer().claims().items() if name not in CLIENT_CLAIMS}
    client_of = {
        claim: validate_claims({**claims, claim: f"from {claim}"}, rules, NOW).client for claim in CLIENT_CLAIMS
    }
    expected = CLIENT_CLAIMS_OF[name]
    assert client_of == {claim: f"from {claim}" if claim in expected else None for claim in CLIENT_CLAIMS}
    with_all = {**claims, **{claim: f"from {claim}" for claim in CLIENT_CLAIMS}}
    assert validate_claims(with_all, rules, NOW).client == f"from {expected[0]}"


@pytest.mark.parametrize(
    ("name", "claim"),
    [
        ("dex", "azp"),
        ("authentik", "uid"),
        ("zitadel", "jti"),
        ("ory", "client_id"),
        ("authelia", "client_id"),
        ("okta", "cid"),
        ("auth0", "azp"),
        ("entra", "azp"),
    ],
)
def test_a_token_without_the_claims_of_access_tokens_only_is_rejected(name: str, claim: str) -> None:
    rules = _rules_of(replace(PROFILES[name], token_type_claims=(), user_claim=None))
    marks = {*CLIENT_CLAIMS, "uid", "jti"}
    claims = {name: value for name, value in Issuer().claims().items() if name not in marks}
    assert validate_claims({**claims, claim: "1"}, rules, NOW).subject
    with pytest.raises(InvalidToken) as rejected:
        validate_claims(claims, rules, NOW)
    assert rejected.value.reason is TokenErrorReason.TOKEN_TYPE


@pytest.mark.anyio
async def test_an_additional_issuer_follows_the_same_rules(tmp_path: Path) -> None:
    content = yaml.safe_load(Settings().access_file.read_text(encoding="utf-8"))
    path = tmp_path / "access.yaml"
    async with httpx.AsyncClient() as http:
        for issuer, _ in (*WRONG, ("https://cognito-idp.eu-central-1.amazonaws.com/eu-central-1_abc", "")):
            path.write_text(yaml.safe_dump({**content, "issuers": {issuer: {}}}), encoding="utf-8")
            with pytest.raises(SettingsError) as rejected:
                TokenVerifierRegistry(Settings(access_file=path), load_access(path), FakeClock().clock, http)
            assert "issuers: " in str(rejected.value)


@pytest.mark.requirement("issuers.aliases")
def test_the_two_issuers_of_one_entra_tenant_are_aliases_and_nothing_else_is() -> None:
    entra = PROFILES["entra"]
    two, one = "https://login.microsoftonline.com/t-1/v2.0", "https://sts.windows.net/t-1/"
    assert entra.aliases_of(two) == {one}
    assert entra.aliases_of(one) == {two}
    for odd in (
        "https://sts.windows.net/t-1",
        "https://sts.windows.net/t/1/",
        "https://loginXmicrosoftonline.com/t/v2.0",
        "",
    ):
        assert entra.aliases_of(odd) == frozenset()
    assert all(profile.aliases_of(two) == frozenset() for profile in PROFILES.values() if profile is not entra)


ACCESS = load_access(Settings().access_file)
NAMES = st.lists(st.sampled_from([*ACCESS.roles, "engineering", *ACCESS.scopes, "x"]), max_size=4)
BY_ROLES = [p for p in PROFILES.values() if p.scopes_from_roles and not p.roles_are_object_keys]


@given(
    profile=st.sampled_from(BY_ROLES),
    current=NAMES,
    scopes=st.fixed_dictionaries({}, optional=dict.fromkeys(("scope", "scp", "permissions", "mcp_roles"), NAMES)),
)
def test_no_scope_in_a_token_adds_to_what_the_roles_grant(
    profile: Any, current: list[str], scopes: dict[str, list[str]]
) -> None:
    access = ACCESS.model_copy(update={"groups": {"engineering": ("mcp-writer",)}})
    rules = ClaimsPolicy(
        issuer=ISSUER,
        audience=RESOURCE,
        profile=replace(profile, user_claim=None),
        access=access,
        roles_claim=profile.roles_claim,
        leeway=0,
        max_lifetime=3600,
    )
    markers = {"azp": "cli", "uid": "1", "client_id": "cli", "token_use": "access"}
    claims = {**Issuer().claims(typ=..., scope=..., mcp_roles=...), **markers, **scopes, profile.roles_claim: current}
    principal = validate_claims(claims, rules, NOW)
    granted = access.effective_scopes(access.scopes_granted_by(access.roles_for_groups(current)))
    assert principal.scopes <= granted
    assert principal.roles == access.roles_for_groups(current)
    if not any(scopes.get(name) for name in profile.scope_claims):
        assert principal.scopes == granted
