"""Assertions about the response to each row: status, challenge, reason, and that it reflects nothing of the attack."""

from __future__ import annotations

import asyncio
import base64
import json
import re
from typing import TYPE_CHECKING, Any

from structlog.testing import capture_logs

from mcp_idp.testing.corpus.model import Attack, Request, call
from mcp_idp.testing.corpus.response_parsing import assert_well_formed, challenge

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from mcp_idp.testing.corpus.asgi_client import AsgiResponse
    from mcp_idp.testing.issuer import Issuer

    SendRequest = Callable[[Request], Coroutine[Any, Any, AsgiResponse]]

_TIMEOUT_SECONDS = 10.0  # a request that is accepted by mistake may open a stream that does not end
_FRAGMENT = re.compile(rb"[A-Za-z0-9_.:/@=-]{6,}")


def recognizable_fragments(request: Request) -> set[bytes]:
    """Returns the parts of a request, and of its decoded token, that could be recognized in a response."""
    texts = [request.path.encode(), request.query, request.body[:2000], *(value for _, value in request.headers)]
    segments = [s for s in re.findall(rb"[A-Za-z0-9_-]{8,}", b" ".join(texts[3:])) if len(s) % 4 != 1]
    texts += [base64.urlsafe_b64decode(segment + b"=" * (-len(segment) % 4)) for segment in segments]
    return {word for text in texts for word in _FRAGMENT.findall(text)}


def assert_headers_reflect_nothing(request: Request, response: AsgiResponse, usual: AsgiResponse) -> None:
    """Asserts that no header contains a part of the request that is not in the response to an unauthenticated one."""
    known = b" ".join(value for _, value in usual.headers) + b" application/json text/event-stream no-cache"
    message = b" ".join(value for _, value in response.headers)
    assert {word for word in recognizable_fragments(request) if word in message and word not in known} == set()


async def assert_response(attack: Attack, issuer: Issuer, send_request: SendRequest) -> None:
    """Asserts that the server, which trusts `issuer`, responds to the row's request as expected."""
    usual = await send_request(call(None, (b"origin", b"http://localhost:6274")))
    sent = attack.send(issuer)
    request = call(sent) if isinstance(sent, str) else sent
    assert isinstance(request, Request)
    with capture_logs() as lines:
        response = await asyncio.wait_for(send_request(request), _TIMEOUT_SECONDS)
    challenge_params = challenge(response.headers)
    assert response.status == attack.status, f"responded {response.status}: {lines or response.body[:200]!r}"
    assert (challenge_params if challenge_params is None else challenge_params.get("error", "")) == attack.challenge
    assert_well_formed(response.headers)
    if attack.status != 200:
        assert_headers_reflect_nothing(request, response, usual)
    reasons = {str(line.get(member)) for line in lines for member in ("event", "code", "reason")}
    faults = "".join(str(line.get("error", "")) for line in lines)
    assert not attack.message or attack.message in reasons or attack.message in faults, (
        f"rejected for another reason: {lines}"
    )


def assert_wire_response(attack: Attack, issuer: Issuer, exchange: Callable[[bytes], bytes]) -> None:
    """Asserts that the row's bytes get the expected response and that nothing after them is read as a request.

    Args:
        attack: the row.
        issuer: the provider that the server trusts.
        exchange: sends bytes on a new connection and returns all that the server sends until it closes.
    """
    sent = attack.send(issuer)
    assert isinstance(sent, bytes)
    received = exchange(sent)
    statuses = [int(status) for status in re.findall(rb"HTTP/1\.1 ([0-9]{3})", received)]
    assert set(statuses) == ({attack.status} - {0}), f"responded {statuses}"
    body = received.partition(b"\r\n\r\n")[2]
    assert not attack.message or json.JSONDecoder().raw_decode(body.decode())[0]["error"] == attack.message
