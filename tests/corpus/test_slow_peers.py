"""Responses that begin and never end, or never begin: a command ends by itself, by its own bounds of time."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import httpx
import pytest

from mcp_idp.cli.bootstrap.bounded_http import BoundedTransport, ProviderLimits
from mcp_idp.cli.bootstrap.errors import ProviderUnreachable
from mcp_idp.cli.bootstrap.keycloak.admin_client import AdminClient
from mcp_idp.cli.bootstrap.keycloak.settings import KeycloakSettings
from mcp_idp.cli.common.bounded_transport import ResponseLimits
from mcp_idp.cli.common.console import StepReporter
from mcp_idp.cli.common.http_client import create_client
from mcp_idp.cli.common.redaction import Redactor
from mcp_idp.cli.common.safe_http import HttpFailure, SafeHttpClient
from mcp_idp.cli.login.flow import run
from mcp_idp.cli.login.form_login import FormLogin
from mcp_idp.cli.login.options import LoginOptions
from mcp_idp.testing.corpus import peers
from mcp_idp.testing.corpus.peers import HostilePeer, PeerResponse
from tests.support.compose_stack import REPOSITORY
from tests.support.fake_mcp_server import PASSWORD
from tests.support.hostile_peer import hostile

if TYPE_CHECKING:
    from collections.abc import Iterator

    import httpx2

ACCESS = str(REPOSITORY / "idp-config" / "access.yaml")
LIMITS = ResponseLimits(seconds=0.3, stream_seconds=0.5, total_seconds=1.5)
END = threading.Event()
BODIES = {"a body that never begins": (), "a body that never ends": (b'{"issuer":', b" "), "one byte": (b" ",)}
PATHS = [peers.RESOURCE, peers.PROVIDER, peers.REGISTRATION, peers.AUTHORIZATION, peers.LOGIN, peers.TOKEN, peers.MCP]


@pytest.fixture(autouse=True)
def end() -> Iterator[None]:
    END.clear()
    yield
    END.set()


def _never(chunks: tuple[bytes, ...]) -> Iterator[bytes]:
    yield from chunks
    END.wait()


def _peer(path: str, chunks: tuple[bytes, ...], kind: str = "application/json") -> HostilePeer:
    response = PeerResponse(headers=(("content-type", kind),), body=lambda: _never(chunks))
    return HostilePeer(name="slow", source="A7", path=path, respond=lambda _: response)


async def _login(url: str, issuer: str) -> int:
    reporter = StepReporter(None, Redactor())
    plan = LoginOptions(url=url, user="ada", issuer=issuer, limits=LIMITS)

    def by_form(pages: httpx2.AsyncClient) -> FormLogin:
        return FormLogin(reporter, pages, "ada", PASSWORD, issuer=issuer)

    return (await run(plan, reporter, by_form)).exit_code


@pytest.mark.requirement("corpus.peers")
@pytest.mark.anyio
@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("body", BODIES)
async def test_a_login_ends_where_a_response_does_not(path: str, body: str) -> None:
    with hostile(_peer(path, BODIES[body])) as observed:
        assert await _login(f"{observed.names.own}/mcp", observed.names.own) in {3, 4, 5, 7}
        assert observed.hit
        END.set()


@pytest.mark.anyio
@pytest.mark.parametrize("chunks", [(), (b": comment\n\n",), (b"data: {}\n\n",) * 100, (b"data: ",), (b"id: 1\n\n",)])
async def test_a_login_ends_where_an_event_stream_does_not(chunks: tuple[bytes, ...]) -> None:
    with hostile(_peer(peers.MCP, chunks, "text/event-stream")) as observed:
        assert await _login(f"{observed.names.own}/mcp", observed.names.own) in {3, 7}
        END.set()


@pytest.mark.anyio
async def test_a_login_ends_where_the_response_is_one_to_another_request() -> None:
    reply = {"jsonrpc": "2.0", "id": "another", "result": {"resultType": "complete"}}
    row = HostilePeer(name="another id", source="MCP", path=peers.MCP, respond=lambda _: peers.as_json(reply))
    with hostile(row) as observed:
        assert await _login(f"{observed.names.own}/mcp", observed.names.own) in {3, 7}


@pytest.mark.anyio
@pytest.mark.parametrize("body", BODIES)
async def test_a_check_ends_where_a_response_does_not(body: str) -> None:
    with hostile(_peer(peers.RESOURCE, BODIES[body])) as observed:
        async with create_client({}, limits=LIMITS) as http:
            result = await SafeHttpClient(http, observed.names.own).get(observed.names.own + peers.RESOURCE)
        assert result.fault is HttpFailure.TOO_SLOW
        END.set()


@pytest.mark.anyio
async def test_many_slow_responses_end_with_the_total_time() -> None:
    with hostile(_peer(peers.RESOURCE, ())) as observed:
        async with create_client({}, limits=ResponseLimits(seconds=0.2, total_seconds=0.3)) as http:
            client = SafeHttpClient(http, observed.names.own)
            for _ in range(500):
                result = await client.get(observed.names.own + peers.RESOURCE)
                assert result.fault is HttpFailure.TOO_SLOW
        END.set()


def _read_realm(client: AdminClient) -> None:
    client.log_in(0)
    client.get()


@pytest.mark.parametrize("body", BODIES)
@pytest.mark.parametrize("path", [peers.ADMIN, peers.ADMIN_TOKEN])
def test_the_bootstrap_ends_where_a_response_does_not(path: str, body: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACCESS_FILE", ACCESS)
    with hostile(_peer(path, BODIES[body])) as observed:
        variables = {
            "OAUTH_SERVER_URL": f"{observed.names.own}/realms/mcp",
            "KEYCLOAK_ADMIN_CLIENT_SECRET": "s" * 43,
            "ACCESS_FILE": ACCESS,
        }
        client = AdminClient(KeycloakSettings.load(variables, "check"), limits=ProviderLimits(seconds=0.3))
        with pytest.raises(ProviderUnreachable):
            _read_realm(client)
        END.set()


@pytest.mark.parametrize("body", BODIES)
def test_a_verification_ends_where_a_response_does_not(body: str) -> None:

    with hostile(_peer(peers.RESOURCE, BODIES[body])) as observed:
        transport = BoundedTransport(httpx.Client(), ProviderLimits(seconds=0.3))
        with httpx.Client(transport=transport) as http, pytest.raises(httpx.ReadTimeout):
            http.get(observed.names.own + peers.RESOURCE)
        END.set()
