"""Requests to the provider."""

from __future__ import annotations

import pytest

from mcp_idp.oauth.http import FetchError, fetch_json
from mcp_idp.testing.issuer import Issuer

pytestmark = pytest.mark.anyio


@pytest.mark.requirement("auth.provider_error")
async def test_an_invalid_host_name_is_an_error_of_the_provider() -> None:
    async with Issuer().http() as http:
        with pytest.raises(FetchError):
            await fetch_json(http, "http://xn--/keys")
