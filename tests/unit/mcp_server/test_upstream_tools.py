"""The example tool that calls a downstream API, and the compose file that starts one."""

from __future__ import annotations

import json
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest
import yaml

from mcp_idp.config.settings import Settings
from mcp_server.app import create_app
from tests.support.access_files import access_file
from tests.support.app import Calls, FakeClock, lifespan
from tests.support.certificates import certificate as certificate_for
from tests.support.http_server import Handler, listening
from tests.support.mcp_calls import events
from tests.support.token_exchange import Exchanging

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.anyio
ROOT = Path(__file__).parents[3]
CALLER_INFO = {
    "subject": "4f0c",
    "client": "http://localhost:3000/mcp",
    "audience": "orders-api",
    "scopes": ["orders.read"],
}


class Api:
    """An API on a free port with a constant response, which records the tokens."""

    def __init__(self, status: int, body: bytes) -> None:
        self.status = status
        self.body = body
        self.displayed: list[str | None] = []
        self.url = ""

    @contextmanager
    def listening(self, certificate: Path | None = None) -> Iterator[Api]:
        api = self

        class OrdersHandler(Handler):
            def respond(self) -> None:
                api.displayed.append(self.headers.get("authorization"))
                self.send(api.status, api.body, location=f"{api.url}elsewhere")

        with listening(OrdersHandler, certificate=certificate) as port:
            self.url = f"https://localhost:{port}/" if certificate else f"http://127.0.0.1:{port}/"
            yield self


async def _call_tool(
    folder: Path, url: str | None, audience: str = "orders-api", ca_file: Path | None = None
) -> tuple[dict[str, Any], str]:
    """Calls the tool with this API in the access file; returns its result and the caller's token."""
    upstreams = {"orders-api": {"name": "Orders", **({"url": url} if url else {})}, "silent": {"name": "No address"}}
    settings = Settings(access_file=access_file(folder, upstreams=upstreams), client_secret="s3cret", ca_file=ca_file)
    issuer = Exchanging()
    async with issuer.http() as http:
        app = create_app(settings, clock=FakeClock().clock, http=http)
        transport = httpx.ASGITransport(app)
        async with lifespan(app), httpx.AsyncClient(transport=transport, base_url="http://localhost:3000") as client:
            token = issuer.token()
            response = await Calls(client).call("upstream_whoami", token, {"audience": audience})
            return events(response)[-1], token


@pytest.mark.requirement("downstream_api.user")
async def test_the_api_gets_the_exchanged_token_and_not_the_callers(tmp_path: Path) -> None:
    with Api(200, json.dumps(CALLER_INFO).encode()).listening() as api:
        response, token = await _call_tool(tmp_path, api.url)
    assert response["result"]["structuredContent"] == CALLER_INFO
    assert api.displayed == ["Bearer given"]
    assert token not in str(api.displayed)


@pytest.mark.requirement("downstream_api.user")
@pytest.mark.parametrize(
    ("status", "body"), [(401, b"{}"), (302, b"{}"), (200, b"[]"), (200, b"{"), (200, b"{}"), (500, b"given")]
)
async def test_an_api_that_does_not_answer_is_a_tool_error(status: int, body: bytes, tmp_path: Path) -> None:
    with Api(status, body).listening() as api:
        response, _ = await _call_tool(tmp_path, api.url)
    assert response["result"]["isError"] is True
    assert "orders-api returned no usable response" in str(response)
    assert "Bearer" not in str(response)
    assert len(api.displayed) == 1  # no redirect is followed


@pytest.mark.requirement("settings.ca_file", "downstream_api.user")
@pytest.mark.parametrize("named", [True, False])
async def test_a_downstream_api_is_called_where_its_certificate_is_of_the_authority(
    tmp_path: Path, *, named: bool
) -> None:
    pem = tmp_path / "server.pem"
    pem.write_bytes(certificate_for("localhost"))
    with Api(200, json.dumps(CALLER_INFO).encode()).listening(pem) as api:
        response, _ = await _call_tool(tmp_path, api.url, ca_file=pem if named else None)
    assert response["result"]["isError"] is not named
    assert api.displayed == ["Bearer given"] * named


@pytest.mark.requirement("downstream_api.user")
async def test_only_an_api_with_an_address_is_called(tmp_path: Path) -> None:
    with Api(200, b"{}").listening() as api:
        response, _ = await _call_tool(tmp_path, api.url, "silent")
        assert api.displayed == []
    assert "unknown API; available: orders-api" in str(response)


async def test_without_an_address_there_is_no_such_tool(tmp_path: Path) -> None:
    response, _ = await _call_tool(tmp_path, None)
    assert "Unknown tool" in str(response)


def test_the_api_of_the_stack_is_locked_and_published_nowhere() -> None:
    content = yaml.safe_load((ROOT / "docker-compose.upstream.yml").read_text(encoding="utf-8"))
    (api,) = content["services"].values()
    locked = ("cap_drop", "security_opt", "read_only", "mem_limit", "pids_limit", "restart")
    server = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))["services"]["mcp-server"]
    assert {name: api[name] for name in locked} == {name: server[name] for name in locked}
    assert "ports" not in api
    assert api["build"] == server["build"]
    urls = ("OAUTH_SERVER_URL", "OAUTH_INTERNAL_URL")
    issuer = {name: server["environment"][name] for name in urls}
    (service,) = content["services"]
    host = f"{service}:{api['entrypoint'][-1]}"
    assert api["environment"] == {**issuer, "ALLOWED_HOSTS": host}
    example = (ROOT / "idp-config" / "access.yaml").read_text(encoding="utf-8")
    assert f"#     url: http://{host}/orders " in example
