"""The doctor's findings about our server in process, with a realm of a real Keycloak."""

from __future__ import annotations

import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import httpx
import httpx2

from mcp_idp.cli.common.http_client import create_client
from mcp_idp.cli.common.safe_http import SafeHttpClient
from mcp_idp.cli.doctor.all_checks import CHECKS
from mcp_idp.cli.doctor.client_profiles import find_profile
from mcp_idp.cli.doctor.context import CheckContext
from mcp_idp.cli.doctor.runner import all_findings, run_checks
from mcp_idp.cli.doctor.token_evaluation import make_evaluator
from mcp_server.app import create_app
from tests.support.app import lifespan
from tests.support.in_process import settings_for

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from mcp_idp.cli.doctor.findings import Finding
    from tests.support.keycloak.realm import Realm


@asynccontextmanager
async def _our_server(realm: Realm) -> AsyncIterator[httpx2.AsyncClient]:
    """Yields a client that reaches our server in process at its public URL, and everything else over the network."""
    async with httpx.AsyncClient(trust_env=False, timeout=20) as provider, create_client({}) as outside:
        app = create_app(settings_for(realm), http=provider)
        server = httpx2.ASGITransport(app)
        own = httpx2.URL(realm.public_url).netloc

        async def route(request: httpx2.Request) -> httpx2.Response:
            if request.url.netloc != own:
                return await outside.send(request, stream=True)
            response = await server.handle_async_request(request)
            body = httpx2.ByteStream(await response.aread())
            return httpx2.Response(response.status_code, headers=response.headers, stream=body)

        async with lifespan(app), httpx2.AsyncClient(transport=httpx2.MockTransport(route)) as http:
            yield http


async def findings(realm: Realm, *, token: str = "", register: bool = False, client: str = "") -> list[Finding]:
    """Returns the doctor's findings.

    Args:
        realm: the realm of the server.
        token: the token to examine; "" for none.
        register: whether to try registrations.
        client: the client to act as; "" for none.
    """
    async with _our_server(realm) as http:
        evaluate = make_evaluator(realm.environment) if token else None
        safe_client = SafeHttpClient(http, realm.public_url, now=time.time)
        case = CheckContext(
            realm.public_url,
            safe_client,
            register=register,
            client=find_profile(client) if client else None,
            evaluate=evaluate,
            token=token,
        )
        return all_findings(await run_checks(case, CHECKS))
