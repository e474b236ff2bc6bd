"""The tokens of each fake provider at the whole server, with only the settings of the guide."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from structlog.testing import capture_logs

from mcp_idp.config.env import SettingsError
from mcp_idp.providers import PROFILES, profile_for
from tests.provider_compat.fake_provider import FakeProvider, Row, serving
from tests.provider_compat.index import FAKE_PROVIDERS
from tests.provider_compat.opaque import AUTHELIA, GENERIC, ORY, ZITADEL
from tests.provider_compat.saas import COGNITO
from tests.provider_compat.self_hosted import DEX
from tests.support.outcomes import settle

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from tests.support.app import Calls

pytestmark = pytest.mark.anyio
INTROSPECTION_SETTINGS = {"AUTH_TOKEN_MODE": "introspection", "OAUTH_CLIENT_SECRET": "our own s3cret"}
INTROSPECTING = (
    ZITADEL,
    replace(ORY, settings={"OAUTH_INTROSPECT_URL": "http://hydra:4445/admin/oauth2/introspect"}),
    AUTHELIA,
    GENERIC,
)


async def outcome(server: Calls, token: str) -> frozenset[str] | str:
    """Returns the scopes of an accepted token, or the reason of the rejection in the log, or the code of a 403."""
    await settle()
    with capture_logs() as lines:
        response = await server.post(token)
    if response.status_code == 200:
        who: dict[str, Any] = response.json()["result"]["structuredContent"]
        assert who["client"]
        assert who["subject"]
        return frozenset(who["scopes"])
    (rejected,) = (line for line in lines if line["event"] == "request_rejected")
    message = str(rejected.get("reason", rejected["code"]))
    assert response.status_code == (403 if message.startswith("insufficient") else 401), lines
    # A missing scope that no login can grant gets no challenge, or clients would log in forever.
    assert ("www-authenticate" in response.headers) == (message != "insufficient_role")
    return message


async def outcomes(server: Calls, fake_provider: FakeProvider, rows: Iterable[Row]) -> dict[str, frozenset[str] | str]:
    return {row.name: await outcome(server, fake_provider.token(row)) for row in rows}


def expected(rows: Iterable[Row]) -> dict[str, frozenset[str] | str]:
    return {row.name: row.message if row.scopes is None else row.scopes for row in rows}


@pytest.mark.requirement("providers.token_types")
@pytest.mark.parametrize("fake_provider", FAKE_PROVIDERS, ids=lambda i: i.profile)
async def test_each_token_becomes_what_it_should(fake_provider: FakeProvider, tmp_path: Path) -> None:
    rows = (*fake_provider.rows, *fake_provider.rows_for_all())
    async with serving(fake_provider, tmp_path) as server:
        assert await outcomes(server, fake_provider, rows) == expected(rows)


@pytest.mark.requirement("providers.token_types")
def test_every_profile_whose_tokens_can_be_verified_has_an_imitation() -> None:
    assert {fake_provider.profile for fake_provider in FAKE_PROVIDERS} == {
        p.name for p in PROFILES.values() if not p.unsupported_reason
    }


@pytest.mark.requirement("providers.token_types")
@pytest.mark.parametrize("fake_provider", FAKE_PROVIDERS, ids=lambda i: i.profile)
def test_an_imitation_cites_its_sources_and_shows_both_sides(fake_provider: FakeProvider) -> None:
    assert all(source.startswith("https://") for source in fake_provider.source)
    assert any(row.scopes for row in fake_provider.rows)
    assert any(row.message in {"token_type", "header_type"} for row in fake_provider.rows)


@pytest.mark.parametrize("fake_provider", FAKE_PROVIDERS, ids=lambda i: i.profile)
def test_the_issuer_s_host_identifies_its_provider_or_a_setting_names_it(fake_provider: FakeProvider) -> None:
    named = fake_provider.settings.get("OAUTH_PROVIDER")
    assert profile_for(fake_provider.issuer, named).name == fake_provider.profile
    if named is not None:
        assert profile_for(fake_provider.issuer).name == "generic"


@pytest.mark.requirement("providers.generic")
async def test_an_unknown_provider_works_with_nothing_but_its_issuer(tmp_path: Path) -> None:
    assert (GENERIC.settings, GENERIC.access) == ({}, {})
    async with serving(GENERIC, tmp_path) as server:
        assert await outcomes(server, GENERIC, GENERIC.rows[:1]) == expected(GENERIC.rows[:1])


@pytest.mark.requirement("providers.opaque")
@pytest.mark.parametrize("fake_provider", INTROSPECTING, ids=lambda i: i.profile)
async def test_opaque_tokens_are_introspected_where_the_provider_issues_them(
    fake_provider: FakeProvider, tmp_path: Path
) -> None:
    kinds = [row for row in fake_provider.rows if row.message in {"token_type", "header_type"}]
    async with serving(fake_provider, tmp_path, **INTROSPECTION_SETTINGS) as server:
        assert await outcome(server, fake_provider.opaque) == frozenset(["mcp:tools", "mcp:notes.read"])
        assert await outcome(server, f"{fake_provider.opaque}x") == "inactive"
        # A JWT must pass the local checks before it is introspected.
        assert await outcomes(server, fake_provider, kinds) == expected(kinds)
    async with serving(fake_provider, tmp_path) as server:
        assert await outcome(server, fake_provider.opaque) == "not_a_jwt"


@pytest.mark.requirement("providers.opaque")
@pytest.mark.parametrize("fake_provider", INTROSPECTING, ids=lambda i: i.profile)
@pytest.mark.parametrize(
    ("member", "value", "message"),
    [
        ("aud", ["https://other.example.com/mcp"], "audience"),
        ("aud", None, "audience"),
        ("iss", "https://attacker.example", "issuer"),
        ("c_hash", "x", "token_type"),
        ("cnf", {"jkt": "x"}, "sender_bound"),
    ],
)
async def test_an_introspection_response_about_an_opaque_token_is_validated_like_a_token(
    fake_provider: FakeProvider, member: str, value: Any, message: str, tmp_path: Path
) -> None:
    odd = replace(fake_provider, response={**fake_provider.response, member: value})
    async with serving(odd, tmp_path, **INTROSPECTION_SETTINGS) as server:
        assert await outcome(server, odd.opaque) == message


@pytest.mark.requirement("providers.audience")
async def test_where_tokens_name_no_audience_the_start_says_what_to_list(tmp_path: Path) -> None:
    unlisted = replace(COGNITO, access={k: v for k, v in COGNITO.access.items() if k != "issuers"})
    with pytest.raises(SettingsError) as rejected:
        async with serving(unlisted, tmp_path):
            pass
    line = str(rejected.value)
    assert f"issuers: {COGNITO.issuer}: clients:" in line
    assert "\n" not in line


async def test_the_access_file_says_who_decides_where_the_profile_is_wrong(tmp_path: Path) -> None:
    by_roles = replace(
        GENERIC,
        access={
            "issuers": {GENERIC.issuer: {"scopes_from": "roles", "roles_claim": "https://example.com/teams"}},
            "groups": {"platform": ["mcp-writer"]},
        },
    )
    teams = {"https://example.com/teams": ["platform"], "scope": "openid"}
    async with serving(by_roles, tmp_path) as server:
        writer = GENERIC.token(Row(name="a writer", changes=teams))
        assert await outcome(server, writer) == frozenset(["mcp:tools", "mcp:notes.read", "mcp:notes.write"])
        assert await outcome(server, GENERIC.token(GENERIC.rows[0])) == "insufficient_role"
    by_scopes = replace(DEX, access={"issuers": {DEX.issuer: {"scopes_from": "token"}}})
    async with serving(by_scopes, tmp_path) as server:
        assert await outcome(server, DEX.token(Row(name="a reader", changes={"groups": ["mcp-reader"]}))) == (
            "insufficient_scope"
        )
