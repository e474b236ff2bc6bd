"""Token exchange for downstream APIs."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Callable  # noqa: TC003 - in a dataclass
from contextlib import asynccontextmanager
from contextvars import copy_context
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from structlog.testing import capture_logs

from mcp_idp.access.models import DownstreamApi
from mcp_idp.auth.context import exchange_token
from mcp_idp.config.env import SettingsError
from mcp_idp.config.settings import Settings
from mcp_idp.mcp_protocol.registry import tool
from mcp_idp.oauth.token_exchange import ACCESS_TOKEN, GRANT_TYPE, LIMITS, TokenExchange, TokenExchangeError
from mcp_idp.observability.audit import AuditLog
from mcp_idp.principal import Principal
from mcp_idp.testing.issuer import NOW
from mcp_server import tools
from mcp_server.app import create_app
from tests.support.access_files import access_file
from tests.support.app import Calls, FakeClock, lifespan
from tests.support.mcp_calls import events, initialized, legacy_call
from tests.support.outcomes import settle
from tests.support.token_exchange import Exchanging, _token_response

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Coroutine
    from pathlib import Path

pytestmark = pytest.mark.anyio
ORDERS = "https://orders.example/api"
_SCOPE = {"description": "Orders", "roles": ["mcp-reader"]}
UPSTREAMS = {
    ORDERS: {"name": "Orders", "scopes": {"orders:read": _SCOPE, "orders:list": _SCOPE}},
    "a": {"name": "A"},
    "b": {"name": "B"},
}


@dataclass
class Server(Calls):
    issuer: Exchanging
    clock: FakeClock


@asynccontextmanager
async def _running(
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    provider: Exchanging | None = None,
    /,
    upstreams: dict[str, Any] | None = None,
    **settings: Any,
) -> AsyncIterator[Server]:
    """Starts our server with an additional tool, which returns the exchanged token."""

    @tool(title="Exchange")
    async def exchange(audience: str, scopes: str = "") -> str:
        """Exchange."""
        return await exchange_token(audience, *scopes.split())

    monkeypatch.setattr(tools, "exchange", exchange, raising=False)
    issuer, clock = provider or Exchanging(), FakeClock()
    path = access_file(folder, upstreams=UPSTREAMS if upstreams is None else upstreams)
    chosen = {"access_file": path, "client_secret": "s3cret", **settings}
    async with issuer.http() as http:
        app = create_app(Settings(**chosen), clock=clock.clock, http=http)
        transport = httpx.ASGITransport(app)
        async with lifespan(app), httpx.AsyncClient(transport=transport, base_url="http://localhost:3000") as client:
            yield Server(client, issuer, clock)


def _text(response: httpx.Response) -> str:
    return str(events(response)[-1]["result"]["content"][0]["text"])


@pytest.mark.requirement("token_exchange.request")
async def test_a_tool_gets_a_token_for_a_downstream_api_by_an_exchange_as_this_server(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with _running(tmp_path, monkeypatch) as server:
        token = server.issuer.token()
        arguments = {"audience": "https://orders.example/api", "scopes": "orders:read"}
        modern = await server.call("exchange", token, arguments)
        legacy = await legacy_call(server, await initialized(server, token), "exchange", **arguments)  # type: ignore[arg-type]  # it posts
    assert (_text(modern), _text(legacy)) == ("given", "given")
    assert server.issuer.requests == [
        {
            "grant_type": GRANT_TYPE,
            "subject_token": token,
            "subject_token_type": ACCESS_TOKEN,
            "requested_token_type": ACCESS_TOKEN,
            "audience": "https://orders.example/api",
            "scope": "orders:read",
        }
    ]  # once: the second use hits the cache
    pair = base64.b64decode(server.issuer.displayed[0].removeprefix("Basic ")).decode()
    assert pair == "http%3A%2F%2Flocalhost%3A3000%2Fmcp:s3cret"


async def test_exchanged_tokens_are_cached_by_token_audience_and_scopes_until_they_expire(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with _running(tmp_path, monkeypatch) as server:
        one, other = server.issuer.token(), server.issuer.token(sub="bob")
        for token, audience, scopes in (
            (one, "a", ""),
            (other, "a", ""),
            (one, "b", ""),
            (one, "a", "x"),
            (one, "a", ""),
        ):
            await server.call("exchange", token, {"audience": audience, "scopes": scopes})
        assert len(server.issuer.requests) == 4
        server.clock.forward(289)
        await server.call("exchange", one, {"audience": "a"})
        assert len(server.issuer.requests) == 4
        server.clock.forward(2)
        await server.call("exchange", one, {"audience": "a"})
        assert len(server.issuer.requests) == 5


@pytest.mark.requirement("token_exchange.rejected")
@pytest.mark.parametrize(
    "response",
    [
        lambda: httpx.Response(400, json={"error": "invalid_target"}),
        lambda: httpx.Response(200, content=b"[]"),
        lambda: httpx.Response(200, content=b"{"),
        lambda: httpx.Response(200, json=_token_response(access_token=...)),
        lambda: httpx.Response(200, json=_token_response(access_token="")),
        lambda: httpx.Response(200, json=_token_response(access_token=7)),
        lambda: httpx.Response(200, json=_token_response(token_type="DPoP")),
        lambda: httpx.Response(200, json=_token_response(token_type=...)),
        lambda: httpx.Response(
            200, json=_token_response(issued_token_type="urn:ietf:params:oauth:token-type:id_token")
        ),
        lambda: httpx.Response(302, headers={"location": "https://evil.example"}),
    ],
)
async def test_a_rejected_token_exchange_is_a_tool_error_without_the_token(
    response: Callable[[], httpx.Response],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    async with _running(tmp_path, monkeypatch) as server:
        server.issuer.responses = response
        token = server.issuer.token()
        with capture_logs() as logs:
            result = await server.call("exchange", token, {"audience": "a"})
    (event,) = [line for line in logs if line["event"] == "token_exchange_failed"]
    assert (event["log_level"], event["audience"]) == ("warning", "a")
    assert event["error"]
    assert not any(secret in str(logs) for secret in (token, "s3cret"))
    assert events(result)[-1]["result"]["isError"] is True
    assert "the identity provider issued" in _text(result)
    out = "".join(capsys.readouterr())
    assert token not in result.text + out
    assert "s3cret" not in result.text + out


@pytest.mark.requirement("token_exchange.no_passthrough")
async def test_a_provider_that_returns_the_same_token_causes_no_passthrough(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with _running(tmp_path, monkeypatch) as server:
        token = server.issuer.token()
        server.issuer.responses = lambda: httpx.Response(200, json=_token_response(access_token=token))
        response = await server.call("exchange", token, {"audience": "a"})
    assert "issued no new token" in _text(response)


@pytest.mark.parametrize("expires_in", [..., "300", True, 5, pytest.param(10**399, id="endless")])
async def test_a_token_without_a_usable_end_is_used_once(
    tmp_path: Path, expires_in: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with _running(tmp_path, monkeypatch) as server:
        server.issuer.responses = lambda: httpx.Response(200, json=_token_response(expires_in=expires_in))
        for _ in range(2):
            assert _text(await server.call("exchange", server.issuer.token(), {"audience": "a"})) == "given"
    assert len(server.issuer.requests) == 2


async def test_without_upstreams_no_tool_reaches_a_token(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with _running(tmp_path, monkeypatch, upstreams={}) as server:
        response = await server.call("exchange", server.issuer.token(), {"audience": "a"})
    assert events(response)[-1]["result"]["isError"] is True
    assert server.issuer.requests == []
    with pytest.raises(LookupError):
        await exchange_token("a")
    path = access_file(tmp_path, upstreams=UPSTREAMS)
    with pytest.raises(SettingsError, match="upstreams needs OAUTH_CLIENT_SECRET"):
        create_app(Settings(access_file=path))
    path = access_file(tmp_path, upstreams={"http://localhost:3000/mcp": {"name": "Ourselves"}})
    with pytest.raises(SettingsError, match="names this server itself: remove it"):
        create_app(Settings(access_file=path, client_secret="s3cret"))


@pytest.mark.parametrize(
    ("audience", "scopes"),
    [("c", ""), ("x\na", ""), ("http://localhost:3000/mcp", ""), (ORDERS, "orders:write"), (ORDERS, "mcp:admin")],
)
async def test_scopes_that_the_access_file_does_not_name_are_not_requested(
    audience: str, scopes: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with _running(tmp_path, monkeypatch) as server:
        response = await server.call("exchange", server.issuer.token(), {"audience": audience, "scopes": scopes})
    assert events(response)[-1]["result"]["isError"] is True
    assert server.issuer.requests == []


async def test_without_scopes_all_that_the_access_file_names_are_requested(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with _running(tmp_path, monkeypatch) as server:
        for audience in (ORDERS, "a"):
            await server.call("exchange", server.issuer.token(), {"audience": audience})
    assert [form.get("scope") for form in server.issuer.requests] == ["orders:list orders:read", None]


@pytest.mark.requirement("token_exchange.expiry")
async def test_nothing_is_exchanged_once_the_callers_token_has_expired(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored: list[Callable[[], Coroutine[Any, Any, str]]] = []

    @tool(title="Keep")
    async def keep_token() -> str:
        """Keep what a task that goes on would have."""
        token = await exchange_token("a")
        here = copy_context()

        async def later() -> str:
            return await asyncio.create_task(exchange_token("a"), context=here)

        stored.append(later)
        return token

    monkeypatch.setattr(tools, "keep_token", keep_token, raising=False)
    async with _running(tmp_path, monkeypatch) as server:
        server.issuer.responses = lambda: httpx.Response(200, json=_token_response(expires_in=3600))
        assert _text(await server.call("keep_token", server.issuer.token())) == "given"
        server.clock.forward(299)
        assert await stored[0]() == "given"
        server.clock.forward(1)
        with pytest.raises(TokenExchangeError, match="has expired"):
            await stored[0]()
        # The leeway is for clock skew: within it the request is accepted, but no token is exchanged.
        late = await server.call("exchange", server.issuer.token(), {"audience": "a"})
    assert "has expired" in _text(late)
    assert len(server.issuer.requests) == 1


@pytest.mark.requirement("token_exchange.expiry")
async def test_a_token_that_expires_during_an_exchange_gets_no_exchanged_token(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with _running(tmp_path, monkeypatch) as server:

        def slow() -> httpx.Response:
            server.clock.forward(301)
            return httpx.Response(200, json=_token_response())

        server.issuer.responses = slow
        response = await server.call("exchange", server.issuer.token(), {"audience": "a"})
    assert "has expired" in _text(response)


async def test_concurrent_exchanges_of_one_token_send_one_request(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with _running(tmp_path, monkeypatch) as server:
        server.issuer.release = asyncio.Event()
        token = server.issuer.token()
        calls = [asyncio.create_task(server.call("exchange", token, {"audience": "a"})) for _ in range(50)]
        await server.issuer.arrived.wait()
        calls[0].cancel()  # a cancelled caller does not cancel the others' exchange
        server.issuer.release.set()
        responses = await asyncio.gather(*calls[1:])
    assert {_text(response) for response in responses} == {"given"}
    assert len(server.issuer.requests) == 1


async def test_a_bounded_number_of_exchanges_runs_and_waits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with _running(tmp_path, monkeypatch) as server:
        server.issuer.release = asyncio.Event()
        calls = [
            asyncio.create_task(server.call("exchange", server.issuer.token(sub=f"person-{n}"), {"audience": "a"}))
            for n in range(LIMITS.in_flight + LIMITS.waiting + 1)
        ]
        done, _ = await asyncio.wait(calls, return_when=asyncio.FIRST_COMPLETED)
        maximum = len(server.issuer.requests)
        server.issuer.release.set()
        responses = [_text(response) for response in await asyncio.gather(*calls)]
    assert (len(done), maximum) == (1, LIMITS.in_flight)
    assert sorted(responses, key=len)[:-1] == ["given"] * (LIMITS.in_flight + LIMITS.waiting)
    assert "issued no token for a" in max(responses, key=len)


async def test_the_exchanges_of_one_user_leave_room_for_those_of_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with _running(tmp_path, monkeypatch) as server:
        server.issuer.release = asyncio.Event()

        def call(subject: str, n: int) -> asyncio.Task[httpx.Response]:
            token = server.issuer.token(sub=subject, jti=str(n), azp=f"client-{n}")
            return asyncio.create_task(server.call("exchange", token, {"audience": "a"}))

        first = [call("first", n) for n in range(LIMITS.in_flight_each + LIMITS.waiting_each + 1)]
        done, _ = await asyncio.wait(first, return_when=asyncio.FIRST_COMPLETED)
        others = [call("other", n) for n in range(LIMITS.in_flight_each)]
        await settle()
        in_progress = len(server.issuer.requests)
        server.issuer.release.set()
        responses = [_text(response) for response in await asyncio.gather(*others)]
        await asyncio.gather(*first)
    assert (len(done), in_progress) == (1, 2 * LIMITS.in_flight_each)
    assert responses == ["given"] * LIMITS.in_flight_each


async def test_what_is_under_way_ends_with_the_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with _running(tmp_path, monkeypatch) as server:
        server.issuer.release = asyncio.Event()
        call = asyncio.create_task(server.call("exchange", server.issuer.token(), {"audience": "a"}))
        await server.issuer.arrived.wait()
    assert not [task for task in asyncio.all_tasks() if task.get_name() == "exchange a token"]
    call.cancel()


async def test_each_exchange_is_one_line_of_the_audit_log_without_tokens(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "audit.jsonl"
    async with _running(tmp_path, monkeypatch, audit_log=str(path)) as server:
        token = server.issuer.token()
        for _ in range(2):
            await server.call("exchange", token, {"audience": ORDERS})
        output = {"error": "invalid_request", "error_description": f"no such audience for {token}"}
        server.issuer.responses = lambda: httpx.Response(400, json=output)
        with capture_logs() as logs:
            await server.call("exchange", token, {"audience": "a"})
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    granted, rejected = [line for line in lines if line["decision"].startswith("exchange")]
    who = {"issuer": server.issuer.url, "subject": "4f0c", "client": "client-1", "method": None, "status": None}
    assert granted.items() >= {**who, "decision": "exchanged", "target": ORDERS, "reason": None}.items()
    assert rejected.items() >= {**who, "decision": "exchange_failed", "target": "a"}.items()
    assert rejected["reason"] == "'invalid_request': 'no such audience for …"
    (warned,) = [line for line in logs if line["event"] == "token_exchange_failed"]
    assert warned["correlation_id"] == rejected["correlation_id"]
    assert token not in path.read_text(encoding="utf-8") + str(logs)
    assert '"given"' not in path.read_text(encoding="utf-8")


async def test_what_cannot_be_audited_is_not_exchanged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    full = False

    def write(_line: str) -> None:
        if full:
            raise OSError

    async with Exchanging().http() as http:
        clock = FakeClock().clock
        settings, upstreams = Settings(client_secret="s3cret"), {"a": DownstreamApi(name="A")}
        exchange = TokenExchange(settings, upstreams, clock, http, AuditLog(write, clock))
        principal = Principal(settings.issuer, "ada", "client", frozenset(), NOW + 300)
        assert await exchange.token(principal, "one", "a", ()) == "given"
        full = True
        with pytest.raises(TokenExchangeError, match="audit log"):
            await exchange.token(principal, "two", "a", ())


@pytest.mark.requirement("token_exchange.rejected")
@pytest.mark.parametrize("client_auth", ["basic", "post"])
async def test_a_user_without_the_role_gets_a_message_and_the_operator_the_details(
    client_auth: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with _running(tmp_path, monkeypatch, client_auth=client_auth) as server:
        texts, alarms = [], []
        for error in ("invalid_request", "invalid_client", ["odd"]):
            server.issuer.responses = partial(httpx.Response, 400, json={"error": error})
            with capture_logs() as logs:
                texts.append(_text(await server.call("exchange", server.issuer.token(), {"audience": "a"})))
            alarms.append([line["hint"] for line in logs if line["log_level"] == "error"])
    assert ["your account may have no role there" in text for text in texts] == [True, False, True]
    assert [len(output) for output in alarms] == [0, 1, 0]
    assert "no token can be exchanged" in alarms[1][0]


@pytest.mark.requirement("token_exchange.rejected")
async def test_a_provider_without_a_token_endpoint_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with _running(tmp_path, monkeypatch) as server:
        server.issuer.metadata = {}
        response = await server.call("exchange", server.issuer.token(), {"audience": "a"})
    assert "issued no token for a" in _text(response)


@pytest.mark.requirement("token_exchange.rejected")
@pytest.mark.parametrize("named", ["ftp://localhost/token", 7, "nonsense"])
async def test_a_token_endpoint_that_cannot_be_used_ends_the_exchange_and_nothing_else(
    tmp_path: Path, named: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    unusable = Exchanging()
    unusable.metadata = {"token_endpoint": named}
    async with _running(tmp_path, monkeypatch, unusable) as server:
        token = server.issuer.token()
        response = await server.call("exchange", token, {"audience": "a"})
    assert "issued no token for a" in _text(response)  # the keys were fetched nevertheless


ACT = {"sub": "agent-1", "iss": "https://agents.example"}
SERVER = {"sub": "server"}


def _issued(**claims: Any) -> str:
    """Returns a token for a downstream API with these claims; the server does not verify it."""
    payload = base64.urlsafe_b64encode(json.dumps(claims).encode()).rstrip(b"=").decode()
    return f"e30.{payload}.c2ln"


@pytest.mark.parametrize(
    ("issued", "is_given"),
    [
        (_issued(act=ACT), True),
        (_issued(act={"sub": "agent-1"}), True),
        (_issued(act={**SERVER, "act": ACT}), True),
        (_issued(act={**SERVER, "act": {"sub": "x", "act": ACT}}), True),
        (_issued(sub="4f0c"), False),
        (_issued(act=None), False),
        (_issued(act=SERVER), False),
        (_issued(act="agent-1"), False),
        (_issued(act=[ACT]), False),
        (_issued(act={"client_id": "agent-1"}), False),
        (_issued(act={**ACT, "iss": "https://other.example"}), False),
        (_issued(act={"sub": "agent-1", "client_id": "another"}), False),
        (_issued(may_act=ACT), False),
        ("opaque", False),
        ("a.b.c", False),
        ("e30.W10.c2ln", False),
        ("a.b.c.d.e", False),
    ],
)
async def test_an_exchange_that_would_lose_the_actor_is_refused(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    issued: str,
    is_given: bool,  # noqa: FBT001 - a row
) -> None:
    provider = Exchanging(responses=lambda: httpx.Response(200, json=_token_response(access_token=issued)))
    path = tmp_path / "audit.jsonl"
    async with _running(tmp_path, monkeypatch, provider, audit_log=str(path)) as server:
        token = server.issuer.token(act=ACT)
        first, second = [await server.call("exchange", token, {"audience": "a"}) for _ in range(2)]
        own = await server.call("exchange", server.issuer.token(), {"audience": "a"})
    assert (_text(first) == issued, _text(second) == issued) == (is_given, is_given)
    assert _text(own) == issued  # nobody acts for this user
    if not is_given:
        assert "does not say who acts" in _text(first)
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    decisions = [line["decision"] for line in lines if line["decision"].startswith("exchange")]
    assert decisions == (
        ["exchanged", "exchanged"] if is_given else ["exchange_failed", "exchange_failed", "exchanged"]
    )
