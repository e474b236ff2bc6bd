"""The provider's metadata."""

from __future__ import annotations

import json

import httpx
import pytest

from mcp_idp.oauth.discovery import discover, well_known_urls
from mcp_idp.oauth.http import FetchError

pytestmark = pytest.mark.anyio


@pytest.mark.requirement("discovery.private_address")
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
async def test_a_public_issuer_cannot_name_an_internal_address_in_any_spelling(host: str) -> None:
    issuer = "https://login.example.com"

    def response(request: httpx.Request) -> httpx.Response:
        if str(request.url) != well_known_urls(issuer)[0]:
            return httpx.Response(404)
        document = {"issuer": issuer, "jwks_uri": f"https://{host}/keys"}
        return httpx.Response(200, stream=httpx.ByteStream(json.dumps(document).encode()))

    async with httpx.AsyncClient(transport=httpx.MockTransport(response)) as http:
        with pytest.raises(FetchError, match="inside this network"):
            await discover(http, issuer)
