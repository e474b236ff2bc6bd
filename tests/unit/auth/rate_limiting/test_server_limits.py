"""The limits of addresses, users and tools, tested from outside: requests, responses and log lines."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from structlog.testing import capture_logs

from mcp_idp.access.models import ToolLimit
from mcp_idp.auth.rate_limiting.by_user import RequestSlot, UserLimits
from mcp_idp.auth.rate_limiting.in_progress_by_user import CLIENTS
from mcp_idp.config.rate_limit_settings import NO_LIMITS, RateLimitSettings
from mcp_idp.config.settings import Settings
from mcp_idp.errors import RateLimited
from mcp_idp.principal import Principal
from mcp_idp.testing.corpus.model import BOTH, MODERN
from mcp_idp.testing.introspecting_issuer import MODE, always_active
from mcp_idp.testing.issuer import NOW, Issuer, rsa_key
from mcp_idp.util.repeated_events import PERIOD_SECONDS
from mcp_server.app import create_app
from tests.support.app import Calls, FakeClock, lifespan
from tests.support.outcomes import settle

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Mapping, MutableMapping
    from pathlib import Path

    from starlette.types import ASGIApp

pytestmark = pytest.mark.anyio
ATTACKER, HOME = "198.51.100.7", "203.0.113.5"
META = {"io.modelcontextprotocol/protocolVersion": MODERN, "io.modelcontextprotocol/clientCapabilities": {}}


class Site:
    """A server, and clients at addresses of their own."""

    def __init__(self, app: ASGIApp, issuer: Issuer, clock: FakeClock) -> None:
        self._app = app
        self.issuer = issuer
        self.clock = clock

    def at(self, address: str = HOME) -> Calls:
        transport = httpx.ASGITransport(self._app, client=(address, 1234))
        return Calls(httpx.AsyncClient(transport=transport, base_url="http://localhost:3000"))

    async def statuses(self, address: str, times: int, token: str | None = None) -> list[int]:
        return [(await self.at(address).post(token)).status_code for _ in range(times)]


@asynccontextmanager
async def site(
    issuer: Issuer | None = None, /, limits: Mapping[str, int] | None = None, **settings: Any
) -> AsyncIterator[Site]:
    """A server with these limits and no others."""
    issuer, clock = issuer or Issuer(), FakeClock(at=NOW)
    names = {name: getattr(NO_LIMITS, name) for name in RateLimitSettings.__slots__}
    chosen = Settings(limits=RateLimitSettings(**{**names, **(limits or {})}), **settings)
    async with issuer.http() as http:
        app = create_app(chosen, clock=clock.clock, http=http)
        async with lifespan(app):
            yield Site(app, issuer, clock)


def assert_limited(response: httpx.Response, name: str, quota: str, *, waits: bool = True) -> None:
    assert response.status_code == 429
    assert int(response.headers["retry-after"]) >= 1
    assert "www-authenticate" not in response.headers
    assert response.headers["ratelimit-policy"] == f'"{name}";{quota}'
    assert response.headers["ratelimit"].startswith(f'"{name}";r=0')
    assert ("t=" in response.headers["ratelimit"]) is waits
    body = response.json()
    assert sorted(body) == ["correlation_id", "error", "error_description"]
    assert body["error"] == "too_many_requests"


# --- by address

HOSTILE = {
    "no credentials": {},
    "invalid": {"authorization": "Bearer invalid"},
    "another scheme": {"authorization": "Basic eDp5"},
    "no token": {"authorization": "Bearer"},
    "two tokens": {"authorization": "Bearer a, Bearer b"},
    "another host": {"host": "evil.example"},
    "another origin": {"origin": "https://evil.example"},
    "a token that never ends": {"authorization": "Bearer " + "a" * 20_000},
}


@pytest.mark.requirement("limits.address", "limits.response")
@pytest.mark.parametrize("headers", HOSTILE.values(), ids=HOSTILE)
@pytest.mark.parametrize("path", ["/mcp", "/", "/.well-known/oauth-protected-resource", "/nothing", "/sse"])
async def test_an_address_without_a_verified_token_is_limited_before_anything_else(
    path: str, headers: dict[str, str]
) -> None:
    async with site(limits={"address_rate": 1}) as server:
        client = server.at(ATTACKER).client
        responses = [await client.post(path, headers=headers) for _ in range(12)]
        assert 429 not in {response.status_code for response in responses[:10]}
        assert_limited(responses[10], "address", "q=10;w=10")
        assert (await server.at(HOME).post()).status_code == 401
        assert (await server.at(ATTACKER).client.get("/livez")).status_code == 200
        assert (await server.at(ATTACKER).client.get("/readyz")).status_code == 200
        server.clock.forward(int(responses[11].headers["retry-after"]))
        assert (await server.at(ATTACKER).post()).status_code == 401


@pytest.mark.requirement("limits.address")
async def test_the_limit_of_an_address_does_not_apply_to_a_token_that_was_verified_before() -> None:
    async with site(limits={"address_rate": 1}) as server:
        known = server.issuer.token(exp=NOW + 300)
        assert await server.statuses(ATTACKER, 1, known) == [200]
        assert await server.statuses(ATTACKER, 12) == [401] * 9 + [429] * 3
        assert await server.statuses(ATTACKER, 20, known) == [200] * 20
        assert await server.statuses(ATTACKER, 1, server.issuer.token(jti="new")) == [429]
        server.clock.forward(200)  # the provider's keys were renewed meanwhile
        await server.statuses(ATTACKER, 12)
        assert await server.statuses(ATTACKER, 1, known) == [200]
        server.clock.forward(131)
        assert await server.statuses(ATTACKER, 12, known) == [401] * 10 + [429] * 2


IMITATIONS = {
    "cut short": lambda token: token[:-1],
    "one character more": lambda token: token + "A",
    "padded": lambda token: token + "=",
    "in capitals": lambda token: token.upper(),
    "with a comma behind it": lambda token: token + ",",
    "with another behind it": lambda token: token + " x",
}


@pytest.mark.requirement("limits.address")
@pytest.mark.parametrize("change", IMITATIONS.values(), ids=IMITATIONS)
async def test_the_limit_of_an_address_applies_to_what_only_resembles_a_verified_token(change: Any) -> None:
    async with site(limits={"address_rate": 1}) as server:
        known = server.issuer.token()
        assert await server.statuses(HOME, 1, known) == [200]
        assert (await server.statuses(ATTACKER, 11, change(known)))[-1] == 429


@pytest.mark.requirement("limits.address")
async def test_the_limit_of_an_address_applies_to_two_headers_with_a_verified_token() -> None:
    async with site(limits={"address_rate": 1}) as server:
        known = ("authorization", f"Bearer {server.issuer.token()}")
        client = server.at(ATTACKER).client
        assert (await client.post("/mcp", headers=[known], json={})).status_code != 401
        statuses = [(await client.post("/mcp", headers=[known, known], json={})).status_code for _ in range(11)]
        assert statuses == [400] * 9 + [429] * 2


@pytest.mark.requirement("limits.address")
async def test_a_revoked_token_is_no_longer_known() -> None:
    issuer = always_active()
    async with site(issuer, limits={"address_rate": 1}, **MODE) as server:
        token = issuer.token()
        assert await server.statuses(ATTACKER, 1, token) == [200]
        issuer.message = lambda _: {"active": False}
        server.clock.forward(31)
        assert await server.statuses(ATTACKER, 12, token) == [401] * 11 + [429]


@pytest.mark.requirement("limits.address")
@pytest.mark.parametrize(
    ("one", "other", "are_one"),
    [
        ("2001:db8:1:2::1", "2001:db8:1:2:ffff::9", True),
        ("2001:db8:1:2::1", "2001:db8:1:3::1", False),
        ("198.51.100.7", "::ffff:198.51.100.7", True),
        ("198.51.100.7", "198.51.100.8", False),
        ("not an address", "another", True),
    ],
)
async def test_addresses_of_one_client_share_a_limit(one: str, other: str, are_one: bool) -> None:  # noqa: FBT001
    async with site(limits={"address_rate": 1}) as server:
        await server.statuses(one, 10)
        assert await server.statuses(other, 1) == [429 if are_one else 401]


@pytest.mark.requirement("limits.response")
@pytest.mark.parametrize(
    ("origin", "allowed"), [("http://localhost:3000", True), ("https://evil.example", False), (None, False)]
)
async def test_a_page_of_an_allowed_origin_can_read_that_it_is_limited(origin: str | None, allowed: bool) -> None:  # noqa: FBT001
    async with site(limits={"address_rate": 1, "user_rate": 1}) as server:
        token = server.issuer.token()
        assert await server.statuses(HOME, 11, token) == [200] * 10 + [429]
        await server.statuses(ATTACKER, 10)
        own = {} if origin is None else {"origin": origin}
        rejected = [await server.at(ATTACKER).post(**own)]
        if origin != "https://evil.example":
            rejected.append(await server.at(HOME).post(token, **own))
    for response in rejected:
        assert response.status_code == 429
        assert "Origin" in response.headers["vary"]
        assert response.headers.get("access-control-allow-origin") == (origin if allowed else None)
        if allowed:
            exposed = response.headers["access-control-expose-headers"].split(", ")
            assert {"Retry-After", "RateLimit", "RateLimit-Policy"} <= {*exposed}


async def test_a_flood_from_an_address_is_logged_once_with_a_hint_about_an_untrusted_proxy() -> None:
    with capture_logs() as lines:
        async with site(limits={"address_rate": 1}) as server:
            for _ in range(50):
                await server.at(ATTACKER).post(**{"x-forwarded-for": HOME})
            server.clock.forward(PERIOD_SECONDS)
            for _ in range(11):
                await server.at(ATTACKER).post()
    logged = _warnings(lines, "address_over_limit")
    assert [line["address"] for line in logged] == [ATTACKER] * 2
    assert "TRUSTED_PROXIES" in logged[0]["hint"]
    assert logged[1]["hint"] is None
    assert [line["counts"] for line in _warnings(lines, "requests_rejected")] == [{"too_many_requests:address": 39}]


def _warnings(lines: Iterable[MutableMapping[str, Any]], event: str) -> list[MutableMapping[str, Any]]:
    return [line for line in lines if line["event"] == event and line["log_level"] == "warning"]


# --- by user


@pytest.mark.requirement("limits.user", "limits.response")
async def test_a_user_is_limited_in_each_client_and_others_are_not() -> None:
    async with site(limits={"user_rate": 1}) as server:
        mine, theirs = server.issuer.token(), server.issuer.token(sub="somebody-else")
        assert await server.statuses(HOME, 12, mine) == [200] * 10 + [429] * 2
        assert_limited(await server.at().post(mine), "user", "q=10;w=10")
        assert await server.statuses(HOME, 1, server.issuer.token(jti="again")) == [429]
        assert await server.statuses(HOME, 1, theirs) == [200]
        assert await server.statuses(HOME, 1, server.issuer.token(azp="client-2")) == [200]
        server.clock.forward(20)
        assert await server.statuses(HOME, 1, mine) == [200]


@pytest.mark.requirement("limits.user")
async def test_registering_clients_multiplies_a_users_limit_by_a_few_only() -> None:
    async with site(limits={"user_rate": 1}) as server:
        tokens = [server.issuer.token(azp=f"client-{n}") for n in range(CLIENTS + 2)]
        statuses = [status for token in tokens for status in await server.statuses(HOME, 10, token)]
        assert statuses.count(200) == 10 * CLIENTS
        assert_limited(await server.at().post(tokens[-1]), "user-in-all-clients", f"q={10 * CLIENTS};w=10")
        assert await server.statuses(HOME, 1, tokens[-2]) == [429]
        server.clock.forward(20)
        assert await server.statuses(HOME, 10, tokens[-1]) == [200] * 10


WITHOUT_USER = (
    [{"exp": NOW + 200 + n} for n in range(5)] + [{"jti": str(n)} for n in range(5)] + [{"scope": "mcp:tools"}]
)


@pytest.mark.requirement("limits.user")
async def test_tokens_without_a_subject_are_one_user_however_they_differ() -> None:
    async with site(limits={"user_rate": 1, "sessions_per_user": 3}) as server:
        tokens = [server.issuer.token(sub=..., **changes) for changes in WITHOUT_USER]
        assert [s for token in tokens for s in await server.statuses(HOME, 1, token)] == [200] * 10 + [429]
        server.clock.forward(30)
        sessions = []
        for token in tokens[:4]:
            response = await _initialize(server, token)
            sessions.append((token, response.headers["mcp-session-id"]))
        assert [await _ping(server, *session) for session in sessions] == [404, 200, 200, 200]
        assert await _ping(server, tokens[3], sessions[1][1]) == 404


async def _initialize(server: Site, token: str) -> httpx.Response:
    params = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "c", "version": "1"}}
    return await server.at().client.post(
        "/mcp",
        json={"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": params},
        headers={"authorization": f"Bearer {token}", "accept": BOTH},
    )


async def _ping(server: Site, token: str, session: str) -> int:
    headers = {"mcp-session-id": session, "mcp-protocol-version": "2025-06-18"}
    response = await server.at().client.post(
        "/mcp",
        json={"jsonrpc": "2.0", "id": 1, "method": "ping"},
        headers={"authorization": f"Bearer {token}", "accept": BOTH, **headers},
    )
    return response.status_code


@pytest.mark.requirement("limits.user", "limits.response")
async def test_a_user_may_not_use_a_new_token_for_each_call() -> None:
    async with site(limits={"new_tokens": 1}) as server:
        tokens = [server.issuer.token(jti=str(n)) for n in range(11)]
        responses = [await server.at().post(token) for token in tokens]
        assert [response.status_code for response in responses] == [200] * 10 + [429]
        assert_limited(responses[-1], "new-tokens", "q=10;w=10")
        assert await server.statuses(HOME, 30, tokens[0]) == [200] * 30
        assert await server.statuses(HOME, 1, server.issuer.token(sub="somebody-else")) == [200]


@pytest.mark.requirement("limits.user")
async def test_invalid_tokens_do_not_count_as_new_tokens_of_a_user() -> None:
    issuer = Issuer()
    async with site(issuer, limits={"new_tokens": 1}) as server:
        for n in range(30):
            await server.at().post(issuer.token(jti=str(n), key=rsa_key("foreign")))
        assert await server.statuses(HOME, 1, issuer.token()) == [200]


class Open:
    """A request that is being answered."""

    def __init__(
        self, server: Site, token: str, method: str = "POST", document: Mapping[str, Any] | None = None
    ) -> None:
        headers = {"host": "localhost:3000", "authorization": f"Bearer {token}", "accept": BOTH}
        headers |= {"content-type": "application/json", "mcp-protocol-version": MODERN}
        if document is not None:
            headers["mcp-method"] = str(document["method"])
        scope = {
            "type": "http",
            "method": method,
            "path": "/mcp",
            "query_string": b"",
            "client": (HOME, 1),
            "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
        }
        self._body = None if document is None else json.dumps(document).encode()
        self._left = asyncio.Event()
        self.sent: list[Any] = []
        self.task = asyncio.ensure_future(server._app(scope, self._receive, self._send))  # noqa: SLF001 - the test's own

    @property
    def status(self) -> int | None:
        return self.sent[0]["status"] if self.sent else None

    def leave(self) -> None:
        self._left.set()

    async def _receive(self) -> dict[str, Any]:
        body, self._body = self._body, None
        if body is None:
            await self._left.wait()
            return {"type": "http.disconnect"}
        return {"type": "http.request", "body": body, "more_body": False}

    async def _send(self, message: Any) -> None:
        self.sent.append(message)


LISTEN = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "subscriptions/listen",
    "params": {"_meta": META, "notifications": {"toolsListChanged": True}},
}


@pytest.mark.requirement("limits.user")
async def test_streams_are_counted_separately_from_calls_and_end_with_their_client() -> None:
    async with site(limits={"streams_per_user": 2, "calls_per_user": 1}) as server:
        token = server.issuer.token()
        streams = [Open(server, token, document=LISTEN) for _ in range(3)]
        await settle()
        assert [stream.status for stream in streams] == [200, 200, 429]
        assert await server.statuses(HOME, 3, token) == [200] * 3
        fields = dict(streams[2].sent[0]["headers"])
        assert fields[b"ratelimit-policy"] == b'"streams";q=2;qu="concurrent-requests"'
        streams[0].leave()
        await settle()
        again = Open(server, token, document=LISTEN)
        await settle()
        assert again.status == 200
        for stream in (*streams, again):
            stream.leave()
            stream.task.cancel()
        await asyncio.gather(*(stream.task for stream in (*streams, again)), return_exceptions=True)


@pytest.mark.requirement("limits.user", "limits.response")
@pytest.mark.parametrize("ends", ["left", "cancelled"])
async def test_calls_in_progress_are_limited_and_released_however_they_end(ends: str) -> None:
    async with site(limits={"calls_per_user": 2}) as server:
        token = server.issuer.token()
        # Its body never comes: that is a call in progress too.
        calls = [Open(server, token) for _ in range(3)]
        await settle()
        assert [call.status for call in calls] == [None, None, 429]
        response = await server.at().post(token)
        assert_limited(response, "calls", 'q=2;qu="concurrent-requests"', waits=False)
        assert await server.statuses(HOME, 1, server.issuer.token(sub="somebody-else")) == [200]
        for call in calls:
            call.leave() if ends == "left" else call.task.cancel()
        await asyncio.gather(*(call.task for call in calls), return_exceptions=True)
        assert await server.statuses(HOME, 5, token) == [200] * 5


async def test_a_flood_of_a_user_is_recorded_once_and_then_as_a_number(tmp_path: Path) -> None:
    audit = tmp_path / "audit.jsonl"
    with capture_logs() as lines:
        async with site(limits={"user_rate": 1}, audit_log=str(audit)) as server:
            for subject in ("first", "second"):
                await server.statuses(HOME, 60, server.issuer.token(sub=subject))
            server.clock.forward(PERIOD_SECONDS)
            await server.statuses(HOME, 11, server.issuer.token(sub="first"))
    logged = _warnings(lines, "request_rejected")
    assert [line["limit"] for line in logged] == ["user"] * 3
    assert [line["counts"] for line in _warnings(lines, "requests_rejected")] == [{"too_many_requests:user": 98}]
    rejected = [line for line in map(json.loads, audit.read_text().splitlines()) if line["status"] == 429]
    assert [(line["subject"], line["reason"]) for line in rejected] == [
        (subject, "too_many_requests:user") for subject in ("first", "second", "first")
    ]
    assert {line["correlation_id"] for line in rejected} == {line["correlation_id"] for line in logged}


# --- by tool


@pytest.mark.requirement("limits.tool", "limits.response")
async def test_a_tool_has_the_limits_in_the_access_file(tmp_path: Path) -> None:
    text = Settings().access_file.read_text() + "\ntool_limits:\n  greet: {calls_per_minute: 2}\n"
    (tmp_path / "access.yaml").write_text(text)
    async with site(access_file=tmp_path / "access.yaml") as server:
        token, other = server.issuer.token(), server.issuer.token(azp="client-2")
        calls = [await server.at().call("greet", who, {"name": "a"}) for who in (token, other, token, other)]
        assert [call.status_code for call in calls] == [200, 200, 429, 429]
        assert_limited(calls[2], "tool", "q=2;w=60")
        assert await server.statuses(HOME, 5, token) == [200] * 5
        theirs = server.issuer.token(sub="somebody-else")
        assert (await server.at().call("greet", theirs, {"name": "a"})).status_code == 200


@pytest.mark.requirement("limits.tool")
@pytest.mark.parametrize(
    ("also", "counts"),
    [
        ([], False),
        ([("tools/call", "delete")], True),
        ([("tools/call", "other"), ("tools/call", "delete")], True),
        ([("tools/call", "delete"), ("tools/call", "delete")], True),
        ([("prompts/get", "delete")], False),
        ([("tools/call", "Delete")], False),
    ],
)
def test_a_call_counts_for_every_name_of_its_tool(also: list[tuple[str, str]], *, counts: bool) -> None:
    limits = UserLimits(NO_LIMITS, {"delete": ToolLimit(calls_per_minute=2)}, lambda: NOW)
    caller = Principal(issuer="i", subject="s", client="c", scopes=frozenset(), expires_at=NOW + 60.0)
    message = {"method": "tools/call", "params": {"name": "alias"}}

    def call() -> bool:
        slot = RequestSlot(limits)
        try:
            slot.begin(caller, "POST")
            slot.begin_message(message, also)
        except RateLimited:
            return False
        finally:
            slot.end()
        return True

    assert [call() for _ in range(3)] == [True, True, not counts]


@pytest.mark.requirement("limits.tool")
async def test_a_call_without_the_required_scope_does_not_count(tmp_path: Path) -> None:
    text = Settings().access_file.read_text() + "\ntool_limits:\n  whoami: {calls_per_minute: 1}\n"
    (tmp_path / "access.yaml").write_text(text)
    async with site(access_file=tmp_path / "access.yaml") as server:
        rejected = server.issuer.token(scope="openid", mcp_roles=...)
        assert await server.statuses(HOME, 3, rejected) == [403] * 3
        assert await server.statuses(HOME, 2, server.issuer.token()) == [200, 429]


async def test_without_limits_nothing_is_rejected_or_counted() -> None:
    async with site() as server:
        assert set(await server.statuses(ATTACKER, 300)) == {401}
        assert set(await server.statuses(ATTACKER, 300, server.issuer.token())) == {200}


async def test_the_defaults_are_reached_by_floods_and_not_by_normal_use() -> None:
    issuer, clock = Issuer(), FakeClock(at=NOW)
    async with issuer.http() as http:
        app = create_app(Settings(), clock=clock.clock, http=http)
        async with lifespan(app):
            server = Site(app, issuer, clock)
            assert set(await server.statuses(HOME, 200)) == {401}
            assert set(await server.statuses(HOME, 500, issuer.token())) == {200}
            assert (await server.statuses(ATTACKER, 1001))[-1] == 429
