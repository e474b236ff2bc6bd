"""The rules for the members of a registration."""

from __future__ import annotations

from typing import Any

import pytest

from mcp_idp.access.models import RegistrationPolicy
from mcp_idp.access.registration_profiles import PROFILES
from mcp_idp.cli.bootstrap.keycloak.templates import load_realm_file
from mcp_idp.registrar.errors import InvalidMetadata, InvalidRedirectUri, RegistrationRejected
from mcp_idp.registrar.normalization import RULES, Limits, add_portless, dropped_members, normalize
from mcp_idp.registrar.settings import HOME_HOSTS
from tests.support.registrar import KEYCLOAK_FILES, OPEN

LIMITS = Limits.of(OPEN, HOME_HOSTS)
GOOD = "http://localhost:7001/callback"
BASE = {"redirect_uris": ["http://localhost/callback"]}


def forwarded(**members: Any) -> dict[str, Any]:
    document = {**BASE, **members}
    kept = normalize(document, LIMITS)
    assert kept.pop("redirect_uris") == BASE["redirect_uris"]
    return kept


@pytest.mark.requirement("registrar.portless")
@pytest.mark.parametrize(
    ("uri", "added"),
    [
        ("http://localhost:7001/callback", "http://localhost/callback"),
        ("http://127.0.0.1:7001/callback/x1Y2", "http://127.0.0.1/callback/x1Y2"),
        ("http://[::1]:7001/callback", "http://[::1]/callback"),
        ("http://localhost:7001/", "http://localhost/"),
        ("http://localhost:7001", "http://localhost"),
        ("http://localhost:0/a-b_c.d~e", "http://localhost/a-b_c.d~e"),
    ],
)
def test_a_loopback_uri_is_added_without_its_port(uri: str, added: str) -> None:
    assert normalize({"redirect_uris": [uri]}, LIMITS) == {"redirect_uris": [uri, added]}


@pytest.mark.requirement("registrar.portless")
@pytest.mark.parametrize(
    "uri",
    [
        "http://localhost/callback",
        "http://[::1]",
        "https://vscode.dev/redirect",
        "cursor://anysphere.cursor-mcp/oauth/callback",
        "https://localhost:7001/callback",
        "http://localhost.evil.example:7001/callback",
        "http://localhost:7001@evil.example/callback",
        "http://localhost:80.evil.example/callback",
        "http://evil.example:7001/http://localhost:7001/callback",
    ],
)
def test_nothing_is_added_for_any_other_uri(uri: str) -> None:
    assert add_portless([uri]) == [uri]


@pytest.mark.requirement("registrar.portless")
def test_each_uri_is_there_once_and_the_client_s_own_come_first() -> None:
    uris = [GOOD, "http://localhost:7002/callback", "http://localhost/callback", GOOD, "https://vscode.dev/redirect"]
    assert normalize({"redirect_uris": uris}, LIMITS)["redirect_uris"] == [
        GOOD,
        "http://localhost:7002/callback",
        "http://localhost/callback",
        "https://vscode.dev/redirect",
    ]


@pytest.mark.requirement("registrar.dropped")
@pytest.mark.parametrize("value", ["mcp:tools", "", 7, ["mcp:admin"], {"a": 1}, "x" * 60_000])
@pytest.mark.parametrize("member", ["scope", "logo_uri", "tos_uri", "policy_uri", "code_challenge_method", "x"])
def test_what_the_realm_cannot_use_is_dropped(member: str, value: object) -> None:
    assert forwarded(**{member: value}) == {}


@pytest.mark.requirement("registrar.dropped")
@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        (["authorization_code"], ["authorization_code"]),
        (["authorization_code", "refresh_token"], ["authorization_code", "refresh_token"]),
        (["refresh_token", "urn:x", "authorization_code", "password"], ["refresh_token", "authorization_code"]),
        (["authorization_code", "authorization_code"], ["authorization_code"]),
        (["authorization_code", "urn:ietf:params:oauth:grant-type:jwt-bearer"], ["authorization_code"]),
        (["urn:ietf:params:oauth:grant-type:device_code", "authorization_code"], ["authorization_code"]),
    ],
)
def test_grants_that_the_realm_does_not_offer_are_dropped(sent: list[str], kept: list[str]) -> None:
    assert forwarded(grant_types=sent) == {"grant_types": kept}


CANNOT_BE: dict[str, list[Any]] = {
    "grant_types": [[], ["refresh_token"], ["implicit"], "authorization_code", [7], {}],
    "response_types": [[], ["token"], "code", ["id_token token"], [["code"]], ["code"] * 21],
    "client_name": [7, [], {}, True, ["a"]],
    "client_uri": [7, [], {}, True, ["https://github.com"]],
    "token_endpoint_auth_method": [7, [], {}, True, "x" * 256],
    **{name: ["", "x", 7, [], {}] for name in ("jwks_uri", "client_id", "request_uris", "backchannel_logout_uri")},
}


@pytest.mark.requirement("registrar.refused")
@pytest.mark.parametrize(
    ("member", "value"), [(member, value) for member, values in CANNOT_BE.items() for value in values]
)
def test_what_cannot_be_accepted_is_refused_with_the_name_of_the_member(member: str, value: object) -> None:
    with pytest.raises(InvalidMetadata, match=f"^{member}: ") as refused:
        forwarded(**{member: value})
    assert (refused.value.status, refused.value.code) == (400, "invalid_client_metadata")


@pytest.mark.requirement("registrar.refused")
@pytest.mark.parametrize("uris", [[], "x", {}, None, 7, [GOOD] * 21, [GOOD, 7], [GOOD, "https://evil.example/"]])
@pytest.mark.parametrize("member", ["redirect_uris", "post_logout_redirect_uris"])
def test_a_foreign_redirect_is_refused(member: str, uris: object) -> None:
    if member != "redirect_uris" and uris is None:
        assert forwarded(**{member: uris}) == {}
        return
    with pytest.raises(InvalidRedirectUri, match=f"^{member}") as refused:
        normalize({**BASE, member: uris}, LIMITS)
    assert refused.value.code == "invalid_redirect_uri"


@pytest.mark.requirement("registrar.dropped")
@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("Visual Studio Code", "Visual Studio Code"),
        ("a" * 255, "a" * 255),
        ("a" * 256, "a" * 255),
        ("\U0001f600" * 128, "\U0001f600" * 127),
        ("a" + "\U0001f600" * 127, "a" + "\U0001f600" * 127),
        ("\u00e4" * 300, "\u00e4" * 255),
        ("a\0b\x1b[2J\u0085", "ab[2J"),
        ("", ""),
    ],
)
def test_a_name_is_cut_to_what_the_provider_stores(name: str, kept: str) -> None:
    assert forwarded(client_name=name) == {"client_name": kept}


@pytest.mark.requirement("registrar.dropped")
@pytest.mark.parametrize(
    ("uri", "kept"),
    [
        ("https://code.visualstudio.com", "https://code.visualstudio.com"),
        ("https://github.com/modelcontextprotocol/inspector", "https://github.com/modelcontextprotocol/inspector"),
        ("http://localhost:6274", "http://localhost:6274"),
        ("https://opencode.example", None),
        ("https://github.com.evil.example/", None),
        ("https://github.com@evil.example/", None),
        ("https://github.com\\.evil.example/", None),
        ("https://github.com/?a=b", None),
        ("javascript://github.com/%0aalert(1)", None),
        ("//github.com/", None),
        ("https://github.com/" + "a" * 250, None),
        ("", None),
    ],
)
def test_a_home_page_is_kept_on_known_hosts_only(uri: str, kept: str | None) -> None:
    assert forwarded(client_uri=uri).get("client_uri") == kept


@pytest.mark.requirement("registrar.refused")
@pytest.mark.parametrize("profile", PROFILES)
def test_a_vendor_s_redirect_is_allowed_where_the_profile_says_so(profile: Any) -> None:
    domains = ("claude.ai",)
    policy = RegistrationPolicy(profile=profile, vendors={"x": ("https://x.example/cb",)}, document_domains=domains)
    document = {"redirect_uris": ["https://x.example/cb"]}
    if PROFILES[profile].vendors:
        assert normalize(document, Limits.of(policy, ())) == document
        return
    with pytest.raises(RegistrationRejected):
        normalize(document, Limits.of(policy, ()))


@pytest.mark.requirement("registrar.dropped")
def test_normalizing_twice_changes_nothing() -> None:
    document = {"redirect_uris": [GOOD], "client_name": "\U0001f600" * 200, "grant_types": ["authorization_code", "x"]}
    once = normalize(document, LIMITS)
    assert normalize(once, LIMITS) == once


def test_what_was_dropped_is_reported_without_text_of_the_request() -> None:
    document = {**BASE, "scope": "x", "evil\r\nname": 1, "other": 2, "logo_uri": None}
    assert dropped_members(document, normalize(document, LIMITS)) == ["scope", "2 unknown"]


def test_the_known_home_pages_are_those_that_keycloak_trusts() -> None:
    assert set(HOME_HOSTS) == set(load_realm_file(KEYCLOAK_FILES).client_uri_hosts)


def test_every_member_has_one_rule() -> None:
    assert len(RULES) == 49
