"""Request bodies of any content."""

from __future__ import annotations

import asyncio
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mcp_idp.http.body import count_memory
from mcp_idp.testing.corpus.model import BOTH, MODERN
from mcp_idp.testing.issuer import ISSUER, NOW, RESOURCE
from tests.support.app import running
from tests.support.mcp_calls import LEGACY, open_session, ping

pytestmark = pytest.mark.anyio


async def test_other_requests_are_served_while_a_long_message_is_counted() -> None:
    served = 0

    async def serve() -> None:
        nonlocal served
        while True:
            served += 1
            await asyncio.sleep(0)

    other = asyncio.create_task(serve())
    await count_memory(b'["' + b"x" * 1_000_000 + b'"]')
    other.cancel()
    assert served > 1


META = {"io.modelcontextprotocol/protocolVersion": MODERN, "io.modelcontextprotocol/clientCapabilities": {}}
_JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats()
    | st.text(max_size=20)
    | st.sampled_from([ISSUER, RESOURCE, "Bearer", "mcp:tools", NOW, NOW + 300]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
_MESSAGE = st.fixed_dictionaries(
    {},
    optional={
        "jsonrpc": st.just("2.0") | _JSON,
        "id": st.integers() | st.text(max_size=5) | _JSON,
        "method": st.sampled_from(["tools/call", "tools/list", "initialize", "ping", "notifications/cancelled"])
        | _JSON,
        "params": st.fixed_dictionaries(
            {}, optional={"name": st.just("greet") | _JSON, "arguments": _JSON, "_meta": st.just(META) | _JSON}
        )
        | _JSON,
    },
)
_LONE_HALF = b'{"id":"\\ud800"}'
BODIES = st.one_of(
    st.binary(max_size=40),
    _JSON.map(lambda value: json.dumps(value).encode()),
    _MESSAGE.map(lambda value: json.dumps(value).encode()),
    st.sampled_from([_LONE_HALF, b'{"a":1,"a":1}', b"[" * 2000, b'{"id":%s}' % (b"9" * 5000), b"\xef\xbb\xbf{}"]),
)


@pytest.mark.requirement("body.any_body", "body.surrogates")
def test_any_body_with_a_valid_token_is_answered_and_never_with_500() -> None:
    bodies: list[bytes] = [_LONE_HALF]

    @settings(max_examples=150, derandomize=True, deadline=None, database=None)
    @given(BODIES)
    def collect(body: bytes) -> None:
        bodies.append(body)

    async def main() -> None:
        async with running() as server, asyncio.timeout(60):
            own = {
                "authorization": f"Bearer {server.issuer.token()}",
                "accept": BOTH,
                "content-type": "application/json",
            }
            session = await open_session(server, server.issuer.token())
            legacy = {"mcp-session-id": session, "mcp-protocol-version": LEGACY}
            modern = {"mcp-protocol-version": MODERN, "mcp-method": "tools/call", "mcp-name": "greet"}
            for body in bodies:
                for revision in ({}, legacy, modern):
                    response = await server.client.post("/mcp", content=body, headers={**own, **revision})
                    assert response.status_code < 500, (body, revision)
                    if body == _LONE_HALF:  # a matching surrogate pair is a valid character
                        assert response.json()["error"] == "invalid_body"
            assert await ping(server, server.issuer.token(), session) == 200

    collect()
    asyncio.run(main())
