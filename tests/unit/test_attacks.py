"""What somebody would send who wants in, or wants others out."""

from __future__ import annotations

import asyncio
import json
import logging
from typing import TYPE_CHECKING, Any

import httpx
import pytest
import structlog
from hypothesis import given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from mcp_idp.access.policy import load_access
from mcp_idp.auth.challenge import ChallengeBuilder
from mcp_idp.auth.decisions import DecisionRecorder
from mcp_idp.auth.middleware import AuthMiddleware
from mcp_idp.auth.scopes import ScopeRequirements
from mcp_idp.auth.stream_expiry import end_stream_with_token
from mcp_idp.config.settings import Settings
from mcp_idp.errors import InvalidToken, ProviderUnavailable
from mcp_idp.http.transport_security import TransportSecurity
from mcp_idp.mcp_protocol.sessions import MAX_SESSIONS_EACH
from mcp_idp.oauth.discovery import discover, well_known_urls
from mcp_idp.oauth.http import FetchError, fetch_json
from mcp_idp.observability.logging import configure_logging
from mcp_idp.principal import Principal
from mcp_idp.providers import profile_for
from mcp_idp.tokens.claims import ClaimsPolicy, validate_claims
from mcp_idp.tokens.introspection import MAX_RESULT_AGE
from mcp_idp.tokens.jwks import REFRESH_COOLDOWN_SECONDS, JwksCache
from mcp_idp.util.memory_budget import MemoryBudget
from mcp_server.app import create_app
from tests.support.app import BOTH, MODERN, FakeClock, Running, lifespan, running
from tests.support.challenges import challenge
from tests.support.fake_issuer import ISSUER, NOW, RESOURCE, Issuer, public_jwk, rsa_key, signed

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.types import ASGIApp, Message

pytestmark = pytest.mark.anyio

LEGACY = "2025-11-25"
META = {"io.modelcontextprotocol/protocolVersion": MODERN, "io.modelcontextprotocol/clientCapabilities": {}}
INITIALIZE = {
    "jsonrpc": "2.0",
    "id": 0,
    "method": "initialize",
    "params": {"protocolVersion": LEGACY, "capabilities": {}, "clientInfo": {"name": "c", "version": "1"}},
}


def _signed(issuer: Issuer, **changes: Any) -> str:
    """As `Issuer.token`, with claims no library would write."""
    payload = json.dumps(issuer.claims(**changes)).encode()
    return signed(b'{"alg":"RS256","kid":"one","typ":"JWT"}', payload, rsa_key("one"))


# --- the provider ---


@pytest.mark.requirement("attack.key_set")
@pytest.mark.parametrize("member", ["use", "kid", "alg", "kty", "crv", "key_ops", "n", "e"])
@pytest.mark.parametrize("value", [[], {}, [[]], 7, True, "", "\u00e9", "AA", "_" * 4000])
async def test_one_key_that_cannot_be_read_takes_no_other_away(member: str, value: Any) -> None:
    good = public_jwk(rsa_key("one"), kid="one", alg="RS256", use="sig")
    issuer = Issuer(keys=[{**public_jwk(rsa_key("two")), "kid": "two", member: value}, good])
    async with running(issuer) as server:
        response = await server.post(issuer.token())
    assert response.status_code == 200


class _Faulty:
    """A fetch that gives what it is told to."""

    def __init__(self) -> None:
        self.message: Mapping[str, Any] | Exception = RuntimeError("nobody thought of this")

    async def __call__(self) -> Mapping[str, Any]:
        if isinstance(self.message, Exception):
            raise self.message
        return self.message


@pytest.mark.requirement("attack.provider_fault")
async def test_an_answer_nobody_thought_of_is_a_fault_and_is_tried_again() -> None:
    clock, fetch = FakeClock(), _Faulty()
    keys = JwksCache(fetch, clock.clock, max_age=600, max_stale=3600)
    with pytest.raises(ProviderUnavailable):
        await keys.ensure_fresh()
    assert "RuntimeError" in (keys.last_error or "")
    fetch.message = {"keys": Issuer().keys}
    clock.forward(REFRESH_COOLDOWN_SECONDS)
    await keys.ensure_fresh()
    assert (await keys.get_key("one", "RS256")).key_id == "one"


@pytest.mark.requirement("attack.provider_fault")
async def test_a_host_that_is_no_name_is_a_fault_of_the_provider() -> None:
    async with Issuer().http() as http:
        with pytest.raises(FetchError):
            await fetch_json(http, "http://xn--/keys")


class _CountingIssuer(Issuer):
    """An issuer whose introspection endpoint says, or does, what it is told to."""

    message: dict[str, Any] | Exception = RuntimeError("the client has been closed")

    async def answer(self, request: httpx.Request) -> httpx.Response:
        if not request.url.path.endswith("/introspect"):
            return await super().answer(request)
        if isinstance(self.message, Exception):
            raise self.message
        return httpx.Response(200, stream=httpx.ByteStream(json.dumps(self.message).encode()))


@pytest.mark.requirement("attack.provider_fault", "attack.subject_kept")
async def test_asking_that_fails_in_a_way_nobody_thought_of_is_a_fault_of_the_provider() -> None:
    issuer = _CountingIssuer()
    async with running(issuer, token_mode="introspection", client_secret="not-a-secret") as server:
        failed = await server.post(issuer.token())
        issuer.message = {"active": True, **issuer.claims(sub=...)}
        answered = await server.post(issuer.token())
    assert (failed.status_code, answered.status_code) == (503, 200)
    assert answered.json()["result"]["structuredContent"]["subject"] == "4f0c"


@pytest.mark.requirement("attack.fail_closed")
@pytest.mark.parametrize("error", [RuntimeError(), KeyError("x"), RecursionError(), asyncio.CancelledError()])
async def test_what_goes_wrong_inside_the_verification_admits_nobody(error: BaseException) -> None:
    async def verify(_token: str) -> Principal:
        raise error

    async def app(_scope: Any, _receive: Any, _send: Any) -> None:
        admitted.append(True)

    admitted: list[bool] = []
    chosen = Settings()
    access = load_access(chosen.access_file)
    challenger = ChallengeBuilder("http://localhost:3000/x", access.login_scopes)
    middleware = AuthMiddleware(
        app,
        verify=verify,
        access=access,
        scope_requirements=ScopeRequirements(access),
        transport_security=TransportSecurity(chosen),
        decisions=DecisionRecorder(challenger),
        remaining_lifetime=lambda _principal: 1.0,
        seconds_known=lambda _token: 1.0,
        budget=MemoryBudget(1 << 20),
        max_callers=10,
    )
    stream = _Stream(middleware, "POST", {"authorization": f"Bearer {Issuer().token()}"}, b"{}")
    with pytest.raises(type(error)):
        await stream.responses
    assert (admitted, stream.sent) == ([], [])


@pytest.mark.requirement("attack.fault_bound")
async def test_the_log_quotes_no_more_than_a_little_of_an_answer() -> None:
    clock, fetch = FakeClock(), _Faulty()
    fetch.message = FetchError("x" * 500_000)
    keys = JwksCache(fetch, clock.clock, max_age=600, max_stale=3600)
    with capture_logs() as lines:
        await keys.refresh()
    assert len(repr(lines)) < 2000


@pytest.mark.requirement("attack.log_time")
@pytest.mark.parametrize("word", ["eyJ", "eyJ-", "bearer ", "eyJaaaaaaaa", "bearer\n\t"])
def test_a_line_written_to_be_slow_is_read_once(word: str, capsys: pytest.CaptureFixture[str]) -> None:
    # Read from every letter on, each of these would take hours: the run would time out.
    handlers, level = logging.root.handlers[:], logging.root.level
    configure_logging("json", "info")
    try:
        structlog.get_logger("tool").warning("raised", exception=word * 500_000)
    finally:
        structlog.reset_defaults()
        logging.root.handlers[:] = handlers
        logging.root.setLevel(level)
    assert json.loads(capsys.readouterr().err)["event"] == "raised"


@pytest.mark.requirement("attack.inside")
@pytest.mark.parametrize(
    "host",
    [
        "127.1",
        "0x7f.1",
        "0177.0.0.1",
        "192.168.257",
        "2130706433",
        "0",
        "127.0.0.1.",
        "x.localhost.",
        "db.",
        "[::ffff:10.0.0.1]",
        "[fe80::1%25eth0]",
    ],
)
async def test_a_public_issuer_cannot_spell_its_way_inside(host: str) -> None:
    issuer = "https://login.example.com"

    def response(request: httpx.Request) -> httpx.Response:
        if str(request.url) != well_known_urls(issuer)[0]:
            return httpx.Response(404)
        document = {"issuer": issuer, "jwks_uri": f"https://{host}/keys"}
        return httpx.Response(200, stream=httpx.ByteStream(json.dumps(document).encode()))

    async with httpx.AsyncClient(transport=httpx.MockTransport(response)) as http:
        with pytest.raises(FetchError, match="inside this network"):
            await discover(http, issuer)


# --- tokens ---


@pytest.mark.requirement("attack.surrogates")
@pytest.mark.parametrize("claim", ["sub", "azp", "scope", "sid"])
@pytest.mark.parametrize("half", ["\ud800", "mcp:tools \udfff"])
async def test_half_of_a_surrogate_pair_names_nobody(claim: str, half: str) -> None:
    async with running() as server:
        response = await server.post(_signed(server.issuer, **{claim: half}))
    assert response.status_code == 401


@pytest.mark.requirement("attack.surrogates")
async def test_a_whole_pair_is_a_character() -> None:
    async with running() as server:
        response = await server.post(_signed(server.issuer, sub="\U0001f600"))
        greeted = await server.call("greet", server.issuer.token(), {"name": "\U0001f600"})
    assert response.json()["result"]["structuredContent"]["subject"] == "\U0001f600"
    assert greeted.status_code == 200


# --- sessions and streams ---


async def _legacy(server: Running, token: str, document: dict[str, Any], session: str | None = None) -> httpx.Response:
    headers = {"authorization": f"Bearer {token}", "accept": BOTH}
    if session is not None:
        headers |= {"mcp-session-id": session, "mcp-protocol-version": LEGACY}
    return await server.client.post("/mcp", json=document, headers=headers)


async def _open(server: Running, token: str) -> str:
    response = await _legacy(server, token, INITIALIZE)
    assert response.status_code == 200
    return str(response.headers["mcp-session-id"])


async def _ping(server: Running, token: str, session: str) -> int:
    return (await _legacy(server, token, {"jsonrpc": "2.0", "id": 1, "method": "ping"}, session)).status_code


@pytest.mark.requirement("attack.session_flood")
async def test_who_opens_sessions_without_end_loses_the_least_used_of_their_own() -> None:
    async with running() as server:
        mine, other_client = server.issuer.token(), server.issuer.token(azp="client-2")
        others = server.issuer.token(sub="somebody-else")
        theirs = await _open(server, others)
        stored, lost = await _open(server, mine), await _open(server, mine)
        assert await _ping(server, mine, stored) == 200
        for _ in range(MAX_SESSIONS_EACH - 1):
            newest = await _open(server, other_client)
        assert await _ping(server, mine, stored) == 200
        assert await _ping(server, mine, lost) == 404
        assert await _ping(server, other_client, newest) == 200
        assert await _ping(server, others, theirs) == 200


@pytest.mark.requirement("attack.session_flood")
async def test_requests_that_open_nothing_push_no_session_out() -> None:
    async with running() as server:
        token = server.issuer.token()
        session = await _open(server, token)
        for _ in range(MAX_SESSIONS_EACH + 1):
            rejected = await _legacy(server, token, {"jsonrpc": "2.0", "id": 1, "method": "ping"})
            assert rejected.status_code == 400
        assert await _ping(server, token, session) == 200


@pytest.mark.requirement("attack.session_owner")
@pytest.mark.parametrize("changes", [{"sub": "evil"}, {"azp": "evil"}, {"sub": ...}])
@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
async def test_the_session_of_another_is_as_if_it_were_not_there(changes: dict[str, Any], method: str) -> None:
    async with running() as server:
        session = await _open(server, server.issuer.token())
        headers = {
            "authorization": f"Bearer {server.issuer.token(**changes)}",
            "accept": BOTH,
            "mcp-session-id": session,
            "mcp-protocol-version": LEGACY,
        }
        ping = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
        response = await server.client.request(method, "/mcp", headers=headers, json=ping)
        assert response.status_code == 404
        assert await _ping(server, server.issuer.token(), session) == 200


@pytest.mark.requirement("attack.session_owner")
async def test_a_session_of_a_token_that_names_nobody_answers_to_that_token_only() -> None:
    async with running() as server:
        first, second = server.issuer.token(sub=...), server.issuer.token(sub=..., exp=NOW + 299)
        session = await _open(server, first)
        assert await _ping(server, second, session) == 404
        assert await _ping(server, first, session) == 200


@pytest.mark.requirement("attack.session_identity")
async def test_a_call_in_a_session_acts_for_its_own_token() -> None:
    call = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "whoami", "arguments": {}}}
    async with running() as server:
        session = await _open(server, server.issuer.token(scope="mcp:admin"))
        message = await _legacy(server, server.issuer.token(scope="mcp:tools"), call, session)
    assert message.json()["result"]["structuredContent"]["scopes"] == ["mcp:tools"]


class _Stream:
    """A request whose client stays on the line."""

    def __init__(self, app: ASGIApp, method: str, headers: dict[str, str], body: bytes = b"") -> None:
        self.sent: list[Message] = []
        self.begun = asyncio.Event()
        self._pending: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]
        scope = {
            "type": "http",
            "method": method,
            "path": "/mcp",
            "query_string": b"",
            "headers": [(b"host", b"localhost:3000"), *((n.encode(), v.encode()) for n, v in headers.items())],
        }
        self.responses = asyncio.ensure_future(app(scope, self._receive, self._send))

    async def _receive(self) -> Message:
        if self._pending:
            return self._pending.pop()
        await asyncio.Event().wait()
        return {}

    async def _send(self, message: Message) -> None:
        self.sent.append(message)
        self.begun.set()


@pytest.mark.requirement("attack.stream_end")
@pytest.mark.parametrize("revision", [LEGACY, MODERN])
async def test_a_stream_ends_with_its_token(revision: str) -> None:
    issuer, clock = Issuer(), FakeClock()
    headers = {"accept": BOTH, "content-type": "application/json", "mcp-protocol-version": revision}
    listen = {"jsonrpc": "2.0", "id": 1, "method": "subscriptions/listen"}
    params = {"_meta": META, "notifications": {"toolsListChanged": True}}
    async with issuer.http() as http:
        app = create_app(Settings(clock_leeway=0), clock=clock.clock, http=http)
        async with lifespan(app):
            headers["authorization"] = f"Bearer {issuer.token()}"
            if revision == LEGACY:
                opened = _Stream(app, "POST", headers, json.dumps(INITIALIZE).encode())
                await opened.responses
                headers["mcp-session-id"] = dict(opened.sent[0]["headers"])[b"mcp-session-id"].decode()
            headers["authorization"] = f"Bearer {issuer.token(exp=NOW + 0.5)}"
            if revision == LEGACY:
                stream = _Stream(app, "GET", headers)
            else:
                headers["mcp-method"] = listen["method"]  # type: ignore[assignment] # a text
                stream = _Stream(app, "POST", headers, json.dumps({**listen, "params": params}).encode())
            await stream.responses
    assert stream.sent[0]["status"] == 200
    assert stream.sent[-1] == {"type": "http.response.body", "body": b"", "more_body": False}


async def _opened_stream(app: ASGIApp, token: str, revision: str) -> _Stream:
    """The stream of a session, or that of `subscriptions/listen`, once it has begun."""
    headers = {"accept": BOTH, "content-type": "application/json", "mcp-protocol-version": revision}
    headers["authorization"] = f"Bearer {token}"
    if revision == LEGACY:
        opening = _Stream(app, "POST", headers, json.dumps(INITIALIZE).encode())
        await opening.responses
        headers["mcp-session-id"] = dict(opening.sent[0]["headers"])[b"mcp-session-id"].decode()
        stream = _Stream(app, "GET", headers)
    else:
        headers["mcp-method"] = "subscriptions/listen"
        params = {"_meta": META, "notifications": {"toolsListChanged": True}}
        listen = {"jsonrpc": "2.0", "id": 1, "method": "subscriptions/listen", "params": params}
        stream = _Stream(app, "POST", headers, json.dumps(listen).encode())
    await stream.begun.wait()
    return stream


@pytest.mark.requirement("attack.stream_end")
@pytest.mark.parametrize("revision", [LEGACY, MODERN])
@pytest.mark.parametrize(
    "then",
    [{"active": False}, {"active": True, "aud": "another"}, {"active": True, "scope": "x"}, RuntimeError("down")],
)
async def test_a_stream_ends_with_the_introspection_result_that_opened_it(
    revision: str, then: dict[str, Any] | Exception
) -> None:
    issuer, clock = _CountingIssuer(), FakeClock()
    issuer.message = {"active": True, **issuer.claims()}
    chosen = Settings(token_mode="introspection", client_secret="not-a-secret")
    async with issuer.http() as http:
        app = create_app(chosen, clock=clock.clock, http=http)
        async with lifespan(app):
            stream = await _opened_stream(app, issuer.token(), revision)
            clock.forward(MAX_RESULT_AGE - 0.2)
            other = await _opened_stream(app, issuer.token(), revision)  # by what is known already
            if isinstance(then, dict) and then["active"]:
                then = {**issuer.claims(), **then}
            issuer.message = then
            await asyncio.wait({other.responses}, timeout=0.05)
            assert not other.responses.done()
            clock.forward(0.2)
            await asyncio.wait_for(other.responses, 10)
            stream.responses.cancel()
    assert other.sent[0]["status"] == 200
    assert other.sent[-1] == {"type": "http.response.body", "body": b"", "more_body": False}


@pytest.mark.requirement("attack.stream_end")
@pytest.mark.parametrize("revision", [LEGACY, MODERN])
async def test_a_stream_whose_token_is_still_active_goes_on(revision: str) -> None:
    issuer, clock = _CountingIssuer(), FakeClock()
    issuer.message = {"active": True, **issuer.claims()}
    chosen = Settings(token_mode="introspection", client_secret="not-a-secret")
    async with issuer.http() as http:
        app = create_app(chosen, clock=clock.clock, http=http)
        async with lifespan(app):
            await _opened_stream(app, issuer.token(), revision)
            clock.forward(MAX_RESULT_AGE - 0.2)
            other = await _opened_stream(app, issuer.token(), revision)
            clock.forward(0.2)
            await asyncio.wait({other.responses}, timeout=0.5)
            assert not other.responses.done()
            other.responses.cancel()


# --- anything at all ---

_BYTES = st.binary(max_size=60)
_PARTS = st.sampled_from(
    [
        b"Bearer",
        b"bearer ",
        b"Basic ",
        b" ",
        b"\t",
        b",",
        b"=",
        b".",
        b"eyJhbGciOiJub25lIn0",
        b"\xff",
        b'"',
        b"\\",
        b"e30",
    ]
)
AUTHORIZATION = st.lists(st.one_of(_BYTES, st.lists(_PARTS, max_size=8).map(b"".join)), min_size=1, max_size=2)


@pytest.mark.requirement("attack.any_authorization")
def test_no_authorization_of_a_stranger_admits_or_breaks_the_challenge() -> None:
    async def main() -> None:
        async with running() as server:

            @settings(max_examples=150, derandomize=True, deadline=None, database=None)
            @given(AUTHORIZATION)
            def send(values: list[bytes]) -> None:
                seen.append(values)

            seen: list[list[bytes]] = []
            send()
            for values in seen:
                headers = [(b"accept", BOTH.encode()), *((b"authorization", value) for value in values)]
                response = await server.client.post("/mcp", headers=headers, content=b"{}")
                assert response.status_code in {400, 401}, values
                assert challenge(response)["scope"].startswith("mcp:tools "), values

    asyncio.run(main())


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


@pytest.mark.requirement("attack.any_claims")
@settings(max_examples=500, derandomize=True, deadline=None, database=None)
@given(changes=CLAIMS, rules=st.sampled_from(RULES), bare=st.booleans())
def test_any_claims_are_a_principal_or_a_refusal(changes: dict[str, Any], rules: ClaimsPolicy, bare: bool) -> None:  # noqa: FBT001 - a parameter
    claims = changes if bare else {**Issuer().claims(), **changes}
    try:
        principal = validate_claims(claims, rules, NOW)
    except InvalidToken:
        return
    assert isinstance(principal, Principal)
    assert claims["iss"] in {rules.issuer, *rules.aliases}
    assert RESOURCE in claims["aud"] if "aud" in claims else principal.client in rules.clients
    assert NOW - rules.leeway < principal.expires_at <= NOW + rules.leeway + rules.max_lifetime


_MESSAGE = st.fixed_dictionaries(
    {},
    optional={
        "jsonrpc": st.just("2.0") | _JSON,
        "id": st.integers() | st.text(max_size=5) | _JSON,
        "method": st.sampled_from(["tools/call", "tools/list", "initialize", "ping", "notifications/cancelled"])
        | _JSON,
        "params": st.fixed_dictionaries(
            {}, optional={"name": st.just("greet") | _JSON, "arguments": _JSON, "_meta": st.just(META) | _JSON}
        )
        | _JSON,
    },
)
_LONE_HALF = b'{"id":"\\ud800"}'
BODIES = st.one_of(
    st.binary(max_size=40),
    _JSON.map(lambda value: json.dumps(value).encode()),
    _MESSAGE.map(lambda value: json.dumps(value).encode()),
    st.sampled_from([_LONE_HALF, b'{"a":1,"a":1}', b"[" * 2000, b'{"id":%s}' % (b"9" * 5000), b"\xef\xbb\xbf{}"]),
)


@pytest.mark.requirement("attack.any_body", "attack.surrogates")
def test_any_body_of_a_good_token_is_answered_and_never_with_500() -> None:
    bodies: list[bytes] = [_LONE_HALF]

    @settings(max_examples=150, derandomize=True, deadline=None, database=None)
    @given(BODIES)
    def collect(body: bytes) -> None:
        bodies.append(body)

    async def main() -> None:
        async with running() as server, asyncio.timeout(60):
            own = {
                "authorization": f"Bearer {server.issuer.token()}",
                "accept": BOTH,
                "content-type": "application/json",
            }
            session = await _open(server, server.issuer.token())
            legacy = {"mcp-session-id": session, "mcp-protocol-version": LEGACY}
            modern = {"mcp-protocol-version": MODERN, "mcp-method": "tools/call", "mcp-name": "greet"}
            for body in bodies:
                for revision in ({}, legacy, modern):
                    response = await server.client.post("/mcp", content=body, headers={**own, **revision})
                    assert response.status_code < 500, (body, revision)
                    if body == _LONE_HALF:  # two halves that belong together are one character, and welcome
                        assert response.json()["error"] == "invalid_body"
            assert await _ping(server, server.issuer.token(), session) == 200

    collect()
    asyncio.run(main())


_HOSTS = st.lists(
    st.sampled_from(
        ["localhost", "127.0.0.1", "[::1]", ":", "3000", ".", "@", "%25lo", "evil.example", " ", "\xff", "/"]
    ),
    max_size=4,
).map("".join)


@pytest.mark.requirement("attack.any_authorization")
@settings(max_examples=300, derandomize=True, deadline=None, database=None)
@given(_HOSTS)
def test_no_host_is_ours_but_a_loopback_name_with_or_without_a_port(host: str) -> None:
    transport_security = TransportSecurity(Settings())
    if transport_security.is_allowed_host(host.encode("latin-1")):
        name, _, port = host.rpartition(":") if not host.endswith("]") and ":" in host else (host, "", "1")
        assert (name or host) in {"localhost", "127.0.0.1", "[::1]"}
        assert port.isdigit()


@pytest.mark.requirement("attack.stream_end")
def test_a_timeout_of_the_application_is_not_taken_for_the_end_of_the_token() -> None:
    async def fails(_send: object) -> None:
        raise TimeoutError

    async def unheard(_message: object) -> None:
        raise AssertionError

    async def verify_again() -> None:
        raise AssertionError

    with pytest.raises(TimeoutError):
        asyncio.run(end_stream_with_token(3600, fails, unheard, verify_again, lambda: 3600.0))
