"""Several issuers, each with its own rules."""

from __future__ import annotations

import re
from base64 import urlsafe_b64encode
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from mcp_idp.access.models import IssuerOverrides
from mcp_idp.access.policy import AccessFileError, load_access
from mcp_idp.config.env import SettingsError
from mcp_idp.config.settings import Settings
from mcp_idp.errors import InvalidToken, ProviderUnavailable
from mcp_idp.providers import PROFILES, profile_for
from mcp_idp.testing.issuer import ISSUER, Issuer, b64, public_jwk, rsa_key
from mcp_idp.tokens.issuers import TokenVerifierRegistry, check_audience
from mcp_idp.tokens.unverified_issuer import unverified_issuer
from mcp_server.app import create_app
from tests.support.access_files import access_file
from tests.support.app import FakeClock, running

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.anyio

OTHER = "http://localhost:8080/realms/other"


def other_issuer() -> Issuer:
    """Returns a second realm at the same host, with another key that has the same kid."""
    return Issuer(url=OTHER, realm="other", keys=[public_jwk(rsa_key("other"), kid="one", alg="RS256", use="sig")])


async def outcomes(tokens: list[str], issuers: list[Issuer], path: Path, **settings: Any) -> list[str]:
    """Returns for each token its issuer, or the reason of the rejection."""

    async def response(request: httpx.Request) -> httpx.Response:
        for issuer in issuers:
            if f"/realms/{issuer.realm}" in request.url.path:
                return await issuer.respond(request)
        return httpx.Response(404, stream=httpx.ByteStream(b""))

    found = []
    async with httpx.AsyncClient(transport=httpx.MockTransport(response)) as http:
        chosen = Settings(access_file=path, **settings)
        trusted = TokenVerifierRegistry(chosen, load_access(path), FakeClock().clock, http)
        for token in tokens:
            try:
                found.append((await trusted.verify(token)).issuer)
            except InvalidToken as error:
                found.append(error.reason.value)
            except ProviderUnavailable:
                found.append("unavailable")
        await trusted.close()
    return found


@pytest.mark.requirement("issuers.own_tokens")
async def test_each_issuer_verifies_its_own_tokens_only(tmp_path: Path) -> None:
    first, other = Issuer(), other_issuer()
    path = access_file(tmp_path, issuers={OTHER: {}})
    key = rsa_key("other")
    tokens = [
        first.token(),
        other.token(key=key),
        first.token(key=key),  # signed by the second issuer, names the first
        other.token(),  # signed by the first issuer, names the second
        first.token(iss="http://localhost:8080/realms/third"),
        "junk",
    ]
    found = await outcomes(tokens, [first, other], path)
    assert found == [ISSUER, OTHER, "signature", "signature", "issuer", "not_a_jwt"]


@pytest.mark.requirement("issuers.own_tokens")
async def test_one_issuer_s_outage_is_not_the_other_s(tmp_path: Path) -> None:
    first, other = Issuer(), other_issuer()
    other.down = True
    path = access_file(tmp_path, issuers={OTHER: {}})
    assert await outcomes([first.token(), other.token(key=rsa_key("other"))], [first, other], path) == [
        ISSUER,
        "unavailable",
    ]


@pytest.mark.requirement("issuers.own_tokens")
async def test_the_metadata_names_every_issuer(tmp_path: Path) -> None:
    async with running(access_file=access_file(tmp_path, issuers={OTHER: {}})) as server:
        document = (await server.client.get("/.well-known/oauth-protected-resource")).json()
    assert document["authorization_servers"] == [ISSUER, OTHER]


@pytest.mark.requirement("issuers.aliases")
async def test_an_alias_is_the_same_issuer(tmp_path: Path) -> None:
    first = Issuer()
    path = access_file(tmp_path, issuers={ISSUER: {"aliases": ["https://sts.example/v1/"]}})
    tokens = [first.token(iss="https://sts.example/v1/"), first.token(iss="https://sts.example/v1"), first.token()]
    assert await outcomes(tokens, [first], path) == [ISSUER, "issuer", ISSUER]


@pytest.mark.requirement("issuers.listed_clients")
async def test_a_token_without_audience_is_accepted_for_listed_clients_only(tmp_path: Path) -> None:
    first = Issuer()
    path = access_file(tmp_path, issuers={ISSUER: {"clients": ["client-1"]}})
    tokens = [
        first.token(aud=...),
        first.token(aud=..., azp="client-2"),
        first.token(aud=..., azp=...),
        first.token(aud="http://other"),
        first.token(aud=None),
        first.token(aud=[]),
        first.token(azp="client-2"),
    ]
    found = await outcomes(tokens, [first], path)
    assert found == [ISSUER, "audience", "audience", "audience", "audience", "audience", ISSUER]
    assert await outcomes(tokens[:1], [first], access_file(tmp_path)) == ["audience"]


async def test_a_token_without_an_end_user_is_accepted_for_service_clients_only(tmp_path: Path) -> None:
    first = Issuer()
    path = access_file(tmp_path, issuers={ISSUER: {"machine_clients": ["robot"]}})
    tokens = [first.token(sid=..., azp="robot"), first.token(sid=...), first.token(azp="robot")]
    assert await outcomes(tokens, [first], path) == [ISSUER, "no_end_user", ISSUER]


async def test_a_service_client_of_the_access_file_is_valid_at_the_first_issuer_only(tmp_path: Path) -> None:
    first, other = Issuer(), other_issuer()
    robot = {"name": "Robot", "roles": ["mcp-reader"], "secret": "ROBOT_SECRET"}
    path = access_file(tmp_path, issuers={OTHER: {}}, machine_clients={"robot": robot})
    key = rsa_key("other")
    tokens = [
        first.token(sid=..., azp="robot"),
        first.token(sid=..., azp="Robot"),
        first.token(sid=...),
        other.token(key=key, sid=..., azp="robot"),  # any client there
        other.token(key=key),
    ]
    assert await outcomes(tokens, [first, other], path) == [ISSUER, "no_end_user", "no_end_user", "no_end_user", OTHER]


@pytest.mark.requirement("issuers.own_tokens")
async def test_an_issuer_s_own_audience_and_profile_override_the_settings(tmp_path: Path) -> None:
    first, other = Issuer(), other_issuer()
    rules = {"audience": "api://mcp", "provider": "generic"}
    path = access_file(tmp_path, issuers={OTHER: rules})
    key = rsa_key("other")
    tokens = [
        other.token(key=key, aud="api://mcp", typ=..., sid=...),
        other.token(key=key),
        first.token(aud="api://mcp"),
    ]
    assert await outcomes(tokens, [first, other], path) == [OTHER, "audience", "audience"]


@pytest.mark.requirement("issuers.own_tokens")
@pytest.mark.parametrize(
    ("issuers", "message"),
    [
        ({"login.example.com": {}}, "absolute URL"),
        ({OTHER: {"provider": "keyclock"}}, "keyclock"),
        ({OTHER: {"audiences": "x"}}, "audiences"),
        ({OTHER: {"aliases": ["x"]}}, "absolute URL"),
    ],
)
def test_rules_that_cannot_work_are_rejected(tmp_path: Path, issuers: dict[str, Any], message: str) -> None:
    with pytest.raises(AccessFileError, match=message):
        load_access(access_file(tmp_path, issuers=issuers))


@pytest.mark.requirement("issuers.introspected_scopes")
async def test_tokens_with_a_listed_scope_are_introspected_and_others_not(tmp_path: Path) -> None:
    first = Issuer()
    requests: list[bytes] = []

    async def response(request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("/introspect"):
            requests.append(await request.aread())
            return httpx.Response(200, stream=httpx.ByteStream(b'{"active":false}'))
        return await first.respond(request)

    path = access_file(tmp_path, introspect_for=["mcp:notes.write"])
    settings = Settings(access_file=path, client_secret="s")
    async with httpx.AsyncClient(transport=httpx.MockTransport(response)) as http:
        trusted = TokenVerifierRegistry(settings, load_access(path), FakeClock().clock, http)
        assert (await trusted.verify(first.token())).subject == "4f0c"
        assert requests == []
        for scope in ("mcp:notes.write", "mcp:admin"):
            with pytest.raises(InvalidToken) as rejected:
                await trusted.verify(first.token(scope=scope))
            assert rejected.value.reason.value == "inactive"
        assert len(requests) == 2
        await trusted.close()


@pytest.mark.requirement("issuers.introspected_scopes")
async def test_tokens_of_an_issuer_without_introspection_lose_the_listed_scope(tmp_path: Path) -> None:
    first, other = Issuer(), other_issuer()
    key = rsa_key("other")

    async def response(request: httpx.Request) -> httpx.Response:
        return await (other if "/realms/other" in request.url.path else first).respond(request)

    path = access_file(tmp_path, introspect_for=["mcp:notes.write"], issuers={OTHER: {}})
    settings = Settings(access_file=path, client_secret="s")
    async with httpx.AsyncClient(transport=httpx.MockTransport(response)) as http:
        trusted = TokenVerifierRegistry(settings, load_access(path), FakeClock().clock, http)
        scopes = [
            (await trusted.verify(other.token(key=key, scope=scope))).scopes
            for scope in ("mcp:admin", "mcp:notes.write openid", "mcp:notes.read", "mcp:tools")
        ]
        await trusted.close()
    less = {"mcp:tools", "mcp:notes.read"}
    assert scopes == [less, less, {"mcp:notes.read"}, {"mcp:tools"}]


@pytest.mark.requirement("issuers.introspected_scopes")
def test_introspecting_some_tokens_requires_credentials(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="introspect_for needs OAUTH_CLIENT_SECRET"):
        create_app(Settings(access_file=access_file(tmp_path, introspect_for=["mcp:admin"])))
    with pytest.raises(AccessFileError, match="introspect_for"):
        load_access(access_file(tmp_path, introspect_for=["mcp:nothing"]))


@pytest.mark.requirement("issuers.own_tokens")
@pytest.mark.parametrize(
    ("first", "issuers", "fault"),
    [
        (
            ISSUER,
            {OTHER: {"aliases": [ISSUER]}},
            f"issuers: {OTHER}: another issuer already has the tokens of {ISSUER}",
        ),
        (
            ISSUER,
            {OTHER: {"aliases": ["https://x/"]}, "https://x/": {}},
            "another issuer already has the tokens of https://x/",
        ),
        (ISSUER, {"https://y/": {"aliases": ["https://x/"]}, OTHER: {"aliases": ["https://x/"]}}, "https://x/"),
        (  # the same tenant of Entra ID; each profile has the other spelling as an alias
            "https://login.microsoftonline.com/t/v2.0",
            {"https://sts.windows.net/t/": {"audience": "api"}},
            "another issuer already has the tokens of https://sts.windows.net/t/",
        ),
        (ISSUER, {ISSUER: {"aliases": ["https://x/"]}, "https://x/": {}}, "https://x/"),
    ],
)
async def test_no_two_issuers_may_have_the_same_tokens(
    first: str, issuers: dict[str, Any], fault: str, tmp_path: Path
) -> None:
    path = access_file(tmp_path, issuers=issuers)
    settings = Settings(access_file=path, server_url=first, issuer=first, provider=profile_for(first))
    with pytest.raises(SettingsError, match=re.escape(fault)):
        create_app(settings)


def _payload(text: str) -> str:
    return f"x.{urlsafe_b64encode(text.encode()).rstrip(b'=').decode()}.x"


@pytest.mark.parametrize(
    ("payload", "issuer"),
    [
        ('{"iss":"https://two"}', "https://two"),
        ('{ "a" : [1, {"b": "}"}] , "iss"\t:\n"https://two" }', "https://two"),
        (r'{"iss":"https:\/\/two"}', "https://two"),
        (r'{"iss":"https://tw\u006f"}', "https://two"),
        ('{"act":{"iss":"https://one"},"iss":"https://two"}', "https://two"),
        ('{"x":["iss",{"iss":"https://one"}],"iss":"https://two"}', "https://two"),
        (r'{"x":"\"iss\":\"https://one\"","iss":"https://two"}', "https://two"),
        (r'{"x\\":"{[{\\","iss":"https://two"}', "https://two"),
        ('{"act":{"iss":"https://one"}}', ""),
        ('["iss","https://one"]', ""),
        ('[{"iss":"https://one"}]', ""),
        ('{"iss":["https://one"]}', ""),
        ('{"iss":7}', ""),
        ('{"ISS":"https://one"}', ""),
        ("", ""),
        ('{"iss":"\udcff"}'.encode("utf-8", "replace").decode(), "?"),
    ],
)
def test_the_issuer_is_read_from_the_outer_members_only(payload: str, issuer: str) -> None:
    assert unverified_issuer(_payload(payload), 16_384) == issuer


@pytest.mark.parametrize(
    "rest", ["[1,2", "nonsense", '"a":{"b":', ",".join(["1"] * 5000), '"\\' * 3000, '"iss":"' * 1000, "{" * 5000]
)
def test_the_issuer_is_found_without_parsing_what_follows(rest: str) -> None:
    """The rest is no JSON, so whoever parsed it would find nothing."""
    assert unverified_issuer(_payload('{"iss":"https://two",' + rest), 16_384) == "https://two"


@pytest.mark.parametrize("segment", ["a", "abcde", b64(b'{"iss":"\xff"}'), b64(b'{"iss":"\\ud"}'), "\u00e9"])
def test_a_token_whose_issuer_cannot_be_read_names_none(segment: str) -> None:
    assert unverified_issuer(f"e30.{segment}.c2ln", 16_384) == ""


@pytest.mark.parametrize(
    ("provider", "own", "settings", "accepted"),
    [
        ("keycloak", {}, {}, True),
        ("cognito", {}, {}, False),
        ("cognito", {"clients": ["one"]}, {}, True),
        ("cognito", {"audience": "api"}, {}, True),
        ("cognito", {}, {"audience": "api"}, True),
    ],
)
def test_a_provider_without_audiences_needs_clients_or_an_audience(
    provider: str, own: dict[str, Any], settings: dict[str, Any], *, accepted: bool
) -> None:
    with nullcontext() if accepted else pytest.raises(SettingsError, match="have no audience"):
        check_audience(Settings(**settings), PROFILES[provider], IssuerOverrides(**own))
