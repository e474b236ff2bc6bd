"""The provider's metadata."""

from __future__ import annotations

import json

import httpx
import pytest

from mcp_idp.oauth.discovery import discover, find_token_endpoint, well_known_urls
from mcp_idp.oauth.http import FetchError

pytestmark = pytest.mark.anyio


ISSUER, INTERNAL = "https://login.example.com", "http://keycloak:8080"


def provider(base: str, document: object) -> httpx.AsyncClient:
    """Returns a client of a provider at `base` that has only this metadata."""

    def response(request: httpx.Request) -> httpx.Response:
        if str(request.url) != well_known_urls(base)[0]:
            return httpx.Response(404)
        return httpx.Response(200, stream=httpx.ByteStream(json.dumps(document).encode()))

    return httpx.AsyncClient(transport=httpx.MockTransport(response))


@pytest.mark.parametrize(
    ("internal", "named", "expected"),
    [
        (None, f"{ISSUER}/token", f"{ISSUER}/token"),
        (INTERNAL, f"{ISSUER}/token", f"{INTERNAL}/token"),
        (INTERNAL, f"{INTERNAL}/token", f"{INTERNAL}/token"),
        (INTERNAL, "https://tokens.example.com/token", "https://tokens.example.com/token"),
    ],
)
async def test_the_token_endpoint_is_reached_at_the_internal_url(
    internal: str | None, named: str, expected: str
) -> None:
    document = {"issuer": ISSUER, "jwks_uri": f"{ISSUER}/keys", "token_endpoint": named}
    async with provider(internal or ISSUER, document) as http:
        assert await find_token_endpoint(http, ISSUER, internal) == expected


@pytest.mark.parametrize("internal", [None, INTERNAL])
async def test_metadata_without_a_token_endpoint_is_rejected(internal: str | None) -> None:
    async with provider(internal or ISSUER, {"issuer": ISSUER, "jwks_uri": f"{ISSUER}/keys"}) as http:
        with pytest.raises(FetchError, match=f"{internal or ISSUER}: the document has no token_endpoint"):
            await find_token_endpoint(http, ISSUER, internal)


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
    async with provider(ISSUER, {"issuer": ISSUER, "jwks_uri": f"https://{host}/keys"}) as http:
        with pytest.raises(FetchError, match="inside this network"):
            await discover(http, ISSUER)


async def test_a_provider_inside_this_network_may_name_another_address_inside_it() -> None:
    document = {"issuer": ISSUER, "jwks_uri": "http://keys:9000/keys"}
    async with provider(INTERNAL, document) as http:
        assert (await discover(http, ISSUER, INTERNAL)).jwks_url == "http://keys:9000/keys"


@pytest.mark.requirement("discovery.private_address")
@pytest.mark.parametrize(
    "url",
    [
        "ftp://login.example.com/keys",
        "https://login.example.com/keys#part",
        "https://ada:secret@login.example.com/keys",
        "https:///keys",
        "/keys",
        "https://login.example.com:99999/keys",
        "https://login.example.com/\n",
    ],
)
async def test_a_url_that_cannot_be_requested_as_it_stands_is_rejected(url: str) -> None:
    async with provider(ISSUER, {"issuer": ISSUER, "jwks_uri": url}) as http:
        with pytest.raises(FetchError, match="jwks_uri"):
            await discover(http, ISSUER)
