"""Requests at paths where nothing is served: the body names the exact URL."""

from __future__ import annotations

import pytest
from structlog.testing import capture_logs

from tests.support.app import running
from tests.support.mcp_calls import INITIALIZE

pytestmark = pytest.mark.anyio
URL = "http://localhost:3000/mcp"


@pytest.mark.parametrize("method", ["POST", "GET", "DELETE", "OPTIONS"])
@pytest.mark.parametrize(
    "path", ["/mcp/", "/mcp//", "//mcp", "/MCP", "/mcp/mcp", "/mcp%2F", "/mcp;x", "/v1/mcp", "/api", "/mcp/v1"]
)
async def test_a_path_where_nothing_is_served_names_the_url(method: str, path: str) -> None:
    async with running() as server:
        headers = {"authorization": f"Bearer {server.issuer.token()}"}
        response = await server.client.request(method, f"http://localhost:3000{path}", headers=headers)
    assert response.status_code == 404
    assert response.json()["error_description"].endswith(f"exactly {URL}")
    assert "location" not in response.headers
    assert "www-authenticate" not in response.headers


@pytest.mark.parametrize("method", ["POST", "DELETE"])
async def test_a_client_that_knows_the_origin_only_gets_the_url(method: str) -> None:
    async with running() as server:
        response = await server.client.request(method, "/", json=INITIALIZE)
        page = await server.client.get("/")
    assert response.status_code == 405
    assert response.headers["allow"] == "GET, HEAD"
    assert response.json()["error_description"].endswith(f"exactly {URL}")
    assert page.status_code == 200


@pytest.mark.parametrize("path", ["/mcp/", "/"])
async def test_no_part_of_the_request_is_in_the_body(path: str) -> None:
    async with running(allowed_hosts=("other.example",)) as server:
        response = await server.client.post(f"http://other.example{path}?evil=1", headers={"x-forwarded-host": "evil"})
    assert response.json()["error_description"].endswith(f"exactly {URL}")
    assert "evil" not in response.text
    assert "other" not in response.text


@pytest.mark.parametrize(
    ("headers", "level"),
    [
        ({"host": "evil.example"}, "warning"),
        ({"host": "invalid"}, "warning"),
        ({"host": "a.invalid.example"}, "warning"),
        ({"host": "doctor.invalid"}, "info"),
        ({"host": "Doctor.INVALID.:3000"}, "info"),
        ({"origin": "https://evil.example"}, "warning"),
        ({"origin": "https://evil.example/.invalid"}, "warning"),
        ({"origin": "https://doctor.invalid:8443"}, "info"),
        ({"authorization": "Bearer expired-or-forged"}, "info"),
        ({"authorization": "Bearer"}, "warning"),
    ],
    ids=str,
)
async def test_only_a_rejection_that_may_need_a_change_is_a_warning(headers: dict[str, str], level: str) -> None:
    async with running() as server:
        with capture_logs() as lines:
            response = await server.client.post("/mcp", headers=headers, json=INITIALIZE)
    assert response.status_code in {400, 401, 403, 421}
    assert [line["log_level"] for line in lines if line["event"] != "authenticated"] == [level]
