"""Introspection: endpoints, number of requests, and validation of responses."""

from __future__ import annotations

import asyncio
import gzip
import json
from base64 import b64decode
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, unquote_plus

import httpx
import jwt
import pytest
from structlog.testing import capture_logs

from mcp_idp.access.policy import load_access
from mcp_idp.config.settings import Settings
from mcp_idp.errors import InvalidToken, ProviderUnavailable, TokenErrorReason
from mcp_idp.oauth.client_auth import ClientSecretBasic
from mcp_idp.oauth.endpoints import COMPLAIN_EVERY_SECONDS, MAX_RESPONSE_BYTES, IntrospectionEndpoint
from mcp_idp.providers import PROFILES
from mcp_idp.testing.introspecting_issuer import MODE, SECRET, Introspecting, Reply, always_active
from mcp_idp.testing.issuer import ISSUER, NOW, RESOURCE, Issuer, b64, rsa_key
from mcp_idp.tokens.claims import ClaimsPolicy
from mcp_idp.tokens.introspection import (
    MAX_RESULT_AGE,
    IntrospectionLimits,
    IntrospectionVerifier,
    LocalPrecheck,
    policy_for_introspection,
)
from mcp_idp.tokens.issuers import IssuerVerifier
from mcp_idp.util.clock import Clock
from mcp_idp.util.memory_plan import TOKEN_BYTES
from mcp_idp.util.token_cache import MAX_BYTES
from mcp_server.app import create_app
from tests.support.access_files import access_file
from tests.support.app import FakeClock, running
from tests.support.outcomes import outcome, settle

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from starlette.types import Message

pytestmark = pytest.mark.anyio

ENDPOINT = "/realms/mcp/protocol/openid-connect/token/introspect"
OPAQUE = "2YotnFZFEjr1zCsicMWpAA"
BOUNDS = IntrospectionLimits()
LINES = b"{\n}"
GENERIC = {"provider": PROFILES["generic"]}


def responding(message: Any) -> Introspecting:
    return Introspecting(message=lambda _: message)


@asynccontextmanager
async def provider(issuer: Issuer, **settings: Any) -> AsyncIterator[tuple[IssuerVerifier, FakeClock]]:
    clock = FakeClock()
    chosen = Settings(**{**MODE, **settings})
    async with issuer.http() as http:
        idp = IssuerVerifier(chosen, load_access(chosen.access_file), clock.clock, http)
        yield idp, clock
        await idp.close()


@pytest.mark.requirement("introspection.request")
async def test_the_request_is_one_post_of_the_token_alone_with_urlencoded_basic_credentials() -> None:
    issuer = always_active()
    async with provider(issuer) as (idp, _):
        token = issuer.token()
        await idp.verify(token)
    (request,) = issuer.requests
    assert str(request.url) == f"http://localhost:8080{ENDPOINT}"
    assert parse_qsl(request.content.decode()) == [("token", token)]
    assert request.headers["content-type"] == "application/x-www-form-urlencoded"
    scheme, _, pair = request.headers["authorization"].partition(" ")
    assert scheme == "Basic"
    name, _, secret = b64decode(pair).decode("ascii").partition(":")
    assert name == "http%3A%2F%2Flocalhost%3A3000%2Fmcp"
    assert unquote_plus(secret) == SECRET


@pytest.mark.requirement("introspection.request")
async def test_every_character_a_token_may_have_arrives() -> None:
    issuer = always_active()
    token = "aZ09-._~+/=="
    async with provider(issuer, **GENERIC) as (idp, _):
        assert await outcome(idp, token) == "accepted"
    assert issuer.received == [token]


@pytest.mark.requirement("introspection.endpoint")
async def test_the_configured_endpoint_is_used_without_discovery() -> None:
    issuer = always_active()
    known = {"introspect_url": "http://inside:9000/ask", "jwks_url": f"{ISSUER}/protocol/openid-connect/certs"}
    async with provider(issuer, **known) as (idp, _):
        assert await outcome(idp, issuer.token()) == "accepted"
    assert [str(request.url) for request in issuer.requests] == ["http://inside:9000/ask"]
    assert list(issuer.calls) == ["/realms/mcp/protocol/openid-connect/certs"]


@pytest.mark.requirement("introspection.endpoint")
async def test_the_configured_key_set_outweighs_the_metadatas() -> None:
    issuer = always_active()
    async with provider(issuer, jwks_url="http://localhost:8080/realms/mcp/keys") as (idp, _):
        assert await outcome(idp, issuer.token()) == "unavailable"
    assert "/realms/mcp/keys" in issuer.calls
    assert "/realms/mcp/protocol/openid-connect/certs" not in issuer.calls


def test_the_limits_of_calls_are_those_that_the_documentation_states() -> None:
    limits = IntrospectionLimits()
    assert (limits.in_flight, limits.waiting, limits.waiting_each) == (10, 500, 200)
    assert (limits.timeout, limits.max_rejection_age, limits.cache_bytes) == (5.0, 5.0, MAX_BYTES)


def test_where_a_provider_s_tokens_have_no_scopes_neither_has_its_introspection_response() -> None:
    rules = ClaimsPolicy(
        issuer=ISSUER,
        audience=RESOURCE,
        profile=PROFILES["dex"],
        access=load_access(Settings().access_file),
        roles_claim="groups",
        leeway=30,
        max_lifetime=86400,
    )
    assert policy_for_introspection(rules).profile.scope_claims == ()
    generic = policy_for_introspection(replace(rules, profile=PROFILES["generic"]))
    assert "scope" in generic.profile.scope_claims


@pytest.mark.parametrize("mode", ["jwt", "introspection"])
async def test_the_status_of_a_token_is_known_for_as_long_as_its_result_is_cached(mode: str) -> None:
    issuer = always_active()
    async with provider(issuer, token_mode=mode) as (idp, clock):
        token = issuer.token()
        assert idp.seconds_known(token) == MAX_RESULT_AGE
        await idp.verify(token)
        clock.forward(MAX_RESULT_AGE / 3)
        assert idp.seconds_known(token) == pytest.approx(MAX_RESULT_AGE * (1 if mode == "jwt" else 2 / 3))


@pytest.mark.requirement("introspection.endpoint")
async def test_the_configured_endpoint_outweighs_the_metadatas() -> None:
    issuer = always_active()
    async with provider(issuer, introspect_url="http://inside:9000/ask") as (idp, _):
        assert await outcome(idp, issuer.token()) == "accepted"
    assert [str(request.url) for request in issuer.requests] == ["http://inside:9000/ask"]


@pytest.mark.requirement("introspection.endpoint")
async def test_a_configured_key_set_leaves_the_endpoint_to_discovery() -> None:
    issuer = always_active()
    async with provider(issuer, jwks_url=f"{ISSUER}/protocol/openid-connect/certs") as (idp, _):
        assert await outcome(idp, issuer.token()) == "accepted"
    assert [request.url.path for request in issuer.requests] == [ENDPOINT]


@pytest.mark.requirement("introspection.endpoint")
async def test_the_endpoint_is_called_at_the_internal_origin() -> None:
    issuer = always_active()
    async with provider(issuer, internal_url="http://keycloak:8080/realms/mcp") as (idp, _):
        assert await outcome(idp, issuer.token()) == "accepted"
    assert str(issuer.requests[0].url) == f"http://keycloak:8080{ENDPOINT}"


@pytest.mark.requirement("introspection.endpoint")
async def test_an_endpoint_that_moved_is_found_after_key_max_age() -> None:
    issuer = always_active(exp=NOW + 3600)
    async with provider(issuer, **GENERIC) as (idp, clock):
        await idp.verify(OPAQUE)
        issuer.metadata["introspection_endpoint"] = f"{ISSUER}/moved"
        clock.forward(601)
        await idp.verify(OPAQUE)
    assert [request.url.path for request in issuer.requests] == [ENDPOINT, "/realms/mcp/moved"]


@pytest.mark.requirement("introspection.invalid_response")
async def test_without_the_provider_the_server_is_not_ready_and_no_token_gets_401() -> None:
    issuer = always_active()
    issuer.down = True
    async with provider(issuer, **GENERIC) as (idp, _):
        await idp.keys.refresh()
        assert not idp.keys.usable
        assert await outcome(idp, OPAQUE) == "unavailable"
        assert await outcome(idp, issuer.token()) == "unavailable"


async def test_metadata_without_an_endpoint_names_the_setting() -> None:
    issuer = always_active()
    issuer.metadata["introspection_endpoint"] = None
    async with provider(issuer) as (idp, _):
        await idp.keys.refresh()
        assert not idp.keys.usable
        assert "set OAUTH_INTROSPECT_URL" in (idp.keys.last_error or "")
        assert await outcome(idp, issuer.token()) == "unavailable"


async def _failed_start(issuer: Issuer, folder: Path, members: dict[str, Any], **settings: Any) -> str | None:
    """Starts a server; returns the message of a failed start, None if it started."""
    sent: list[Message] = []
    events = [{"type": "lifespan.shutdown"}, {"type": "lifespan.startup"}]

    async def receive() -> Message:
        return events.pop()

    async def send(message: Message) -> None:
        sent.append(message)

    chosen = Settings(access_file=access_file(folder, **members), **{"client_secret": SECRET, **settings})
    async with issuer.http() as http:
        await create_app(chosen, clock=FakeClock().clock, http=http)({"type": "lifespan"}, receive, send)
    return sent[0].get("message")


@pytest.mark.requirement("introspection.endpoint")
@pytest.mark.parametrize(
    ("settings", "members", "way_out"),
    [
        (MODE, {}, "AUTH_TOKEN_MODE=jwt"),
        ({**MODE, **GENERIC}, {}, "AUTH_TOKEN_MODE=jwt"),
        ({**MODE, "jwks_url": f"{ISSUER}/protocol/openid-connect/certs"}, {}, "AUTH_TOKEN_MODE=jwt"),
        ({**MODE, "internal_url": "http://keycloak:8080/realms/mcp"}, {}, "AUTH_TOKEN_MODE=jwt"),
        ({}, {"introspect_for": ["mcp:admin"]}, "introspect_for"),
    ],
)
async def test_the_start_ends_if_the_metadata_names_no_endpoint(
    tmp_path: Path, settings: dict[str, Any], members: dict[str, Any], way_out: str
) -> None:
    issuer = always_active()
    issuer.metadata["introspection_endpoint"] = None
    message = await _failed_start(issuer, tmp_path, members, **settings)
    assert message is not None
    assert "set OAUTH_INTROSPECT_URL" in message
    assert way_out in message
    issuer.metadata["introspection_endpoint"] = f"{ISSUER}/introspect"
    assert await _failed_start(issuer, tmp_path, members, **settings) is None


@pytest.mark.requirement("introspection.endpoint")
@pytest.mark.parametrize(
    ("settings", "down"),
    [
        (MODE, True),  # it may still be starting
        ({**MODE, "introspect_url": f"{ISSUER}/introspect"}, False),
        ({"token_mode": "jwt"}, False),
    ],
)
async def test_the_start_does_not_end_if_waiting_can_help_or_nothing_is_missing(
    tmp_path: Path,
    settings: dict[str, Any],
    down: bool,  # noqa: FBT001 - a row
) -> None:
    issuer = always_active()
    issuer.metadata["introspection_endpoint"] = None
    issuer.down = down
    assert await _failed_start(issuer, tmp_path, {}, **settings) is None


@pytest.mark.parametrize(
    ("in_token", "in_response", "actor"),
    [
        ({"sub": "a"}, {"sub": "a"}, "a"),
        ({"sub": "a"}, ..., "a"),  # a response that omits the actor does not remove it
        (..., {"sub": "b"}, "b"),
        ({"sub": "a"}, {"sub": "b"}, "b"),
        (..., ..., None),
    ],
)
async def test_the_actor_is_that_of_the_response_or_else_of_the_token(
    in_token: object, in_response: object, actor: str | None
) -> None:
    issuer = always_active(act=in_response)
    async with provider(issuer) as (idp, _):
        principal = await idp.verify(issuer.token(act=in_token))
    assert (principal.actor and principal.actor.subject) == actor


@pytest.mark.parametrize("act", ["agent-1", {}, {"sub": ""}, [{"sub": "a"}]])
async def test_an_introspected_token_with_a_malformed_actor_is_rejected(act: object) -> None:
    issuer = always_active(act=act)
    async with provider(issuer, **GENERIC) as (idp, _):
        assert await outcome(idp, OPAQUE) == "claims_malformed"


async def test_the_server_is_ready_with_keys_and_uses_the_introspection_result() -> None:
    issuer = always_active()
    async with running(issuer, **MODE) as server:
        await settle()
        assert (await server.client.get("/readyz")).status_code == 200
        assert (await server.post(issuer.token())).status_code == 200
        issuer.message = lambda _: {"active": False}
        assert (await server.post(issuer.token(jti="2"))).status_code == 401
        issuer.message = lambda _: Reply(b"", 500)
        response = await server.post(issuer.token(jti="3"))
    assert response.status_code == 503
    assert int(response.headers["retry-after"]) > 0
    assert "www-authenticate" not in response.headers


def unsigned(issuer: Issuer) -> str:
    return jwt.encode(issuer.claims(), "", algorithm="none")


INVALID_TOKENS: list[tuple[Callable[[Issuer], str], TokenErrorReason]] = [
    (lambda i: i.token(key=rsa_key("foreign")), TokenErrorReason.SIGNATURE),
    (lambda i: i.token(aud="http://other/mcp"), TokenErrorReason.AUDIENCE),
    (lambda i: i.token(exp=NOW - 60), TokenErrorReason.EXPIRED),
    (lambda i: i.token(iss="http://other"), TokenErrorReason.ISSUER),
    (unsigned, TokenErrorReason.NOT_A_JWT),
    (lambda i: unsigned(i) + "AAAA", TokenErrorReason.ALGORITHM),
    (lambda _: f"{b64(b'{ }')}..", TokenErrorReason.NOT_A_JWT),
    (lambda _: f"{b64(LINES)}..", TokenErrorReason.NOT_A_JWT),
    (lambda i: i.token() + "\n", TokenErrorReason.OPAQUE),
    (lambda _: "a" * 16385, TokenErrorReason.TOO_LONG),
    (lambda _: "opaque\x00", TokenErrorReason.OPAQUE),
    (lambda _: "opaque\x7f", TokenErrorReason.OPAQUE),
    (lambda _: "opaque\n", TokenErrorReason.OPAQUE),
    (lambda _: "opaque\r\nhost: evil", TokenErrorReason.OPAQUE),
    (lambda _: "opäque", TokenErrorReason.OPAQUE),
    (lambda _: "opaque&token_type_hint=refresh_token", TokenErrorReason.OPAQUE),
    (lambda _: "opaque%00", TokenErrorReason.OPAQUE),
    (lambda _: "a=b", TokenErrorReason.OPAQUE),
    (lambda _: "=", TokenErrorReason.OPAQUE),
    (lambda _: "'or'1'='1", TokenErrorReason.OPAQUE),
    (lambda _: '"opaque"', TokenErrorReason.OPAQUE),
]


@pytest.mark.requirement("introspection.precheck")
@pytest.mark.parametrize(("token", "reason"), INVALID_TOKENS)
async def test_invalid_tokens_are_not_introspected(token: Callable[[Issuer], str], reason: TokenErrorReason) -> None:
    issuer = always_active()
    async with provider(issuer, **GENERIC) as (idp, _):
        assert await outcome(idp, token(issuer)) == reason
    assert issuer.received == []


@pytest.mark.requirement("introspection.opaque", "introspection.precheck")
@pytest.mark.parametrize("profile", ["keycloak", "nanoidp"])
@pytest.mark.parametrize("token", [OPAQUE, "a.b", "a.b.c.d.e"])
async def test_where_the_provider_issues_jwts_only_those_are_introspected(profile: str, token: str) -> None:
    issuer = always_active()
    async with provider(issuer, provider=PROFILES[profile]) as (idp, _):
        assert await outcome(idp, token) in {TokenErrorReason.NOT_A_JWT, TokenErrorReason.ENCRYPTED}
    assert issuer.received == []


@pytest.mark.requirement("introspection.opaque")
@pytest.mark.parametrize("token", [OPAQUE, "a.b", "a.b.c", "ya29.c.b0Aaek", "a.b.c.d.e"])
async def test_opaque_tokens_of_an_unknown_provider_are_introspected(token: str) -> None:
    issuer = always_active()
    async with provider(issuer, **GENERIC) as (idp, _):
        principal = await idp.verify(token)
    assert issuer.received == [token]
    assert (principal.issuer, principal.subject, principal.client) == (ISSUER, "4f0c", "client-1")
    assert principal.scopes == {"mcp:tools", "mcp:notes.read"}
    assert principal.roles == frozenset({"mcp-reader"})
    assert principal.expires_at == NOW + 300


@pytest.mark.requirement("introspection.opaque")
async def test_where_the_provider_issues_no_jwts_its_key_verifies_none() -> None:
    issuer = always_active()
    async with provider(issuer, provider=PROFILES["google"]) as (idp, _):
        forged = issuer.token(key=rsa_key("foreign"))
        assert await outcome(idp, forged) == "accepted"
    assert issuer.received == [forged]


INVALID_RESPONSES: list[tuple[dict[str, Any], str]] = [
    ({}, "accepted"),
    ({"aud": ["account", RESOURCE]}, "accepted"),
    ({"aud": ...}, "audience"),
    ({"aud": None}, "audience"),
    ({"aud": "http://other/mcp"}, "audience"),
    ({"aud": RESOURCE + "/"}, "audience"),
    ({"aud": [RESOURCE, 7]}, "audience"),
    ({"aud": []}, "audience"),
    ({"iss": ...}, "accepted"),
    ({"iss": "http://other"}, "issuer"),
    ({"iss": ISSUER + "/"}, "issuer"),
    ({"iss": [ISSUER]}, "issuer"),
    ({"exp": ...}, "accepted"),
    ({"exp": None, "nbf": None}, "accepted"),
    ({"exp": NOW - 30}, "expired"),
    ({"exp": str(NOW + 300)}, "claims_malformed"),
    ({"exp": True}, "claims_malformed"),
    ({"exp": NOW + 25 * 3600}, "lifetime"),
    ({"exp": ..., "iat": NOW - 25 * 3600}, "lifetime"),
    ({"nbf": NOW + 31}, "not_yet_valid"),
    ({"iat": NOW + 31}, "iat_in_future"),
    ({"token_type": ...}, "accepted"),
    ({"token_type": "bearer"}, "accepted"),
    ({"token_type": "DPoP"}, "sender_bound"),
    ({"token_type": "dpop"}, "sender_bound"),
    ({"token_type": "refresh_token"}, "token_type"),
    ({"token_type": ["Bearer"]}, "token_type"),
    ({"token_type": {"Bearer": 1}}, "token_type"),
    ({"cnf": {"jkt": "x"}}, "sender_bound"),
    ({"cnf": {}}, "sender_bound"),
    ({"typ": "Refresh"}, "token_type"),
    ({"typ": "ID"}, "token_type"),
    ({"typ": ...}, "accepted"),
    ({"token_use": "refresh_token"}, "token_type"),
    ({"nonce": "n"}, "token_type"),
    ({"events": {}}, "token_type"),
    ({"sub": 7}, "claims_malformed"),
    ({"client_id": ["c"]}, "claims_malformed"),
    ({"scope": 7}, "claims_malformed"),
    ({"mcp_roles": "mcp-admin"}, "claims_malformed"),
]


@pytest.mark.requirement("introspection.validation")
@pytest.mark.parametrize(("changes", "expected"), INVALID_RESPONSES, ids=[str(row[0]) for row in INVALID_RESPONSES])
async def test_an_introspection_response_is_validated_as_strictly_as_a_jwt(
    changes: dict[str, Any], expected: str
) -> None:
    issuer = always_active(**changes)
    async with provider(issuer, **GENERIC) as (idp, _):
        assert await outcome(idp, OPAQUE) == expected


@pytest.mark.requirement("introspection.validation")
@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, "accepted"),
        ({"typ": ...}, "accepted"),  # the signed token has the type
        ({"typ": "Refresh"}, "token_type"),
        ({"sid": ...}, "no_end_user"),
        ({"aud": ...}, "audience"),
        ({"sub": ...}, "accepted"),
    ],
)
async def test_a_signed_tokens_introspection_response_is_validated_too(changes: dict[str, Any], expected: str) -> None:
    issuer = always_active(**changes)
    async with provider(issuer) as (idp, _):
        assert await outcome(idp, issuer.token()) == expected


@pytest.mark.requirement("introspection.validation")
async def test_the_introspection_result_overrides_the_token_s_claims() -> None:
    issuer = always_active(scope="mcp:tools", mcp_roles=[], azp=..., exp=NOW + 60)
    async with provider(issuer) as (idp, _):
        principal = await idp.verify(issuer.token())
    assert (principal.scopes, principal.roles) == (frozenset({"mcp:tools"}), frozenset())
    assert (principal.client, principal.expires_at) == ("client-1", NOW + 60)


@pytest.mark.requirement("introspection.validation", "introspection.cache")
async def test_a_token_without_expiry_is_accepted_while_the_result_is_cached() -> None:
    issuer = always_active(exp=...)
    async with provider(issuer, **GENERIC) as (idp, _):
        assert (await idp.verify(OPAQUE)).expires_at == NOW + MAX_RESULT_AGE


@pytest.mark.requirement("introspection.active")
@pytest.mark.parametrize("message", ["true", "True", 1, 1.0, [True], {"active": True}, None, ..., "false", 0])
async def test_active_is_a_boolean_or_the_response_is_invalid(message: Any) -> None:
    issuer = always_active(active=message)
    async with provider(issuer, **GENERIC) as (idp, _):
        assert await outcome(idp, OPAQUE) == "unavailable"


@pytest.mark.requirement("introspection.active")
async def test_an_inactive_token_is_rejected_whatever_else_the_response_says() -> None:
    issuer = always_active(active=False)
    async with provider(issuer) as (idp, _):
        assert await outcome(idp, issuer.token()) == "inactive"


GOOD = json.dumps({"active": True, "aud": RESOURCE}).encode()
UNUSABLE_RESPONSES: dict[str, Any] = {
    "a repeated member": b'{"active": false, "active": true, "aud": "%s"}' % RESOURCE.encode(),
    "a repeated audience": b'{"active": true, "aud": "other", "aud": "%s"}' % RESOURCE.encode(),
    "no JSON": b"active",
    "nothing": b"",
    "NaN": b'{"active": true, "exp": NaN}',
    "an endless number": b'{"active": true, "exp": 1e999}',
    "a list": b"[%s]" % GOOD,
    "a bare true": b"true",
    "a byte order mark": b"\xef\xbb\xbf" + GOOD,
    "two documents": GOOD + GOOD,
    "nesting without end": b'{"active": ' + b"[" * 30_000,
    "too long": GOOD + b" " * MAX_RESPONSE_BYTES,
    "compressed though not asked": Reply(gzip.compress(GOOD), headers={"content-encoding": "gzip"}),
    "created": Reply(GOOD, 201),
    "a redirect": Reply(GOOD, 302, {"location": f"http://localhost:8080{ENDPOINT}?again"}),
    "a redirect that keeps the method": Reply(GOOD, 307, {"location": "http://attacker.example/"}),
    "a fault": Reply(GOOD, 500),
    "too many": Reply(GOOD, 429),
    "a bad request": Reply(GOOD, 400),
    "no connection": httpx.ConnectError("refused"),
    "no time": httpx.ReadTimeout("slow"),
    "half an answer": httpx.RemoteProtocolError("closed"),
}


@pytest.mark.requirement("introspection.invalid_response")
@pytest.mark.parametrize("message", UNUSABLE_RESPONSES.values(), ids=UNUSABLE_RESPONSES)
async def test_an_invalid_response_is_503_and_neither_accepts_nor_rejects(message: Any) -> None:
    issuer = responding(message)
    async with provider(issuer, **GENERIC) as (idp, _):
        assert await outcome(idp, OPAQUE) == "unavailable"
    assert issuer.received == [OPAQUE]  # no redirect was followed


@pytest.mark.requirement("introspection.invalid_response")
async def test_a_response_of_exactly_the_bound_is_read() -> None:
    issuer = responding(GOOD + b" " * (MAX_RESPONSE_BYTES - len(GOOD)))
    async with provider(issuer, **GENERIC) as (idp, _):
        assert await outcome(idp, OPAQUE) == "accepted"


async def there() -> str:
    return f"http://localhost:8080{ENDPOINT}"


def verifier(where: Callable[[], Any], http: httpx.AsyncClient, clock: Clock, **bounds: Any) -> IntrospectionVerifier:
    """Returns a verifier that introspects only opaque tokens, at the endpoint `where`."""
    rules = ClaimsPolicy(
        issuer=ISSUER,
        audience=RESOURCE,
        profile=PROFILES["generic"],
        access=load_access(Settings().access_file),
        roles_claim="mcp_roles",
        leeway=30,
        max_lifetime=86400,
    )
    endpoint = IntrospectionEndpoint(http, where, clock, ClientSecretBasic("me", SECRET))
    return IntrospectionVerifier(
        endpoint, rules, clock, LocalPrecheck(None, opaque=True, max_bytes=100), IntrospectionLimits(**bounds)
    )


@pytest.mark.requirement("introspection.invalid_response")
async def test_a_provider_that_never_responds_times_out() -> None:
    async def nowhere() -> str:
        await asyncio.Event().wait()
        return ""

    async with httpx.AsyncClient() as http:
        introspection_verifier = verifier(nowhere, http, FakeClock().clock, timeout=0.0)
        with pytest.raises(ProviderUnavailable) as rejection:
            await introspection_verifier.verify(OPAQUE)
    assert "no response within 0 s" in rejection.value.detail


@pytest.mark.requirement("introspection.invalid_response")
async def test_an_invalid_address_is_an_error_of_the_provider() -> None:
    async def nonsense() -> str:
        return "http://localhost\x00/"

    async with httpx.AsyncClient() as http:
        assert await outcome(verifier(nonsense, http, FakeClock().clock), OPAQUE) == "unavailable"


async def test_an_introspection_response_about_another_user_is_invalid() -> None:
    issuer = always_active(sub="admin")
    async with provider(issuer) as (idp, _):
        assert await outcome(idp, issuer.token(sub="mallory")) == "unavailable"
        assert await outcome(idp, issuer.token(sub="admin")) == "accepted"


@pytest.mark.requirement("introspection.rejected_client")
@pytest.mark.parametrize("status", [401, 403])
async def test_rejected_credentials_are_logged_once_a_minute_with_what_to_set(status: int) -> None:
    issuer = Introspecting(message=lambda _: Reply(b"{}", status))
    with capture_logs() as lines:
        async with provider(issuer, **GENERIC) as (idp, clock):
            requested = await asyncio.gather(*(outcome(idp, f"token-{i}") for i in range(50)))
            clock.forward(COMPLAIN_EVERY_SECONDS - 1)
            requested.append(await outcome(idp, OPAQUE))
            assert len(errors := [line for line in lines if line["log_level"] == "error"]) == 1
            clock.forward(1)
            requested.append(await outcome(idp, OPAQUE))
    assert set(requested) == {"unavailable"}
    assert len([line for line in lines if line["log_level"] == "error"]) == 2
    assert "OAUTH_CLIENT_ID and OAUTH_CLIENT_SECRET" in errors[0]["hint"]
    assert errors[0]["status"] == status


@pytest.mark.requirement("introspection.rejected_client")
async def test_a_token_that_a_firewall_rejects_locks_no_client_out() -> None:
    issuer = Introspecting()
    issuer.message = lambda token: Reply(b"", 403) if "../" in token else issuer.active()
    async with provider(issuer, **GENERIC) as (idp, _):
        assert await outcome(idp, "../../etc/passwd") == "unavailable"
        assert await outcome(idp, OPAQUE) == "accepted"


@pytest.mark.requirement("introspection.single_flight")
@pytest.mark.parametrize("changes", [{}, {"active": False}, {"active": "?"}])
async def test_a_hundred_concurrent_uses_of_one_token_cause_one_introspection(changes: dict[str, Any]) -> None:
    issuer = always_active(**changes)
    issuer.paused = asyncio.Event()
    async with provider(issuer) as (idp, _):
        uses = [asyncio.create_task(outcome(idp, issuer.token())) for _ in range(100)]
        await settle()
        issuer.paused.set()
        assert len(set(await asyncio.gather(*uses))) == 1
    assert len(issuer.received) == 1


@pytest.mark.requirement("introspection.single_flight")
async def test_a_caller_that_gives_up_does_not_end_the_call_for_the_others() -> None:
    issuer = always_active()
    issuer.paused = asyncio.Event()
    async with provider(issuer, **GENERIC) as (idp, _):
        impatient, patient = (asyncio.create_task(outcome(idp, OPAQUE)) for _ in range(2))
        await settle()
        impatient.cancel()
        await settle()
        issuer.paused.set()
        assert await patient == "accepted"
    assert impatient.cancelled()
    assert len(issuer.received) == 1


@pytest.mark.requirement("introspection.single_flight")
async def test_the_result_is_cached_though_no_caller_waits_for_it_any_more() -> None:
    issuer = always_active()
    issuer.paused = asyncio.Event()
    async with provider(issuer, **GENERIC) as (idp, _):
        only = asyncio.create_task(outcome(idp, OPAQUE))
        await settle()
        only.cancel()
        issuer.paused.set()
        await settle()
        assert await outcome(idp, OPAQUE) == "accepted"
    assert len(issuer.received) == 1


@pytest.mark.requirement("introspection.single_flight")
async def test_what_is_under_way_ends_with_the_server() -> None:
    issuer = always_active()
    issuer.paused = asyncio.Event()
    async with provider(issuer, **GENERIC) as (idp, _):
        uses = [asyncio.create_task(idp.verify(f"token-{i}")) for i in range(3)]
        await settle()
        assert issuer.in_flight == 3
        await idp.close()
        assert issuer.in_flight == 0
        await asyncio.wait(uses)
    assert all(use.cancelled() for use in uses)


@pytest.mark.requirement("introspection.single_flight")
async def test_a_fetch_of_the_keys_ends_with_the_server_too() -> None:
    issuer = always_active()
    issuer.pause = asyncio.Event()
    async with provider(issuer) as (idp, _):
        use = asyncio.create_task(idp.verify(issuer.token()))
        await settle()
        await idp.close()
        await settle()
        assert use.cancelled()


@pytest.mark.requirement("introspection.concurrency")
async def test_a_flood_of_opaque_tokens_is_bounded_and_leaves_slots_for_signed_ones() -> None:
    issuer = always_active()
    issuer.paused = asyncio.Event()
    flood = BOUNDS.in_flight + BOUNDS.waiting + 50
    async with provider(issuer, **GENERIC) as (idp, _):
        unverified = [asyncio.create_task(outcome(idp, f"unknown-{i}")) for i in range(flood)]
        await settle()
        assert issuer.in_flight == BOUNDS.in_flight
        assert [use.result() for use in unverified if use.done()] == ["unavailable"] * 50
        signed = asyncio.create_task(outcome(idp, issuer.token()))
        await settle()
        assert issuer.in_flight == BOUNDS.in_flight + 1
        issuer.paused.set()
        assert await signed == "accepted"
        assert (await asyncio.gather(*unverified)).count("accepted") == BOUNDS.in_flight + BOUNDS.waiting
        assert await outcome(idp, "later") == "accepted"  # every slot was released
    assert issuer.max_in_flight == BOUNDS.in_flight + 1


@pytest.mark.requirement("introspection.concurrency")
async def test_signed_tokens_are_bounded_too() -> None:
    issuer = always_active(sub=...)
    issuer.paused = asyncio.Event()
    async with provider(issuer) as (idp, _):
        uses = [
            asyncio.create_task(outcome(idp, issuer.token(sub=str(i))))
            for i in range(BOUNDS.in_flight + BOUNDS.waiting + 1)
        ]
        await settle()
        assert issuer.in_flight == BOUNDS.in_flight
        issuer.paused.set()
        assert (await asyncio.gather(*uses)).count("unavailable") == 1


FLOOD_CONNECTIONS = 130
EACH = Settings().limits.introspections_per_address


def _known(issuer: Introspecting) -> None:
    """The provider knows tokens that begin with "good", and no others."""
    issuer.message = lambda token: issuer.active(sub=token, active=token.startswith("good"))


@pytest.mark.parametrize("addresses", [1, 2, 5, 10, FLOOD_CONNECTIONS])
async def test_invalid_tokens_of_others_do_not_displace_new_valid_tokens(addresses: int) -> None:
    issuer = Introspecting()
    _known(issuer)
    issuer.paused = asyncio.Event()
    async with provider(issuer, **GENERIC) as (idp, _):
        invalid = [
            asyncio.create_task(outcome(idp, f"invalid-{i}", f"198.51.100.{i % addresses}"))
            for i in range(FLOOD_CONNECTIONS)
        ]
        await settle()
        good = [asyncio.create_task(outcome(idp, f"good-{i}", "203.0.113.5")) for i in range(30)]
        await settle()
        assert issuer.in_flight <= BOUNDS.in_flight
        issuer.paused.set()
        assert await asyncio.gather(*good) == ["accepted"] * 30
        assert set(await asyncio.gather(*invalid)) == {"inactive"}
    if addresses == 1:  # every second question from the moment on in which they came was theirs
        assert [token[:4] for token in issuer.received[:10]].count("good") == EACH


async def test_new_valid_tokens_wait_behind_invalid_tokens_of_their_address() -> None:
    issuer = Introspecting()
    _known(issuer)
    issuer.paused = asyncio.Event()
    async with provider(issuer, **GENERIC) as (idp, _):
        tokens = [f"invalid-{i}" for i in range(FLOOD_CONNECTIONS)] + [f"good-{i}" for i in range(30)]
        uses = [asyncio.create_task(outcome(idp, token, "203.0.113.5")) for token in tokens]
        await settle()
        issuer.paused.set()
        assert (await asyncio.gather(*uses))[FLOOD_CONNECTIONS:] == ["accepted"] * 30


async def test_if_all_queues_are_full_the_longest_loses_a_call() -> None:
    issuer = Introspecting()
    _known(issuer)
    issuer.paused = asyncio.Event()
    async with provider(issuer, **GENERIC) as (idp, _):
        flood = [
            asyncio.create_task(outcome(idp, f"invalid-{i}", f"198.51.100.{i % 5}"))
            for i in range(BOUNDS.in_flight + BOUNDS.waiting)
        ]
        await settle()
        good = [asyncio.create_task(outcome(idp, f"good-{i}", "203.0.113.5")) for i in range(30)]
        await settle()
        assert [use.result() for use in flood if use.done()] == ["unavailable"] * 30
        issuer.paused.set()
        assert await asyncio.gather(*good) == ["accepted"] * 30
        await asyncio.gather(*flood)


async def test_a_flooding_address_gets_rate_limited() -> None:
    issuer = Introspecting()
    _known(issuer)
    issuer.paused = asyncio.Event()
    async with provider(issuer, **GENERIC) as (idp, _):
        flood = [
            asyncio.create_task(outcome(idp, f"invalid-{i}", "198.51.100.7"))
            for i in range(EACH + BOUNDS.waiting_each + 20)
        ]
        await settle()
        assert issuer.in_flight == EACH
        assert [use.result() for use in flood if use.done()] == ["limited"] * 20
        issuer.paused.set()
        await asyncio.gather(*flood)


async def test_calls_for_signed_tokens_are_shared_among_users_in_all_clients() -> None:
    issuer = always_active(sub=...)
    issuer.paused = asyncio.Event()
    async with provider(issuer) as (idp, _):
        first = [asyncio.create_task(outcome(idp, issuer.token(sub="first", azp=f"client-{i}"))) for i in range(130)]
        await settle()
        assert issuer.in_flight == EACH
        other = asyncio.create_task(outcome(idp, issuer.token(sub="other")))
        await settle()
        assert issuer.in_flight == EACH + 1
        issuer.paused.set()
        assert await other == "accepted"
        await asyncio.gather(*first)


@pytest.mark.requirement("introspection.concurrency")
async def test_slots_are_released_when_responses_do_not_arrive() -> None:
    issuer = responding(httpx.ReadTimeout("slow"))
    async with provider(issuer, **GENERIC) as (idp, _):
        for turn in range(3):
            await asyncio.gather(*(outcome(idp, f"token-{turn}-{i}") for i in range(BOUNDS.in_flight + BOUNDS.waiting)))
        issuer.message = lambda _: issuer.active()
        assert await outcome(idp, OPAQUE) == "accepted"


@pytest.mark.requirement("introspection.cache")
async def test_a_revoked_token_is_accepted_for_the_lifetime_of_a_cached_result_at_most() -> None:
    issuer = always_active()
    async with provider(issuer) as (idp, clock):
        token = issuer.token()
        assert await outcome(idp, token) == "accepted"
        issuer.message = lambda _: {"active": False}
        clock.forward(MAX_RESULT_AGE - 0.1)
        assert await outcome(idp, token) == "accepted"
        assert len(issuer.received) == 1
        clock.forward(0.1)
        assert await outcome(idp, token) == "inactive"
    assert len(issuer.received) == 2


@pytest.mark.requirement("introspection.cache")
async def test_a_cached_result_ages_from_the_request_not_from_the_response() -> None:
    issuer = always_active()
    issuer.paused = asyncio.Event()
    async with provider(issuer, **GENERIC) as (idp, clock):
        use = asyncio.create_task(outcome(idp, OPAQUE))
        await settle()
        clock.forward(4)
        issuer.paused.set()
        assert await use == "accepted"
        clock.forward(MAX_RESULT_AGE - 4)
        await outcome(idp, OPAQUE)
    assert len(issuer.received) == 2


@pytest.mark.requirement("introspection.cache")
async def test_a_cached_result_does_not_outlive_the_token() -> None:
    issuer = always_active(exp=NOW + 10)
    async with provider(issuer, **GENERIC, clock_leeway=0) as (idp, clock):
        assert await outcome(idp, OPAQUE) == "accepted"
        clock.forward(9.9)
        assert await outcome(idp, OPAQUE) == "accepted"
        assert len(issuer.received) == 1
        clock.forward(0.1)
        assert await outcome(idp, OPAQUE) == "expired"


@pytest.mark.requirement("introspection.cache")
async def test_setting_the_clock_back_extends_no_cached_result() -> None:
    issuer, wall, elapsed = always_active(), [NOW], [0.0]
    clock = Clock(now=lambda: wall[0], monotonic=lambda: elapsed[0])

    async with issuer.http() as http:
        introspection_verifier = verifier(there, http, clock)
        assert await outcome(introspection_verifier, OPAQUE) == "accepted"
        wall[0] -= 20
        elapsed[0] += MAX_RESULT_AGE
        issuer.message = lambda _: {"active": False}
        assert await outcome(introspection_verifier, OPAQUE) == "inactive"


@pytest.mark.requirement("introspection.cache")
@pytest.mark.parametrize("changes", [{"active": False}, {"aud": "http://other/mcp"}])
async def test_an_inactive_result_is_cached_for_a_shorter_time(changes: dict[str, Any]) -> None:
    issuer = always_active(**changes)
    async with provider(issuer, **GENERIC) as (idp, clock):
        rejected = await outcome(idp, OPAQUE)
        issuer.message = lambda _: issuer.active()
        clock.forward(BOUNDS.max_rejection_age - 0.1)
        assert await outcome(idp, OPAQUE) == rejected
        assert len(issuer.received) == 1
        clock.forward(0.1)
        assert await outcome(idp, OPAQUE) == "accepted"


@pytest.mark.requirement("introspection.cache")
async def test_a_failure_is_not_cached() -> None:
    issuer = responding(Reply(b"", 503))
    async with provider(issuer, **GENERIC) as (idp, _):
        assert await outcome(idp, OPAQUE) == "unavailable"
        issuer.message = lambda _: issuer.active()
        assert await outcome(idp, OPAQUE) == "accepted"


@pytest.mark.requirement("introspection.cache")
async def test_cached_results_outlive_the_providers_outage_until_they_are_too_old() -> None:
    issuer = always_active()
    async with provider(issuer) as (idp, clock):
        token = issuer.token()
        await idp.verify(token)
        issuer.message = lambda _: httpx.ConnectError("refused")
        clock.forward(MAX_RESULT_AGE - 1)
        assert await outcome(idp, token) == "accepted"
        clock.forward(1)
        assert await outcome(idp, token) == "unavailable"


async def test_more_invalid_tokens_than_the_cache_holds_evict_no_active_result() -> None:
    issuer = Introspecting()
    issuer.message = lambda token: issuer.active() if token == OPAQUE else {"active": False}
    async with issuer.http() as http:
        introspection_verifier = verifier(there, http, FakeClock().clock, cache_bytes=4 * 20 * TOKEN_BYTES)
        assert await outcome(introspection_verifier, OPAQUE) == "accepted"
        assert {await outcome(introspection_verifier, f"unknown-{i}") for i in range(100)} == {"inactive"}
        assert len(issuer.received) == 101
        assert await outcome(introspection_verifier, OPAQUE) == "accepted"
        assert await outcome(introspection_verifier, "unknown-99") == "inactive"
        assert len(issuer.received) == 101
        assert await outcome(introspection_verifier, "unknown-0") == "inactive"
        assert len(issuer.received) == 102


async def test_short_tokens_with_long_responses_are_bounded_by_the_responses() -> None:
    issuer = always_active(padding="x" * 60_000)
    async with provider(issuer, **GENERIC) as (idp, _):
        many = MAX_BYTES // 60_000 + 1
        for i in range(many):
            await idp.verify(f"token-{i}")
        await idp.verify(f"token-{many - 1}")
        assert len(issuer.received) == many
        await idp.verify("token-0")
    assert len(issuer.received) == many + 1


@pytest.mark.requirement("introspection.no_secret_shown")
@pytest.mark.parametrize("message", [*UNUSABLE_RESPONSES.values(), {"active": False}, Reply(b"", 401), {"active": 1}])
async def test_neither_token_nor_secret_is_in_what_is_logged_or_raised(message: Any) -> None:
    issuer = responding(message)
    async with issuer.http() as http:
        clock = FakeClock().clock

        introspection_verifier = verifier(there, http, clock)
        with capture_logs() as lines, pytest.raises((InvalidToken, ProviderUnavailable)) as rejection:
            await introspection_verifier.verify(OPAQUE)
    credentials = issuer.requests[0].headers["authorization"].partition(" ")[2]
    displayed = [
        repr(lines),
        repr(rejection.value),
        str(rejection.value),
        repr(vars(rejection.value)),
        repr(vars(introspection_verifier)),
    ]
    assert rejection.value.__cause__ is None
    for text in displayed:
        assert OPAQUE not in text
        assert SECRET not in text
        assert credentials not in text


@pytest.mark.requirement("introspection.no_secret_shown")
async def test_no_log_line_of_the_server_has_an_opaque_token() -> None:
    issuer = responding({"active": False})
    tokens = [OPAQUE, f"{OPAQUE}'", OPAQUE * 1000]
    with capture_logs() as lines:
        async with running(issuer, **MODE, **GENERIC) as server:
            statuses = [(await server.post(token)).status_code for token in tokens]
    assert statuses == [401, 401, 431]
    assert [line["reason"] for line in lines if line["event"] == "request_rejected"] == [
        "inactive",
        "opaque",
        "too_long",
    ]
    assert OPAQUE not in repr(lines)
    assert SECRET not in repr(lines)


class _FaultyIssuer(Issuer):
    """An issuer with a configurable introspection endpoint."""

    message: dict[str, Any] | Exception = RuntimeError("the client has been closed")

    async def respond(self, request: httpx.Request) -> httpx.Response:
        if not request.url.path.endswith("/introspect"):
            return await super().respond(request)
        if isinstance(self.message, Exception):
            raise self.message
        return httpx.Response(200, stream=httpx.ByteStream(json.dumps(self.message).encode()))


@pytest.mark.requirement("auth.provider_error", "introspection.subject_kept")
async def test_an_unexpected_introspection_error_is_an_error_of_the_provider() -> None:
    issuer = _FaultyIssuer()
    async with running(issuer, token_mode="introspection", client_secret="not-a-secret") as server:
        failed = await server.post(issuer.token())
        issuer.message = {"active": True, **issuer.claims(sub=...)}
        response = await server.post(issuer.token())
    assert (failed.status_code, response.status_code) == (503, 200)
    assert response.json()["result"]["structuredContent"]["subject"] == "4f0c"
