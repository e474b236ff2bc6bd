"""The registrar's requests and responses, with a provider in this process."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from mcp_idp.access.models import RegistrationPolicy
from mcp_idp.registrar.settings import load_registrar_settings
from mcp_idp.testing.corpus.registrations import LOOPBACK, REGISTRATIONS, HostileRegistration
from tests.support.registrar import ORIGIN, PATH, URL, Bench

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.anyio

DOCUMENT = {"redirect_uris": [LOOPBACK], "client_name": "Codex", "scope": "mcp:tools"}
NAMES = [row.name for row in REGISTRATIONS]


def sent(bench: Bench) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(bench.requests[-1].content)
    return document


@pytest.mark.requirement("registrar.hostile")
@pytest.mark.parametrize("row", REGISTRATIONS, ids=NAMES)
async def test_a_hostile_registration_is_refused_or_loses_its_hostile_part(row: HostileRegistration) -> None:
    bench = Bench()
    answer = await bench.send(row.body, row.headers, types=row.types)
    if row.refused is not None:
        assert (answer.status, answer.document["error"]) == row.refused
        assert row.member in answer.document["error_description"]
        assert b"evil" not in answer.body
        assert bench.requests == []
    else:
        assert answer.status == 201
        assert sent(bench) == row.forwarded


def test_the_rows_have_different_names() -> None:
    assert len(NAMES) == len(set(NAMES)) >= 65


@pytest.mark.requirement("registrar.response")
async def test_the_response_has_the_client_s_own_redirect_uris() -> None:
    bench = Bench()
    answer = await bench.send(DOCUMENT)
    assert sent(bench) == {"redirect_uris": [LOOPBACK, "http://127.0.0.1/callback"], "client_name": "Codex"}
    assert (answer.status, answer.document["redirect_uris"], answer.document["client_id"]) == (201, [LOOPBACK], "c1")
    assert answer.headers["cache-control"] == "no-store"
    assert "set-cookie" not in answer.headers
    assert int(answer.headers["content-length"]) == len(answer.body)


@pytest.mark.requirement("registrar.forwarded")
async def test_the_provider_learns_who_asks_and_nothing_else() -> None:
    bench = Bench()
    headers = {
        "authorization": "Bearer an-initial-access-token",
        "origin": ORIGIN,
        "x-forwarded-for": "203.0.113.9",
        "x-forwarded-proto": "https",
        "x-forwarded-host": "login.example.com",
        "cookie": "KEYCLOAK_IDENTITY=x",
        "forwarded": "for=1.2.3.4",
        "x-forwarded-port": "99",
        "x-http-method-override": "DELETE",
        "connection": "close",
    }
    await bench.send(DOCUMENT, [(name.encode(), value.encode()) for name, value in headers.items()])
    (request,) = bench.requests
    assert str(request.url) == URL
    expected = {name: headers[name] for name in list(headers)[:5]} | {"host": "localhost:8080"}
    assert {name: request.headers[name] for name in expected} == expected
    assert not {"cookie", "forwarded", "x-forwarded-port", "x-http-method-override"} & set(request.headers)


@pytest.mark.requirement("registrar.response")
@pytest.mark.parametrize("status", [400, 401, 403, 409, 429])
async def test_a_refusal_by_the_provider_reaches_the_client(status: int) -> None:
    refusal = {"error": "insufficient_scope", "error_description": "Policy 'Trusted Hosts' rejected request"}
    bench = Bench(lambda _: httpx.Response(status, json=refusal, headers={"www-authenticate": "Bearer"}))
    answer = await bench.send(DOCUMENT)
    assert (answer.status, answer.document, answer.headers["www-authenticate"]) == (status, refusal, "Bearer")


@pytest.mark.requirement("registrar.response")
@pytest.mark.parametrize("text", ["Failed decode token", "No remaining count on initial access token", "<b>x</b>", ""])
async def test_an_initial_access_token_that_is_over_is_named(text: str) -> None:
    refusal = {"error": "invalid_token", "error_description": text}
    bench = Bench(lambda _: httpx.Response(401, json=refusal, headers={"www-authenticate": "Bearer"}))
    answer = await bench.send(DOCUMENT, [(b"authorization", b"Bearer an-initial-access-token")])
    assert (answer.status, answer.document["error"], answer.headers["www-authenticate"]) == (
        401,
        "invalid_token",
        "Bearer",
    )
    assert "initial access token has expired, is used up" in answer.document["error_description"]


def _raises(error: type[httpx.HTTPError]) -> Callable[[httpx.Request], httpx.Response]:
    def respond(_: httpx.Request) -> httpx.Response:
        raise error("down")

    return respond


@pytest.mark.requirement("registrar.outage")
@pytest.mark.parametrize(
    ("respond", "status"),
    [
        (_raises(httpx.ConnectError), 503),
        (_raises(httpx.ConnectTimeout), 503),
        (_raises(httpx.PoolTimeout), 503),
        (_raises(httpx.ReadTimeout), 502),
        (_raises(httpx.RemoteProtocolError), 502),
        (lambda _: httpx.Response(500, text="stack trace"), 502),
        (lambda _: httpx.Response(503, text="starting"), 502),
        (lambda _: httpx.Response(201, text="no json"), 502),
        (lambda _: httpx.Response(201, json=[]), 502),
        (lambda _: httpx.Response(201, json={"redirect_uris": []}), 502),
        (lambda _: httpx.Response(201, content=b"x" * 600_000), 502),
    ],
)
async def test_a_provider_that_is_no_use_is_said_so(
    respond: Callable[[httpx.Request], httpx.Response], status: int
) -> None:
    answer = await Bench(respond).send(DOCUMENT)
    assert (answer.status, answer.document["error"]) == (status, "temporarily_unavailable")
    assert answer.headers["retry-after"] == "5"
    assert b"stack trace" not in answer.body


@pytest.mark.requirement("registrar.rate_limit")
async def test_an_address_that_registers_too_often_has_to_wait_and_others_do_not() -> None:
    bench = Bench(quota=2)
    statuses = [(await bench.send(DOCUMENT)).status for _ in range(3)]
    assert statuses == [201, 201, 429]
    refused = await bench.send(b"", client="192.0.2.7")
    assert (refused.status, refused.document["error"]) == (429, "too_many_requests")
    assert int(refused.headers["retry-after"]) >= 1
    assert (await bench.send(DOCUMENT, client="192.0.2.8")).status == 201
    bench.now += 120
    assert (await bench.send(DOCUMENT)).status == 201
    assert len(bench.requests) == 4


@pytest.mark.requirement("registrar.profiles")
@pytest.mark.parametrize(
    ("profile", "token", "status"),
    [
        ("open-dev", "", 201),
        ("loopback-only", "", 201),
        ("initial-access-token", "", 403),
        ("initial-access-token", "Bearer x", 201),
        ("closed", "", 403),
        ("closed", "Bearer x", 403),
        ("cimd", "Bearer x", 403),
    ],
)
async def test_who_may_register_follows_from_the_profile(profile: Any, token: str, status: int) -> None:
    policy = RegistrationPolicy(profile=profile, document_domains=("claude.ai",))
    bench = Bench(registration=policy)
    headers = [(b"authorization", token.encode())] if token else []
    assert (await bench.send(DOCUMENT, headers)).status == status
    assert len(bench.requests) == (status == 201)


@pytest.mark.requirement("registrar.cors")
@pytest.mark.parametrize(
    ("origin", "reader"),
    [(ORIGIN, ORIGIN), ("http://evil.example", None), ("null", None), (ORIGIN + ".evil.example", None), ("", None)],
)
async def test_only_the_listed_web_origins_may_read_a_refusal(origin: str, reader: str | None) -> None:
    answer = await Bench().send(b"[]", [(b"origin", origin.encode())])
    assert answer.status == 400
    assert answer.headers.get("access-control-allow-origin") == reader
    assert answer.headers["vary"] == "Origin"


@pytest.mark.requirement("registrar.cors")
async def test_the_provider_s_cors_headers_are_kept() -> None:
    headers = {"access-control-allow-origin": ORIGIN, "vary": "Origin"}
    bench = Bench(lambda _: httpx.Response(403, json={"error": "x"}, headers=headers))
    answer = await bench.send(DOCUMENT, [(b"origin", ORIGIN.encode())])
    assert answer.headers["access-control-allow-origin"] == ORIGIN


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", PATH, 405),
        ("PUT", PATH, 405),
        ("POST", PATH + "/", 201),
        ("POST", PATH + "/c1", 404),
        ("POST", PATH.replace("mcp", "master"), 404),
        ("POST", "/", 404),
        ("GET", "/livez", 200),
    ],
)
async def test_one_path_is_served(method: str, path: str, status: int) -> None:
    assert (await Bench().send(DOCUMENT, method=method, path=path)).status == status


@pytest.mark.requirement("registrar.no_state")
async def test_a_registration_leaves_no_cookie_for_the_next_one() -> None:
    bench = Bench()
    await bench.send(DOCUMENT)
    await bench.send(DOCUMENT)
    assert "cookie" not in bench.requests[-1].headers


@pytest.mark.parametrize(
    ("variables", "url"),
    [
        ({}, "http://localhost:8080" + PATH),
        ({"OAUTH_SERVER_URL": "https://id.example/realms/x"}, "https://id.example/realms/x" + PATH[11:]),
        ({"OAUTH_SERVER_URL": "https://id.example/r", "OAUTH_INTERNAL_URL": "http://keycloak:8080/realms/mcp"}, URL),
        ({"REGISTRAR_UPSTREAM_URL": "http://other:1/register"}, "http://other:1/register"),
        ({"OAUTH_INTERNAL_URL": "http://keycloak:8080/realms/mcp/"}, URL),
    ],
)
def test_the_provider_s_endpoint_follows_from_the_issuer(variables: dict[str, str], url: str) -> None:
    assert load_registrar_settings(variables).upstream_url == url
