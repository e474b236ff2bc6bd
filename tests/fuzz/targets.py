"""What the fuzzer calls with mutated inputs, and what must hold for every input.

Each target has seeds from the corpus, and a function of bytes that raises an exception if a guarantee is broken.
"""

from __future__ import annotations

import asyncio
import json
import re
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import uvicorn
from uvicorn.server import ServerState

from mcp_idp.auth.bearer import parse_bearer_token
from mcp_idp.cli.common.console import printable
from mcp_idp.cli.doctor.challenge_header import read_challenge
from mcp_idp.config.rate_limit_settings import NO_LIMITS
from mcp_idp.errors import AuthError
from mcp_idp.http_server.limits import HttpLimits
from mcp_idp.http_server.protocol import protocol_with_limits
from mcp_idp.observability.log_escaping import escape
from mcp_idp.testing.corpus.all_attacks import REQUESTS, TOKENS, WIRE
from mcp_idp.testing.corpus.model import INITIALIZE, LEGACY, LIST, WHOAMI, Request, Stage, call
from mcp_idp.testing.corpus.response_parsing import assert_well_formed, challenge
from mcp_idp.testing.corpus.token_forge import HEADER, as_bytes, forge
from mcp_idp.util import strict_json
from mcp_idp.util.addresses import address_group
from tests.support.corpus_server import on

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mcp_idp.testing.corpus.asgi_client import AsgiResponse

MAX_INPUT_BYTES = 8192
_RESPONSE_SECONDS = 20  # a response that takes longer counts as a hang
_RESPONSE_HEAD = re.compile(rb"HTTP/1\.1 ([1-5]\d\d)[ \r]")
UNLIMITED = Stage(settings={"limits": NO_LIMITS})  # the clock of the server stands still
ODD_VALUES: tuple[Any, ...] = (None, 1, -1.5, "", [], {}, [[]], True, "9" * 400)
_CONTROL = re.compile("[\x00-\x08\x0a-\x1f\x7f-\x9f]")


class _Transport(asyncio.Transport):
    """A connection whose client reads everything at once."""

    def __init__(self) -> None:
        super().__init__({"peername": ("127.0.0.1", 50000), "sockname": ("127.0.0.1", 3000)})
        self.written = b""
        self.closed = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written += bytes(data)

    def close(self) -> None:
        self.closed = True

    def abort(self) -> None:
        self.closed = True

    def is_closing(self) -> bool:
        return self.closed

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        """The client may still send."""

    def get_write_buffer_size(self) -> int:
        return 0

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Nothing is buffered."""

    def pause_reading(self) -> None:
        """Everything has been sent."""

    def resume_reading(self) -> None:
        """Everything has been sent."""


async def _read_and_respond(_: Any, receive: Any, send: Any) -> None:
    """An application that reads the whole body."""
    while (message := await receive())["type"] == "http.request" and message["more_body"]:
        pass
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"ok"})


class Target:
    """What inputs are tried on; `close` releases what it opened."""

    def close(self) -> None:
        """Nothing is open."""

    def seeds(self) -> Iterator[bytes]:
        """Returns inputs to start from."""
        raise NotImplementedError

    def __call__(self, data: bytes) -> None:
        """Tries one input; raises an exception if a guarantee is broken."""
        raise NotImplementedError


class Connections(Target):
    """The bytes of a connection: every response is well-formed, and none says that the server failed."""

    def __init__(self) -> None:
        self._runner = asyncio.Runner()
        self._config = uvicorn.Config(_read_and_respond, log_config=None, server_header=False, lifespan="off")
        self._config.load()
        self._protocol = protocol_with_limits(HttpLimits())

    def seeds(self) -> Iterator[bytes]:
        for attack in WIRE:
            data = attack.send(attack.stage.issuer())
            if isinstance(data, bytes) and len(data) <= MAX_INPUT_BYTES:
                yield data

    def close(self) -> None:
        self._runner.close()

    def __call__(self, data: bytes) -> None:
        self._runner.run(self._exchange(data))

    async def _exchange(self, data: bytes) -> None:
        transport = _Transport()
        protocol = self._protocol(self._config, ServerState(), {})
        protocol.connection_made(transport)
        half = len(data) // 2
        for piece in (data[:half], data[half:]):
            if piece and not transport.closed:
                protocol.data_received(piece)
            for _ in range(4):
                await asyncio.sleep(0)
        protocol.connection_lost(None)
        for _ in range(4):
            await asyncio.sleep(0)
        if transport.written:
            statuses = [int(status) for status in _RESPONSE_HEAD.findall(transport.written)]
            assert statuses, transport.written
            assert transport.written.startswith(b"HTTP/1.1 "), transport.written
            assert not {status for status in statuses if status >= 500} - {501, 505}, statuses


class Json(Target):
    """Documents: what the strict parser accepts has one meaning, which is that of the standard library."""

    def seeds(self) -> Iterator[bytes]:
        yield from (
            WHOAMI,
            LIST,
            INITIALIZE,
            b'{"a":[1,-2.5e3,null,true],"\\u00e9":"\\ud83d\\ude00"}',
            b'{"a":1,"a":2}',
        )
        yield from (b"[" * 129, b'"\\ud800"', b"1e999", b"NaN", b"\xef\xbb\xbf{}", b'{"a\\"":"\\\\"}')

    def __call__(self, data: bytes) -> None:
        try:
            value = strict_json.loads(data)
        except strict_json.StrictJsonError:
            return
        # `repr` distinguishes 1, 1.0 and true, which are equal.
        assert repr(json.loads(data)) == repr(value)
        assert _count(value) <= strict_json.count_values(data)
        assert strict_json.loads(json.dumps(value).encode()) == value


def _count(value: Any) -> int:
    if isinstance(value, dict):
        return 1 + sum(1 + _count(each) for each in value.values())
    return 1 + sum(map(_count, value)) if isinstance(value, list) else 1


class _ServerTarget(Target):
    """The demo server in this process, to which each input is sent as a part of a request."""

    def __init__(self) -> None:
        self._runner = asyncio.Runner()
        self._stage = on(UNLIMITED)
        self.issuer, self._send = self._runner.run(self._stage.__aenter__())
        self.token = self.issuer.token()

    def close(self) -> None:
        try:
            self._runner.run(self._stage.__aexit__(None, None, None))
        finally:
            self._runner.close()

    def send(self, request: Request) -> AsgiResponse:
        """Returns the response; it is never 5xx, and its headers are well-formed."""
        response = self._runner.run(asyncio.wait_for(self._send(request), _RESPONSE_SECONDS))
        assert response.status < 500, response
        assert_well_formed(response.headers)
        challenge(response.headers)
        return response


class Tokens(_ServerTarget):
    """Authorization headers: none but a valid token gets 200."""

    def seeds(self) -> Iterator[bytes]:
        yield from (b"Bearer " + self.token.encode(), b"Basic YTpi", b"bearer  x", b"Bearer")
        for attack in TOKENS:
            if attack.stage.name == UNLIMITED.name and isinstance(sent := attack.send(self.issuer), str):
                yield b"Bearer " + sent.encode()

    def __call__(self, data: bytes) -> None:
        value = data.translate(None, bytes([*range(9), *range(10, 32), 127])).strip(b" \t")
        usual = call(None)
        response = self.send(usual.but(headers=(*usual.headers, (b"authorization", value))))
        assert response.status in {400, 401, 403, 413, 429, 431} or self.token.encode() in value, response


class Claims(_ServerTarget):
    """Correctly signed tokens with any header and any claims, separated by a NUL byte."""

    def seeds(self) -> Iterator[bytes]:
        issuer = self.issuer
        header, claims = as_bytes(issuer.header), as_bytes(issuer.claims())
        yield header + b"\0" + claims
        for name in issuer.claims():
            for value in ODD_VALUES:
                yield header + b"\0" + as_bytes(issuer.claims(**{name: value}))
        for name in ("alg", "kid", "typ", "crit", "b64", "jwk"):
            yield as_bytes({**HEADER, name: [None]}) + b"\0" + claims

    def __call__(self, data: bytes) -> None:
        header, _, claims = data.partition(b"\0")
        response = self.send(call(forge(header, claims, key=self.issuer.key)))
        assert response.status in {200, 401, 403, 429, 431}, response


class Bodies(_ServerTarget):
    """Any body with a valid token, in both protocol revisions."""

    def seeds(self) -> Iterator[bytes]:
        yield from (b"m" + body for body in (WHOAMI, LIST, INITIALIZE))
        yield from (b"l" + body for body in (WHOAMI, LIST, INITIALIZE))
        for attack in REQUESTS:
            sent = attack.send(attack.stage.issuer())
            if isinstance(sent, Request) and 0 < len(sent.body) < MAX_INPUT_BYTES:
                yield b"m" + sent.body

    def __call__(self, data: bytes) -> None:
        request = call(self.token, body=data[1:])
        if data[:1] != b"m":
            headers = [field for field in request.headers if not field[0].startswith(b"mcp-")]
            request = request.but(headers=(*headers, (b"mcp-protocol-version", LEGACY)))
        self.send(request)


class Headers(_ServerTarget):
    """Any header fields of a request, one in each line."""

    def seeds(self) -> Iterator[bytes]:
        for attack in REQUESTS:
            sent = attack.send(attack.stage.issuer())
            if isinstance(sent, Request) and len(sent.headers) < 50:
                yield b"\n".join(name + b":" + value for name, value in sent.headers)[:MAX_INPUT_BYTES]

    def __call__(self, data: bytes) -> None:
        fields = []
        for line in data.replace(b"@", self.token.encode()).split(b"\n")[:100]:
            name, _, value = line.partition(b":")
            # The HTTP server accepts nothing else in names and values.
            if re.fullmatch(rb"[!#$%&'*+.^_`|~0-9a-z-]+", name):
                value = value.translate(None, bytes([*range(9), *range(10, 32), 127])).strip(b" \t")
                if name != b"mcp-session-id":
                    fields.append((name, value))
        self.send(Request(tuple(fields)))


class Texts(Target):
    """Small parsers of remote text: they raise their own errors only, and output has no control characters."""

    def seeds(self) -> Iterator[bytes]:
        yield from (b"Bearer abc", b'Bearer scope="a b", error="x\\"", resource_metadata="http://a/"', b"2001:db8::1")
        yield from (b"::ffff:1.2.3.4", b"64:ff9b::1", b"\x1b]0;x\x07\xc2\x9b", "\u202e\u2028".encode())

    def __call__(self, data: bytes) -> None:
        text = data.decode("utf-8", "surrogateescape")
        latin = data.decode("latin-1")
        read_challenge(latin)
        address_group(latin)
        with suppress(AuthError):
            assert parse_bearer_token([data]) in latin
        for clean in (printable, escape):
            assert not _CONTROL.search(clean(text)), clean


TARGETS: dict[str, Callable[[], Target]] = {
    "connections": Connections,
    "json": Json,
    "tokens": Tokens,
    "claims": Claims,
    "bodies": Bodies,
    "headers": Headers,
    "texts": Texts,
}
