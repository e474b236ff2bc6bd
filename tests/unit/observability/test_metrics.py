"""Metrics as Prometheus reads them: what is counted, and that no client can add a series."""

from __future__ import annotations

import re
import secrets
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest

from mcp_idp.config import load_settings
from mcp_idp.config.env import SettingsError
from mcp_idp.config.metrics_settings import MetricsSettings
from mcp_idp.observability.metrics_export import open_metrics_export
from mcp_server.app import create_app
from tests.support.app import lifespan, running
from tests.support.compose_stack import free_port

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.support.app import Running

pytestmark = pytest.mark.anyio
PAGE = Path(__file__).parents[3] / "docs" / "metrics.md"
_SAMPLE = re.compile(r"(\w+)(?:\{(.*)\})? (\S+)")


class Scraped:
    """The samples of one scrape."""

    def __init__(self, text: str) -> None:
        self.text = text
        lines = (_SAMPLE.fullmatch(line) for line in text.splitlines() if not line.startswith("#"))
        self.samples = [
            (match[1], dict(re.findall(r'(\w+)="([^"]*)"', match[2] or "")), float(match[3]))
            for match in lines
            if match
        ]

    def total(self, name: str, **labels: str) -> float:
        """Returns the sum of the samples of this name that have these labels."""
        return sum(
            float(value) for found, has, value in self.samples if found == name and labels.items() <= has.items()
        )

    @property
    def series(self) -> set[tuple[str, frozenset[tuple[str, str]]]]:
        return {(name, frozenset(labels.items())) for name, labels, _ in self.samples}


async def scrape(port: int) -> Scraped:
    async with httpx.AsyncClient(trust_env=False) as http:
        response = await http.get(f"http://127.0.0.1:{port}/metrics")
    assert response.status_code == 200
    return Scraped(response.text)


@pytest.fixture
async def measured(tmp_path: Path) -> AsyncIterator[tuple[Running, int]]:
    port = free_port()
    async with running(metrics=MetricsSettings(port=port), audit_log=str(tmp_path / "audit")) as server:
        yield server, port


async def test_requests_calls_and_rejections_are_counted(measured: tuple[Running, int]) -> None:
    server, port = measured
    token = server.issuer.token()
    assert (await server.call("greet", token, {"name": "Ada"})).status_code == 200
    assert (await server.call("note_add", token, {"text": "x"})).status_code == 403
    assert (await server.post(server.issuer.token(aud="http://other"))).status_code == 401
    assert (await server.client.post("/mcp")).status_code == 401
    assert (await server.client.get("/readyz")).status_code == 200
    found = await scrape(port)
    count = "http_server_request_duration_seconds_count"
    assert found.total(count, http_route="/mcp", http_response_status_code="401") == 2
    assert found.total(count, http_route="/mcp", http_response_status_code="403") == 1
    assert found.total(count, http_route="/readyz", http_request_method="GET") == 1
    assert found.total("http_server_active_requests") == 0
    operations = "mcp_server_operation_duration_seconds_count"
    assert found.total(operations, mcp_method_name="tools/call", gen_ai_tool_name="greet") == 1
    assert found.total(operations) == 1
    rejected = "mcp_idp_requests_rejected_total"
    assert {has["reason"]: value for name, has, value in found.samples if name == rejected} == {
        "insufficient_role": 1,
        "audience": 1,
        "missing_authorization": 1,
    }


async def test_the_state_of_the_parts_is_read_when_it_is_asked_for(measured: tuple[Running, int]) -> None:
    server, port = measured
    token = server.issuer.token()
    for _ in range(3):
        await server.post(token)
    server.clock.forward(7)
    found = await scrape(port)
    assert found.total("mcp_idp_token_cache_lookups_total", result="miss") == 1
    assert found.total("mcp_idp_token_cache_lookups_total", result="hit") == 2
    assert found.total("mcp_idp_jwks_age_seconds") == 7
    assert found.total("mcp_idp_jwks_fetches_total", outcome="success") == 1
    assert found.total("mcp_idp_jwks_fetches_total", outcome="failure") == 0
    assert found.total("mcp_idp_audit_available") == 1
    parts = {has["part"] for name, has, _ in found.samples if name == "mcp_idp_memory_usage"}
    assert parts == {"requests", "sessions", "verified_tokens"}


async def test_no_client_can_add_a_series_and_none_names_a_user_a_client_or_an_argument(
    measured: tuple[Running, int],
) -> None:
    server, port = measured

    async def send(text: str) -> None:
        token = server.issuer.token(sub=f"user-{text}", azp=f"client-{text}", jti=text)
        await server.call("greet", token, {"name": f"argument-{text}"})
        await server.call(f"tool-{text}", token, {})
        await server.client.request(f"VERB{text}".upper(), f"/path-{text}", headers={"x-more": text})
        await server.client.post("/mcp", json={"jsonrpc": "2.0", "id": text, "method": f"method-{text}"})
        await server.post(server.issuer.token(kid=text))
        await server.post(origin=f"https://{text}.example")
        await server.post(host=f"{text}.example")

    await send("first")
    before = await scrape(port)
    for _ in range(20):
        await send(secrets.token_hex(4))
    after = await scrape(port)
    assert after.series == before.series
    assert not re.search("first|user-|client-|argument|eyJ", after.text)
    assert after.total("http_server_request_duration_seconds_count", http_request_method="_OTHER") == 21


async def test_the_page_lists_every_metric_and_its_labels(measured: tuple[Running, int]) -> None:
    server, port = measured
    await server.call("greet", server.issuer.token(), {"name": "Ada"})
    await server.client.post("/mcp")
    text = (await scrape(port)).text
    exported = {name for name, kind in re.findall(r"^# TYPE (\w+) (\w+)$", text, re.MULTILINE)} - {"target_info"}
    listed = set(re.findall(r"^\| `([a-z]\w+)`", PAGE.read_text(encoding="utf-8"), re.MULTILINE))
    assert listed - exported <= {"http_client_request_duration_seconds"}  # this issuer is asked in process
    assert exported <= listed


async def test_requests_to_the_provider_are_measured() -> None:
    port, provider = free_port(), free_port()
    app = create_app(
        load_settings({"OAUTH_SERVER_URL": f"http://localhost:{provider}/realms/x", "METRICS_PORT": str(port)})
    )
    async with lifespan(app):
        for _ in range(100):
            found = await scrape(port)
            if found.total("mcp_idp_jwks_fetches_total", outcome="failure"):
                break
    labels = {"server_address": "localhost", "http_request_method": "GET", "error_type": "ConnectError"}
    assert found.total("http_client_request_duration_seconds_count", **labels) >= 1


async def test_a_port_that_is_in_use_ends_the_start() -> None:
    port = free_port()
    export = open_metrics_export(MetricsSettings(port=port))
    assert export is not None
    await export.listen()
    try:
        other = open_metrics_export(MetricsSettings(port=port))
        assert other is not None
        with pytest.raises(SettingsError, match=rf"METRICS_PORT={port}: cannot listen on 127\.0\.0\.1"):
            await other.listen()
    finally:
        await export.close()
    with pytest.raises(httpx.ConnectError):
        await scrape(port)


def test_metrics_are_off_by_default_and_import_nothing() -> None:
    code = (
        "import sys; from mcp_server.app import create_app; from mcp_idp import load_settings;"
        "create_app(load_settings({}));"
        "print([n for n in sys.modules if n.startswith(('opentelemetry.sdk', 'opentelemetry.exporter', 'prometheus'))])"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert ended.stdout == "[]\n"
    assert open_metrics_export(MetricsSettings()) is None


def test_metrics_without_their_packages_name_the_command_that_installs_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.metrics", None)
    with pytest.raises(SettingsError, match=r"pip install 'mcp-idp\[otel\]'"):
        open_metrics_export(MetricsSettings(port=free_port()))


@pytest.mark.parametrize("value", ["-1", "65536", "http", "9464/tcp"])
def test_a_port_that_cannot_be_is_rejected(value: str) -> None:
    with pytest.raises(SettingsError, match="METRICS_PORT"):
        load_settings({"METRICS_PORT": value})
