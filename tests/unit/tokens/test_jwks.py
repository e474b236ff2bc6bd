"""Keys: fetched when needed, cached during outages, fetched at a limited rate."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from jwt.algorithms import RSAAlgorithm
from structlog.testing import capture_logs

from mcp_idp.access.policy import load_access
from mcp_idp.config.settings import Settings
from mcp_idp.errors import ProviderUnavailable
from mcp_idp.oauth.discovery import discover, well_known_urls
from mcp_idp.oauth.http import MAX_DOCUMENT_BYTES, FetchError, fetch_json
from mcp_idp.principal import Principal
from mcp_idp.testing.corpus.token_forge import ec_key, ed_key, headed
from mcp_idp.testing.issuer import ISSUER, NOW, Issuer, public_jwk, rsa_key
from mcp_idp.tokens.issuers import IssuerVerifier
from mcp_idp.tokens.jwks import MAX_REFRESHES, REFRESH_COOLDOWN_SECONDS, JwksCache, parse_jwks
from mcp_idp.util.memory_plan import TOKEN_BYTES
from mcp_idp.util.token_cache import TokenCache
from tests.support.app import FakeClock, running
from tests.support.outcomes import outcome, settle

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from cryptography.hazmat.primitives.asymmetric import rsa

pytestmark = pytest.mark.anyio


@asynccontextmanager
async def provider(issuer: Issuer, **settings: Any) -> AsyncIterator[tuple[IssuerVerifier, FakeClock]]:
    clock = FakeClock()
    async with issuer.http() as http:
        chosen = Settings(**settings)
        idp = IssuerVerifier(chosen, load_access(chosen.access_file), clock.clock, http)
        yield idp, clock
        await idp.keys.close()


async def test_a_hundred_requests_at_once_fetch_the_keys_once() -> None:
    issuer = Issuer(pause=asyncio.Event())
    async with provider(issuer) as (idp, _):
        requests = [asyncio.create_task(outcome(idp, issuer.token(sub=str(i)))) for i in range(100)]
        await settle()
        assert issuer.pause is not None
        issuer.pause.set()
        assert set(await asyncio.gather(*requests)) == {"accepted"}
    assert issuer.key_fetches == 1


async def test_a_caller_that_gives_up_does_not_end_the_fetch_for_the_others() -> None:
    issuer = Issuer(pause=asyncio.Event())
    async with provider(issuer) as (idp, _):
        impatient = asyncio.create_task(outcome(idp, issuer.token()))
        patient = asyncio.create_task(outcome(idp, issuer.token()))
        await settle()
        impatient.cancel()
        await settle()
        assert issuer.pause is not None
        issuer.pause.set()
        assert await patient == "accepted"
    assert issuer.key_fetches == 1


async def test_a_flood_of_unknown_kids_causes_one_fetch_per_cool_down() -> None:
    issuer = Issuer()
    async with provider(issuer) as (idp, clock):
        assert await outcome(idp, issuer.token()) == "accepted"
        clock.forward(60)
        flood = [await outcome(idp, issuer.token(kid=f"unknown-{i}")) for i in range(100)]
        assert issuer.key_fetches == 2
        clock.forward(REFRESH_COOLDOWN_SECONDS)
        flood += await asyncio.gather(*(outcome(idp, issuer.token(kid=f"more-{i}")) for i in range(100)))
        assert issuer.key_fetches == 3
        assert set(flood) == {"key_unknown"}
        issuer.down = True
        clock.forward(REFRESH_COOLDOWN_SECONDS)
        assert await outcome(idp, issuer.token(kid="while-down")) == "unavailable"
        assert await outcome(idp, issuer.token(sub="known key")) == "accepted"


async def test_tokens_that_a_known_key_does_not_verify_cause_one_fetch_per_cool_down() -> None:
    issuer = Issuer()
    async with provider(issuer) as (idp, clock):
        assert await outcome(idp, issuer.token()) == "accepted"
        clock.forward(60)
        rejected = [await outcome(idp, issuer.token(key=rsa_key("two"), sub=str(i))) for i in range(50)]
        rejected += [await outcome(idp, issuer.token(alg="RS512", sub=str(i))) for i in range(50)]
        rejected += [await outcome(idp, issuer.token(kid=f"unknown-{i}")) for i in range(50)]
        assert issuer.key_fetches == 2
        clock.forward(REFRESH_COOLDOWN_SECONDS)
        at_once = (outcome(idp, issuer.token(key=rsa_key("two"), sub=f"more-{i}")) for i in range(50))
        rejected += await asyncio.gather(*at_once)
        assert issuer.key_fetches == 3
    assert set(rejected) == {"signature", "key_algorithm_mismatch", "key_unknown"}


async def test_tokens_of_many_addresses_that_a_known_key_does_not_verify_cause_few_fetches() -> None:
    issuer = Issuer()
    async with provider(issuer) as (idp, clock):
        await outcome(idp, issuer.token())
        clock.forward(60)
        results = [await outcome(idp, issuer.token(key=rsa_key("two")), f"198.51.100.{i}") for i in range(100)]
        assert set(results) == {"signature"}
        assert await outcome(idp, issuer.token(sub="another"), "192.0.2.1") == "accepted"
    assert issuer.key_fetches == 1 + MAX_REFRESHES


REPLACED_KEYS = {
    "other material": (public_jwk(rsa_key("two"), kid="one", alg="RS256", use="sig"), rsa_key("two"), {}),
    "without alg": (public_jwk(rsa_key("two"), kid="one"), rsa_key("two"), {}),
    "another algorithm": (public_jwk(rsa_key("two"), kid="one", alg="RS512"), rsa_key("two"), {"alg": "RS512"}),
    "PSS": (public_jwk(rsa_key("two"), kid="one", alg="PS256"), rsa_key("two"), {"alg": "PS256"}),
    "a curve": (public_jwk(ec_key(), kid="one", alg="ES256"), ec_key(), {"alg": "ES256"}),
    "Ed25519": (public_jwk(ed_key(), kid="one"), ed_key(), {"alg": "EdDSA"}),
    "no kid": (public_jwk(rsa_key("two")), rsa_key("two"), {"kid": ...}),
}


@pytest.mark.parametrize(("jwk", "key", "header"), REPLACED_KEYS.values(), ids=REPLACED_KEYS)
async def test_a_new_key_under_the_old_kid_is_found_at_its_first_token(
    jwk: dict[str, Any], key: Any, header: dict[str, Any]
) -> None:
    issuer = Issuer()
    if header.get("kid", "") is ...:
        issuer.keys = [public_jwk(rsa_key("one"))]
    async with provider(issuer) as (idp, clock):
        names = {name: value for name, value in header.items() if name != "alg"}
        old = headed(issuer, **names)
        assert await outcome(idp, old) == "accepted"
        issuer.keys = [jwk]
        clock.forward(60)
        new = headed(issuer, key=key, by=header.get("alg", "RS256"), **header)
        assert await outcome(idp, new) == "accepted"
        assert await outcome(idp, old) != "accepted"


async def test_a_token_of_the_old_key_is_rejected_while_the_provider_does_not_respond() -> None:
    issuer = Issuer()
    async with provider(issuer) as (idp, clock):
        await outcome(idp, issuer.token())
        issuer.down = True
        clock.forward(60)
        assert await outcome(idp, issuer.token(key=rsa_key("two"))) == "signature"
        assert await outcome(idp, issuer.token(sub="another")) == "accepted"


async def test_a_new_key_is_found_at_its_first_token_and_a_withdrawn_one_is_forgotten() -> None:
    issuer = Issuer()
    async with provider(issuer) as (idp, clock):
        old = issuer.token(exp=NOW + 3000)
        assert await outcome(idp, old) == "accepted"
        issuer.keys = [public_jwk(rsa_key("two"), kid="two", alg="RS256", use="sig")]
        clock.forward(60)
        assert await outcome(idp, issuer.token(key=rsa_key("two"), kid="two")) == "accepted"
        assert await outcome(idp, old) == "key_unknown"


async def test_a_withdrawn_key_dies_within_its_maximum_age_without_any_new_token() -> None:
    issuer = Issuer()
    async with provider(issuer, key_max_age=600) as (idp, clock):
        token = issuer.token(exp=NOW + 3000)
        assert await outcome(idp, token) == "accepted"
        issuer.keys = [public_jwk(rsa_key("two"), kid="two")]
        clock.forward(600)
        assert await outcome(idp, token) == "accepted"  # refreshed in the background from half of the maximum age
        clock.forward(1)
        await settle()
        assert await outcome(idp, token) == "key_unknown"


async def test_after_a_long_silence_the_keys_are_renewed_before_they_are_used() -> None:
    issuer = Issuer()
    async with provider(issuer, key_max_age=600) as (idp, clock):
        token = issuer.token(exp=NOW + 9000)
        assert await outcome(idp, token) == "accepted"
        issuer.keys = [public_jwk(rsa_key("two"), kid="two")]
        clock.forward(8000)
        assert await outcome(idp, token) == "key_unknown"


async def test_the_same_kid_with_other_material_voids_what_was_verified_before() -> None:
    issuer = Issuer()
    async with provider(issuer, key_max_age=600) as (idp, clock):
        token = issuer.token(exp=NOW + 3000)
        assert await outcome(idp, token) == "accepted"
        issuer.keys = [public_jwk(rsa_key("two"), kid="one", alg="RS256", use="sig")]
        clock.forward(601)
        assert await outcome(idp, token) == "signature"


async def test_cached_keys_outlive_an_outage_up_to_their_bound() -> None:
    issuer = Issuer()
    async with provider(issuer, key_max_age=600, key_max_stale=7200) as (idp, clock):
        assert await outcome(idp, issuer.token()) == "accepted"
        issuer.down = True
        for _ in range(7):
            clock.forward(1000)
            await settle()
            token = issuer.token(iat=clock.at, exp=clock.at + 60)
            assert await outcome(idp, token) == "accepted"
        assert idp.keys.usable
        clock.forward(201)
        assert await outcome(idp, issuer.token(iat=clock.at, exp=clock.at + 60)) == "unavailable"
        assert not idp.keys.usable
        issuer.down = False
        clock.forward(REFRESH_COOLDOWN_SECONDS)
        assert await outcome(idp, issuer.token(iat=clock.at, exp=clock.at + 60)) == "accepted"


async def test_a_remembered_token_is_not_served_beyond_the_bound_either() -> None:
    issuer = Issuer()
    async with provider(issuer, key_max_age=600, key_max_stale=1000) as (idp, clock):
        token = issuer.token(exp=NOW + 9000)
        assert await outcome(idp, token) == "accepted"
        issuer.down = True
        clock.forward(1001)
        assert await outcome(idp, token) == "unavailable"


async def test_an_empty_key_set_does_not_replace_a_good_one() -> None:
    issuer = Issuer()
    async with provider(issuer, key_max_age=600) as (idp, clock):
        assert await outcome(idp, issuer.token(exp=NOW + 3000)) == "accepted"
        issuer.keys = []
        clock.forward(601)
        assert await outcome(idp, issuer.token(exp=NOW + 3000)) == "accepted"
        assert idp.keys.last_error is not None


async def test_invalid_tokens_of_others_do_not_delay_the_first_token_of_a_new_key() -> None:
    issuer = Issuer()
    async with provider(issuer) as (idp, _):
        assert await outcome(idp, issuer.token(kid="invalid"), "198.51.100.7") == "key_unknown"
        issuer.keys = [*issuer.keys, public_jwk(rsa_key("two"), kid="two", alg="RS256", use="sig")]
        first = issuer.token(key=rsa_key("two"), kid="two")
        assert await outcome(idp, issuer.token(kid="more invalid"), "198.51.100.7") == "key_unknown"
        assert await outcome(idp, first, "203.0.113.5") == "accepted"


async def test_invalid_tokens_of_many_addresses_cause_a_bounded_number_of_fetches() -> None:
    issuer = Issuer()
    async with provider(issuer) as (idp, clock):
        await idp.keys.refresh()
        results = [await outcome(idp, issuer.token(kid=f"k{i}"), f"198.51.100.{i}") for i in range(100)]
        assert issuer.key_fetches == 1 + MAX_REFRESHES
        assert results == ["key_unknown"] * MAX_REFRESHES + ["unavailable"] * (100 - MAX_REFRESHES)
        issuer.keys = [*issuer.keys, public_jwk(rsa_key("two"), kid="two", alg="RS256", use="sig")]
        first = issuer.token(key=rsa_key("two"), kid="two")
        assert await outcome(idp, first, "203.0.113.5") == "unavailable"
        clock.forward(REFRESH_COOLDOWN_SECONDS)
        assert await outcome(idp, first, "203.0.113.5") == "accepted"


async def test_without_any_keys_the_provider_is_queried_once_per_cool_down() -> None:
    issuer = Issuer(down=True)
    async with provider(issuer) as (idp, clock):
        assert {await outcome(idp, issuer.token()) for _ in range(20)} == {"unavailable"}
        assert max(issuer.calls.values()) == 1
        clock.forward(REFRESH_COOLDOWN_SECONDS)
        issuer.down = False
        assert await outcome(idp, issuer.token()) == "accepted"


def _private(key: rsa.RSAPrivateKey) -> dict[str, Any]:
    return RSAAlgorithm.to_jwk(key, as_dict=True)


@pytest.mark.requirement("jwks.filter")
@pytest.mark.parametrize(
    "jwk",
    [
        public_jwk(rsa_key("one"), kid="one", use="enc"),
        public_jwk(rsa_key("one"), kid="one", alg="RSA-OAEP"),
        public_jwk(rsa_key("one"), kid="one", alg="HS256"),
        public_jwk(rsa_key("one"), kid="one", alg="ES256"),
        public_jwk(rsa_key("one"), kid="one", key_ops=["encrypt"]),
        public_jwk(rsa_key("one"), kid="one", key_ops="verify"),
        public_jwk(rsa_key("one"), kid=7),
        public_jwk(rsa_key("short", 1024), kid="one"),
        {**_private(rsa_key("one")), "kid": "one", "key_ops": ["verify"]},
        {"kty": "oct", "k": "c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0", "kid": "one"},
        {"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA", "kid": "one"},
        {"kty": "EC", "crv": "secp256k1", "x": "AA", "y": "AA", "kid": "one"},
        {"kty": "OKP", "crv": "P-256", "x": "AA", "kid": "one"},
        {"kty": "RSA", "kid": "one"},
        {"kty": "RSA", "n": 7, "e": "AQAB", "kid": "one"},
        "one",
        None,
    ],
)
def test_a_key_that_cannot_or_must_not_verify_is_left_out(jwk: Any) -> None:
    good = public_jwk(rsa_key("two"), kid="two", alg="RS256")
    assert list(parse_jwks({"keys": [jwk, good]})) == [("two", "RS256")]


@pytest.mark.requirement("jwks.filter")
def test_of_two_keys_with_one_kid_neither_is_used() -> None:
    keys = [public_jwk(rsa_key(name), kid="same", alg="RS256") for name in ("one", "two")]
    assert parse_jwks({"keys": keys}) == {}
    assert parse_jwks({"keys": "none"}) == {}
    assert parse_jwks({}) == {}


PRINCIPAL = Principal("i", "s", "c", frozenset(), NOW + 10)


async def test_a_second_use_is_remembered_and_ends_with_the_token() -> None:
    issuer = Issuer()
    async with provider(issuer) as (idp, clock):
        token = issuer.token()
        assert await idp.verify(token) is await idp.verify(token)
        clock.forward(300 + 30)
        assert await outcome(idp, token) == "expired"


def test_the_memory_is_bounded_by_bytes_of_which_every_entry_has_some() -> None:
    cache: TokenCache[Principal] = TokenCache(max_bytes=10 * TOKEN_BYTES + 200)
    for i in range(100):
        cache.put(f"token-{i}", 1, PRINCIPAL)
    assert (len(cache), cache.used) == (10, 10 * (TOKEN_BYTES + 8))
    assert cache.get("token-99", 1, NOW) is PRINCIPAL
    assert cache.get("token-0", 1, NOW) is None
    for i in range(100):
        cache.put(f"{i}".zfill(TOKEN_BYTES), 1, PRINCIPAL)
    assert len(cache) == 5
    for i in range(100):
        cache.put(f"token-{i}", 1, PRINCIPAL, size=0)
    assert len(cache) == 10


def test_an_entry_is_void_after_its_end_and_under_other_keys() -> None:
    cache: TokenCache[Principal] = TokenCache()
    cache.put("t", 1, PRINCIPAL)
    assert cache.get("t", 1, NOW + 9) is PRINCIPAL
    assert cache.get("t", 2, NOW) is None
    cache.put("t", 2, PRINCIPAL)
    assert cache.get("t", 2, NOW + 10) is None
    assert len(cache) == 0


@pytest.mark.requirement("discovery.order")
def test_the_well_known_urls_of_an_issuer_with_and_without_a_path() -> None:
    assert well_known_urls("https://h/realms/r/") == (
        "https://h/.well-known/oauth-authorization-server/realms/r",
        "https://h/.well-known/openid-configuration/realms/r",
        "https://h/realms/r/.well-known/openid-configuration",
    )
    assert well_known_urls("https://h/") == (
        "https://h/.well-known/oauth-authorization-server",
        "https://h/.well-known/openid-configuration",
    )


Responses = dict[str, httpx.Response | Exception]


async def discovered(responses: Responses, issuer: str = ISSUER, internal: str | None = None) -> tuple[Any, list[str]]:
    requests: list[str] = []

    def response(request: httpx.Request) -> httpx.Response:
        requests.append(str(request.url))
        found = responses.get(str(request.url), httpx.Response(404, stream=httpx.ByteStream(b"")))
        if isinstance(found, Exception):
            raise found
        return found

    async with httpx.AsyncClient(transport=httpx.MockTransport(response)) as http:
        try:
            return await discover(http, issuer, internal), requests
        except FetchError as error:
            return str(error), requests


def document(**members: Any) -> httpx.Response:
    content = httpx.Response(200, json={"issuer": ISSUER, "jwks_uri": f"{ISSUER}/certs", **members}).content
    return httpx.Response(200, stream=httpx.ByteStream(content))


FIRST, SECOND, THIRD = well_known_urls(ISSUER)


@pytest.mark.requirement("discovery.order")
@pytest.mark.parametrize("fault", [500, httpx.ConnectError("refused")])
async def test_the_next_form_is_tried_when_one_fails(fault: Any) -> None:
    response = httpx.Response(fault, stream=httpx.ByteStream(b"")) if isinstance(fault, int) else fault
    found, requested = await discovered({FIRST: response, THIRD: document()})
    assert found.jwks_url == f"{ISSUER}/certs"
    assert requested == [FIRST, SECOND, THIRD]


@pytest.mark.requirement("discovery.issuer")
@pytest.mark.parametrize("issuer", [ISSUER + "/", "http://localhost:8080/realms/other", None, [ISSUER]])
async def test_a_document_of_another_issuer_is_not_used(issuer: Any) -> None:
    found, _ = await discovered({FIRST: document(issuer=issuer)})
    assert "the document is of the issuer" in found


async def test_public_urls_are_read_at_the_internal_origin_and_internal_ones_as_they_are() -> None:
    internal = "http://keycloak:8080/realms/mcp"
    responses: Responses = {
        "http://keycloak:8080/.well-known/oauth-authorization-server/realms/mcp": document(
            jwks_uri=f"{ISSUER}/certs", introspection_endpoint=f"{internal}/introspect"
        )
    }
    found, _ = await discovered(responses, internal=internal)
    assert found.jwks_url == f"{internal}/certs"
    assert found.introspection_url == f"{internal}/introspect"


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (302, b""),
        (200, b" " * (MAX_DOCUMENT_BYTES + 1)),
        (200, b'{"a":1,"a":2}'),
        (200, b"<html>"),
        (200, b"[]"),
        (204, b""),
    ],
)
async def test_a_document_that_does_not_fit_is_rejected(status: int, body: bytes) -> None:
    headers = {"location": "http://attacker.example/"}
    response = httpx.Response(status, headers=headers, stream=httpx.ByteStream(body))
    async with httpx.AsyncClient(transport=httpx.MockTransport(lambda _: response), follow_redirects=True) as http:
        with pytest.raises(FetchError):
            await fetch_json(http, "http://localhost:8080/x")


@pytest.mark.parametrize(
    "url",
    [
        "http://169.254.169.254/latest",
        "https://127.0.0.1/keys",
        "https://10.0.0.7/keys",
        "https://[::1]/keys",
        "https://[fd00::1]/keys",
        "https://localhost/keys",
        "https://intranet/keys",
        "http://keys.example.com/keys",
        "https://user@keys.example.com/keys",
        "file:///etc/passwd",
        7,
        None,
    ],
)
async def test_a_public_issuer_cannot_send_the_server_inside_its_network(url: Any) -> None:
    issuer = "https://login.example.com"
    found, requests = await discovered({well_known_urls(issuer)[0]: document(issuer=issuer, jwks_uri=url)}, issuer)
    assert isinstance(found, str)
    assert all(request.startswith(issuer) for request in requests)


async def test_a_public_issuer_may_keep_its_keys_on_another_public_host() -> None:
    issuer = "https://login.example.com"
    keys = "https://keys.example.net/v3/certs"
    found, _ = await discovered({well_known_urls(issuer)[0]: document(issuer=issuer, jwks_uri=keys)}, issuer)
    assert found.jwks_url == keys


@pytest.mark.requirement("jwks.unreadable_key")
@pytest.mark.parametrize("member", ["use", "kid", "alg", "kty", "crv", "key_ops", "n", "e"])
@pytest.mark.parametrize("value", [[], {}, [[]], 7, True, "", "\u00e9", "AA", "_" * 4000])
async def test_an_unreadable_key_does_not_affect_the_others(member: str, value: Any) -> None:
    good = public_jwk(rsa_key("one"), kid="one", alg="RS256", use="sig")
    issuer = Issuer(keys=[{**public_jwk(rsa_key("two")), "kid": "two", member: value}, good])
    async with running(issuer) as server:
        response = await server.post(issuer.token())
    assert response.status_code == 200


class _Fetch:
    """A fetch function with configurable results."""

    def __init__(self) -> None:
        self.message: Mapping[str, Any] | Exception = RuntimeError("nobody thought of this")

    async def __call__(self) -> Mapping[str, Any]:
        if isinstance(self.message, Exception):
            raise self.message
        return self.message


@pytest.mark.requirement("auth.provider_error")
async def test_an_unexpected_response_is_an_error_and_is_retried() -> None:
    clock, fetch = FakeClock(), _Fetch()
    keys = JwksCache(fetch, clock.clock, max_age=600, max_stale=3600)
    with pytest.raises(ProviderUnavailable):
        await keys.ensure_fresh()
    assert "RuntimeError" in (keys.last_error or "")
    fetch.message = {"keys": Issuer().keys}
    clock.forward(REFRESH_COOLDOWN_SECONDS)
    await keys.ensure_fresh()
    assert (await keys.get_key("one", "RS256")).key_id == "one"


async def test_the_log_quotes_a_bounded_part_of_a_response() -> None:
    clock, fetch = FakeClock(), _Fetch()
    fetch.message = FetchError("x" * 500_000)
    keys = JwksCache(fetch, clock.clock, max_age=600, max_stale=3600)
    with capture_logs() as lines:
        await keys.refresh()
    assert len(repr(lines)) < 2000


@pytest.mark.requirement("jwks.filter")
@pytest.mark.parametrize("operations", [["verify"], ["sign", "verify"], None])
def test_a_key_whose_operations_include_verify_is_used(operations: list[str] | None) -> None:
    jwk = public_jwk(rsa_key("one"), kid="one", alg="RS256")
    keys = parse_jwks({"keys": [jwk if operations is None else {**jwk, "key_ops": operations}]})
    assert list(keys) == [("one", "RS256")]


@pytest.mark.requirement("jwks.filter")
@pytest.mark.parametrize("named", ["EdDSA", "Ed25519", None])
def test_a_key_for_ed25519_may_have_either_name_of_the_algorithm(named: str | None) -> None:
    """RFC 9864 adds Ed25519 as an algorithm name."""
    jwk = public_jwk(ed_key(), kid="one", **({} if named is None else {"alg": named}))
    assert list(parse_jwks({"keys": [jwk]})) == [("one", "EdDSA")]


async def test_keys_are_fetched_in_the_background_after_half_their_age_and_retried_after_the_cool_down() -> None:
    fetched: list[float] = []
    faulty = False

    async def fetch() -> dict[str, Any]:
        fetched.append(clock.clock.monotonic())
        if faulty:
            raise FetchError("down")
        return {"keys": [public_jwk(rsa_key("one"), kid="one", alg="RS256")]}

    async def ask_after(seconds: float) -> int:
        clock.forward(seconds)
        await cache.ensure_fresh()
        await settle()
        return len(fetched)

    clock = FakeClock()
    cache = JwksCache(fetch, clock.clock, max_age=600, max_stale=3600)
    assert [await ask_after(seconds) for seconds in (0, 300, 1, 1)] == [1, 1, 2, 2]
    faulty = True
    cool_down = REFRESH_COOLDOWN_SECONDS
    assert [await ask_after(seconds) for seconds in (300, cool_down - 1, 2, 1)] == [3, 3, 4, 4]
    assert cache.last_error == "down"
