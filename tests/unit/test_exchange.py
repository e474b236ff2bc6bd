"""Tokens for other APIs, in exchange for the caller's."""

from __future__ import annotations

import base64
from collections.abc import Callable  # noqa: TC003 - in a dataclass
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

import httpx
import pytest
from structlog.testing import capture_logs

from mcp_server import tools
from mcp_server.app import create_app
from mcp_server.caller import upstream_token
from mcp_server.environment import SettingsError
from mcp_server.exchange import ACCESS_TOKEN, GRANT
from mcp_server.registry import tool
from mcp_server.settings import Settings
from tests.unit.issuer import Issuer
from tests.unit.running import Calls, HeldClock, lifespan
from tests.unit.test_tools import events, initialized, legacy_call

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

pytestmark = pytest.mark.anyio
ENDPOINT = "/realms/mcp/protocol/openid-connect/token"


def _given(**changes: Any) -> dict[str, Any]:
    answer = {"access_token": "given", "token_type": "Bearer", "issued_token_type": ACCESS_TOKEN, "expires_in": 300}
    return {name: value for name, value in {**answer, **changes}.items() if value is not ...}


@dataclass
class Exchanging(Issuer):
    """A provider that exchanges; `asked` are the forms it got."""

    answers: Callable[[], httpx.Response] = lambda: httpx.Response(200, json=_given())
    asked: list[dict[str, str]] = field(default_factory=list)
    shown: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.metadata = {"token_endpoint": f"{self.url}/protocol/openid-connect/token"}

    async def answer(self, request: httpx.Request) -> httpx.Response:
        if request.url.path != ENDPOINT:
            return await super().answer(request)
        self.asked.append({name: values[0] for name, values in parse_qs(request.content.decode()).items()})
        self.shown.append(request.headers["authorization"])
        answer = self.answers()
        return httpx.Response(answer.status_code, stream=httpx.ByteStream(answer.content))


@dataclass
class Server(Calls):
    issuer: Exchanging
    clock: HeldClock


@asynccontextmanager
async def _running(
    monkeypatch: pytest.MonkeyPatch, provider: Exchanging | None = None, /, **settings: Any
) -> AsyncIterator[Server]:
    """Our server with one more tool, which tells the token it got for its argument."""

    @tool(title="Exchange")
    async def exchange(audience: str, scopes: str = "") -> str:
        """Exchange."""
        return await upstream_token(audience, *scopes.split())

    monkeypatch.setattr(tools, "exchange", exchange, raising=False)
    issuer, clock = provider or Exchanging(), HeldClock()
    chosen = {"token_exchange": True, "client_secret": "s3cret", **settings}
    async with issuer.http() as http:
        app = create_app(Settings(**chosen), clock=clock.clock, http=http)
        transport = httpx.ASGITransport(app)
        async with lifespan(app), httpx.AsyncClient(transport=transport, base_url="http://localhost:3000") as client:
            yield Server(client, issuer, clock)


def _text(answer: httpx.Response) -> str:
    return str(events(answer)[-1]["result"]["content"][0]["text"])


@pytest.mark.requirement("exchange.asks")
async def test_a_tool_gets_a_token_for_another_api_and_the_provider_is_asked_as_this_server(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with _running(monkeypatch) as server:
        token = server.issuer.token()
        arguments = {"audience": "https://orders.example/api", "scopes": "orders:read"}
        modern = await server.call("exchange", token, arguments)
        legacy = await legacy_call(server, await initialized(server, token), "exchange", **arguments)  # type: ignore[arg-type]  # it posts
    assert (_text(modern), _text(legacy)) == ("given", "given")
    assert server.issuer.asked == [
        {
            "grant_type": GRANT,
            "subject_token": token,
            "subject_token_type": ACCESS_TOKEN,
            "requested_token_type": ACCESS_TOKEN,
            "audience": "https://orders.example/api",
            "scope": "orders:read",
        }
    ]  # once: the second use is remembered
    pair = base64.b64decode(server.issuer.shown[0].removeprefix("Basic ")).decode()
    assert pair == "http%3A%2F%2Flocalhost%3A3000%2Fmcp:s3cret"


@pytest.mark.requirement("exchange.remembers")
async def test_what_is_remembered_is_of_this_token_audience_and_scopes_and_ends(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with _running(monkeypatch) as server:
        one, other = server.issuer.token(), server.issuer.token(sub="bob")
        for token, audience, scopes in (
            (one, "a", ""),
            (other, "a", ""),
            (one, "b", ""),
            (one, "a", "x"),
            (one, "a", ""),
        ):
            await server.call("exchange", token, {"audience": audience, "scopes": scopes})
        assert len(server.issuer.asked) == 4
        server.clock.forward(289)
        await server.call("exchange", one, {"audience": "a"})
        assert len(server.issuer.asked) == 4
        server.clock.forward(2)
        await server.call("exchange", one, {"audience": "a"})
        assert len(server.issuer.asked) == 5


@pytest.mark.requirement("exchange.remembers")
async def test_an_audience_that_holds_a_line_end_is_not_another_audience_with_a_scope(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with _running(monkeypatch) as server:
        token = server.issuer.token()
        await server.call("exchange", token, {"audience": "a", "scopes": "x"})
        await server.call("exchange", token, {"audience": "x\na"})
    assert [form["audience"] for form in server.issuer.asked] == ["a", "x\na"]


@pytest.mark.requirement("exchange.refused")
@pytest.mark.parametrize(
    "answer",
    [
        lambda: httpx.Response(400, json={"error": "invalid_target"}),
        lambda: httpx.Response(200, content=b"[]"),
        lambda: httpx.Response(200, content=b"{"),
        lambda: httpx.Response(200, json=_given(access_token=...)),
        lambda: httpx.Response(200, json=_given(access_token="")),
        lambda: httpx.Response(200, json=_given(access_token=7)),
        lambda: httpx.Response(200, json=_given(token_type="DPoP")),
        lambda: httpx.Response(200, json=_given(token_type=...)),
        lambda: httpx.Response(200, json=_given(issued_token_type="urn:ietf:params:oauth:token-type:id_token")),
        lambda: httpx.Response(302, headers={"location": "https://evil.example"}),
    ],
)
async def test_a_refusal_is_a_tool_error_that_tells_no_token(
    answer: Callable[[], httpx.Response], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async with _running(monkeypatch) as server:
        server.issuer.answers = answer
        token = server.issuer.token()
        with capture_logs() as logs:
            result = await server.call("exchange", token, {"audience": "a"})
    (told,) = [line for line in logs if line["event"] == "no token in exchange"]
    assert (told["log_level"], told["audience"]) == ("warning", "'a'")
    assert told["fault"]
    assert not any(secret in str(logs) for secret in (token, "s3cret"))
    assert events(result)[-1]["result"]["isError"] is True
    assert "the identity provider gave" in _text(result)
    out = "".join(capsys.readouterr())
    assert token not in result.text + out
    assert "s3cret" not in result.text + out


@pytest.mark.requirement("exchange.no_passing_on")
async def test_a_provider_that_gives_the_same_token_back_passes_nothing_on(monkeypatch: pytest.MonkeyPatch) -> None:
    async with _running(monkeypatch) as server:
        token = server.issuer.token()
        server.issuer.answers = lambda: httpx.Response(200, json=_given(access_token=token))
        answer = await server.call("exchange", token, {"audience": "a"})
    assert "gave no new token" in _text(answer)


@pytest.mark.requirement("exchange.remembers")
@pytest.mark.parametrize("expires_in", [..., "300", True, 5, pytest.param(10**400, id="endless")])
async def test_a_token_without_a_usable_end_is_used_once(expires_in: object, monkeypatch: pytest.MonkeyPatch) -> None:
    async with _running(monkeypatch) as server:
        server.issuer.answers = lambda: httpx.Response(200, json=_given(expires_in=expires_in))
        for _ in range(2):
            assert _text(await server.call("exchange", server.issuer.token(), {"audience": "a"})) == "given"
    assert len(server.issuer.asked) == 2


@pytest.mark.requirement("exchange.only_if_asked_for")
async def test_without_the_setting_no_tool_reaches_a_token(monkeypatch: pytest.MonkeyPatch) -> None:
    async with _running(monkeypatch, token_exchange=False) as server:
        answer = await server.call("exchange", server.issuer.token(), {"audience": "a"})
    assert events(answer)[-1]["result"]["isError"] is True
    assert server.issuer.asked == []
    with pytest.raises(LookupError):
        await upstream_token("a")
    with pytest.raises(SettingsError, match="TOKEN_EXCHANGE=true: needs OAUTH_CLIENT_SECRET"):
        Settings.load({"TOKEN_EXCHANGE": "true"})


@pytest.mark.requirement("exchange.refused")
async def test_a_provider_without_a_token_endpoint_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    async with _running(monkeypatch) as server:
        server.issuer.metadata = {}
        answer = await server.call("exchange", server.issuer.token(), {"audience": "a"})
    assert "gave no token for a" in _text(answer)


@pytest.mark.requirement("exchange.refused")
@pytest.mark.parametrize("named", ["ftp://localhost/token", 7, "nonsense"])
async def test_a_token_endpoint_that_cannot_be_used_ends_the_exchange_and_nothing_else(
    named: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    unusable = Exchanging()
    unusable.metadata = {"token_endpoint": named}
    async with _running(monkeypatch, unusable) as server:
        token = server.issuer.token()
        answer = await server.call("exchange", token, {"audience": "a"})
    assert "gave no token for a" in _text(answer)  # the keys were had all the same
