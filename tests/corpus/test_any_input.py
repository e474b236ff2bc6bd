"""Any value in a header, a JOSE header or a challenge gets a response that is never 500 and has well-formed headers.

Tests of Authorization, claims, bodies and Host are in tests/unit, by the module that reads them.
"""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING

from hypothesis import given, settings
from hypothesis import strategies as st

from mcp_idp.auth.challenge import ChallengeBuilder
from mcp_idp.errors import InsufficientScope, InvalidToken, TokenErrorReason
from mcp_idp.testing.corpus.model import PLAIN, call
from mcp_idp.testing.corpus.response_parsing import assert_well_formed, challenge
from mcp_idp.testing.corpus.token_forge import HEADER, forge
from tests.support.corpus_server import on

if TYPE_CHECKING:
    from mcp_idp.testing.corpus.asgi_client import AsgiResponse

BOUNDED = settings(max_examples=80, derandomize=True, deadline=None)
# What the HTTP server accepts: names are tokens in lower case, values have no control character except the tab.
NAMES = st.sampled_from(
    [
        *("origin", "accept", "content-type", "cookie", "mcp-session-id", "mcp-protocol-version", "mcp-method"),
        *("mcp-name", "last-event-id", "access-control-request-method", "content-encoding", "forwarded", "expect"),
    ]
)
VALUES = st.binary(max_size=60).map(lambda value: re.sub(rb"[\x00-\x08\x0a-\x1f\x7f]", b"?", value).strip())
METHODS = st.sampled_from(["POST", "GET", "DELETE", "OPTIONS", "HEAD", "PUT", "PATCH", "TRACE"])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
JOSE = st.dictionaries(
    st.sampled_from(["alg", "kid", "typ", "crit", "b64", "jwk", "jku", "zip", "x"]), JSON, max_size=4
)
SCOPE = st.text(
    st.characters(min_codepoint=0x21, max_codepoint=0x7E, exclude_characters='"\\'), min_size=1, max_size=20
)


def assert_valid_response(response: AsgiResponse) -> None:
    assert response.status < 500, response
    assert_well_formed(response.headers)
    challenge(response.headers)


def test_no_header_breaks_a_response() -> None:
    with asyncio.Runner() as runner:
        stage = on(PLAIN)
        issuer, send_request = runner.run(stage.__aenter__())
        token = issuer.token()

        @BOUNDED
        @given(st.lists(st.tuples(NAMES, VALUES), max_size=4), METHODS, st.booleans())
        def check(fields: list[tuple[str, bytes]], method: str, known: bool) -> None:  # noqa: FBT001 - a parameter
            own = {name.encode(): value for name, value in fields}
            usual = call(token if known else None)
            headers = [(name, value) for name, value in usual.headers if name not in own]
            request = usual.but(headers=(*headers, *own.items()), method=method)
            # A stream of a session that exists would not end; none of these names one.
            assert_valid_response(runner.run(asyncio.wait_for(send_request(request), 20)))

        check()
        runner.run(stage.__aexit__(None, None, None))


def test_no_jose_header_breaks_a_response() -> None:
    with asyncio.Runner() as runner:
        stage = on(PLAIN)
        issuer, send_request = runner.run(stage.__aenter__())

        @BOUNDED
        @given(JOSE)
        def check(members: dict[str, object]) -> None:
            response = runner.run(send_request(call(forge({**HEADER, **members}, issuer.claims()))))
            assert_valid_response(response)
            assert response.status in {200, 401}

        check()
        runner.run(stage.__aexit__(None, None, None))


@BOUNDED
@given(st.lists(SCOPE, min_size=1, max_size=5), st.lists(SCOPE, min_size=1, max_size=5))
def test_every_challenge_can_be_read_back(login: list[str], required: list[str]) -> None:
    challenger = ChallengeBuilder("http://localhost:3000/.well-known/oauth-protected-resource/mcp", login)
    for error, code, scopes in (
        (None, None, login),
        (InvalidToken(TokenErrorReason.SIGNATURE, got='"\r\n'), "invalid_token", login),
        (InsufficientScope(tuple(required)), "insufficient_scope", required),
    ):
        response = challenger.unauthenticated_response if error is None else challenger.response_for(error, "0")
        challenge_params = challenge(response.headers)
        assert challenge_params is not None
        assert (challenge_params.get("error"), challenge_params["scope"].split(" ")) == (code, scopes)
